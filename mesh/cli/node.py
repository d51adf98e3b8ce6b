"""``deskmesh node``: lend this machine; ``node drain`` and ``resume``: say which get requests."""

from pathlib import Path
from typing import Annotated

import typer

from mesh.cli.becoming import SERVICES, become
from mesh.cli.run import node_environment

app = typer.Typer()


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="node", invoke_without_command=True)


@app.callback()
def node(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Shown to people; empty: the hostname.")] = "",
    models: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of GGUF files, instead of the usual ones; may be repeated."),
    ] = None,
    seed: Annotated[
        list[str] | None,
        typer.Option(help="host:port of a coordinator where mDNS does not reach; may be repeated."),
    ] = None,
) -> None:
    """Lend this machine in the foreground: serve its models to the mesh that it has joined.

    Its own programs reach the mesh at http://localhost:7480, also where it lends nothing.
    """
    if context.invoked_subcommand is None:
        become(SERVICES["node"], node_environment(name, models or [], seed or []))


@app.command("drain")
def drain(
    name: Annotated[str, typer.Argument(help="The node's name, or its id: see `status`.")],
    reason: Annotated[str, typer.Option(help="Why; others see it, too.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Let nothing new begin on a node; what runs there finishes."""
    _drain(name, reason, resume=False, as_json=as_json)


@app.command("resume")
def resume(
    name: Annotated[str, typer.Argument(help="The node's name, or its id: see `status`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """End a drain: the node may get requests again."""
    _drain(name, "", resume=True, as_json=as_json)


def _drain(name: str, reason: str, *, resume: bool, as_json: bool) -> None:
    from mesh.cli.draining import drain_node, say  # late: `deskmesh node` itself needs none of it

    say(drain_node(name, reason, resume=resume), as_json=as_json)
