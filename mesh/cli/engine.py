"""``deskmesh engine``: what computes here, and on what."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from mesh.cli.engine_installing import install
from mesh.cli.output import console, print_json, size
from mesh.errors import Unsupported
from mesh.gpus.gpu import Gpu
from mesh.gpus.look import gpus_here
from mesh.gpus.unused import Unused, unused_gpus
from mesh.installed_engine import InstalledEngine, installed_engine

app = typer.Typer(help="The engine of this machine: what it is, and what it computes on.")


def register(parent: typer.Typer) -> None:
    app.command("install")(install)
    parent.add_typer(app, name="engine", no_args_is_help=True)


@app.command("show")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the engine's version, what it computes on, and the GPUs of this machine."""
    engine, gpus = installed_engine(), gpus_here()
    unused = None if engine.error else unused_gpus(gpus, engine_sees=len(engine.gpus))
    if as_json:
        print_json(as_plain(engine, gpus, unused))
    elif not engine.error:
        _show(engine, gpus, unused)
    if engine.error and not as_json:
        _show_gpus(gpus)
        raise Unsupported(f"the engine does not work here: {engine.error}", hint=mend(engine))
    if engine.error:
        raise typer.Exit(1)


def as_plain(
    engine: InstalledEngine, gpus: tuple[Gpu, ...], unused: Unused | None
) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return {
        "engine": engine.model_dump(mode="json", exclude={"missing"}),
        "gpus": [asdict(gpu) for gpu in gpus],
        "unused": {"what": unused.what, "command": unused.command} if unused else None,
    }


def mend(engine: InstalledEngine) -> str:
    """Return what to do about an engine that does not work."""
    if engine.missing:
        return "pip install 'deskmesh[node]'"
    return "have it built again for this machine: deskmesh engine install"


def _show(engine: InstalledEngine, gpus: tuple[Gpu, ...], unused: Unused | None) -> None:
    console.print(f"llama-cpp-python {engine.version} ({engine.system})", soft_wrap=True)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("computes on", "kind", "device", "memory", "free"):
        table.add_column(column, overflow="fold")
    for each in engine.devices:
        row = (each.name, each.kind, each.description)
        table.add_row(*row, size(each.memory_bytes), size(each.free_bytes))
    console.print(table)
    _show_gpus(gpus)
    if unused:
        console.print(f"{unused.what}; {unused.command}", style="yellow", soft_wrap=True)


def _show_gpus(gpus: tuple[Gpu, ...]) -> None:
    if not gpus:
        console.print("no GPU found in this machine")
    for gpu in gpus:
        console.print(f"GPU: {told(gpu)}", soft_wrap=True)


def told(gpu: Gpu) -> str:
    """Return one GPU in words."""
    memory = f", {size(gpu.memory_bytes)}" if gpu.memory_bytes else ""
    kind = ", part of the processor" if gpu.integrated else ""
    ready = "" if gpu.ready else ", not usable: its driver is missing, or not for this process"
    return f"{gpu.name}{memory}{kind}{ready}"
