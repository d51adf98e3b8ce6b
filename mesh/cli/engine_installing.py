"""``deskmesh engine install``: an engine that computes on what this machine has."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from mesh.cli.output import console, errors, print_json
from mesh.engine_build.chosen import engine_changed, engine_changes
from mesh.engine_build.keeping import KeptWheels
from mesh.engine_build.making import free_bytes, put_in_place, why_no_pip
from mesh.engine_build.plan import Backend, BuildPlan, pick, plan
from mesh.engine_build.proving import check_gpu, loaded
from mesh.engine_build.wheels import forget_wheel
from mesh.errors import InvalidRequest
from mesh.gpus.gpu import Gpu
from mesh.gpus.look import gpus_here
from mesh.installed_engine import InstalledEngine

_TELL_EVERY = 10  # percent, where there is no terminal


def install(  # noqa: PLR0913, PLR0917 - an option for each backend
    cuda: Annotated[bool, typer.Option("--cuda", help="For NVIDIA's GPUs.")] = False,
    vulkan: Annotated[bool, typer.Option("--vulkan", help="For most GPUs.")] = False,
    metal: Annotated[bool, typer.Option("--metal", help="For Apple silicon.")] = False,
    rocm: Annotated[bool, typer.Option("--rocm", help="For AMD's GPUs that ROCm knows.")] = False,
    cpu: Annotated[bool, typer.Option("--cpu", help="For processors alone.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Build without asking.")] = False,
    plan_only: Annotated[bool, typer.Option("--plan", help="Only say what it would take.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Build the engine for this machine, and put it in place once it has proven to work."""
    given = {
        Backend.CUDA: cuda,
        Backend.VULKAN: vulkan,
        Backend.METAL: metal,
        Backend.ROCM: rocm,
        Backend.CPU: cpu,
    }
    gpus = gpus_here()
    build = _planned([backend for backend, wanted in given.items() if wanted], gpus)
    kept = KeptWheels(build, gpus)
    found = kept.found()
    if plan_only:
        _say_plan(build, found, as_json=as_json)
        return
    if not as_json:
        _say_plan(build, found, as_json=False)
    _check(build, found, yes=yes)
    with tempfile.TemporaryDirectory(prefix="deskmesh-engine-") as name:
        folder = Path(name)
        if found is None:
            _check_disk(build, folder.parent)
        with _progress(shown=not as_json and found is None) as told:
            wheel = kept.made(told)
        engine = _proven(wheel, folder, build.backend)
        engine_changes(Path(sys.prefix))
        put_in_place(wheel)
        engine_changed(Path(sys.prefix), kept.build.key, kept.chosen)
    _say_done(build, engine, as_json=as_json)


def _check_disk(build: BuildPlan, folder: Path) -> None:
    if (free := free_bytes(folder)) < build.disk_bytes:
        raise InvalidRequest(
            f"{folder} has {free >> 20} MiB free, and a build takes up to {build.disk_bytes >> 20}",
            hint="free some space, or let TMPDIR name another disk",
        )


def _proven(wheel: Path, folder: Path, backend: Backend) -> InstalledEngine:
    """Load it. One that finds no GPU stays in the cache: its driver may be what is to be mended."""
    try:
        engine = loaded(wheel, folder / "unpacked")
    except InvalidRequest:
        forget_wheel(wheel)
        raise
    check_gpu(engine, backend)
    return engine


def _planned(asked: list[Backend], gpus: Sequence[Gpu]) -> BuildPlan:
    if len(asked) > 1:
        raise typer.BadParameter(f"an engine is built for one of {', '.join(asked)}")
    backend, why = (asked[0], "you asked for it") if asked else pick(gpus)
    cores = os.cpu_count() or 1
    return plan(backend, why, platform=sys.platform, cores=cores, found=shutil.which)


def _check(build: BuildPlan, found: Path | None, *, yes: bool) -> None:
    """Raises InvalidRequest: it cannot be built, or nobody has said that it should be."""
    if build.missing and found is None:
        raise InvalidRequest(
            f"an engine for {build.backend} needs what is not here: {'; '.join(build.missing)}",
            hint="install that, and run the same command again",
        )
    if mend := why_no_pip():
        raise InvalidRequest("this environment has no pip to build with", hint=mend)
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidRequest("nobody is there to ask", hint="say --yes to have it done")
    typer.confirm("Install it now?" if found else "Build it now?", abort=True, err=True)


def _say_plan(build: BuildPlan, found: Path | None, *, as_json: bool) -> None:
    if as_json:
        print_json({**_plain(build), "kept": str(found) if found else None})
        return
    console.print(f"an engine for {build.backend}: {build.why}", soft_wrap=True)
    if found is not None:
        console.print(f"it was built before, and is taken from {found.parent}", soft_wrap=True)
        return
    console.print(f"it takes {build.takes} of disk while it is built", soft_wrap=True)
    for each in build.missing:
        console.print(f"missing: {each}", style="yellow", soft_wrap=True)


def _say_done(build: BuildPlan, engine: InstalledEngine, *, as_json: bool) -> None:
    if as_json:
        print_json({**_plain(build), "engine": engine.model_dump(mode="json", exclude={"missing"})})
        return
    on = ", ".join(device.description or device.name for device in engine.devices)
    console.print(f"llama-cpp-python {engine.version} is in place, and computes on {on}")
    console.print("a node that runs already takes it when it is started again", style="dim")


def _plain(build: BuildPlan) -> dict[str, Any]:
    return {
        "backend": build.backend.value,
        "why": build.why,
        "cmake_args": list(build.cmake_args),
        "missing": list(build.missing),
        "minutes": build.minutes,
        "disk_bytes": build.disk_bytes,
    }


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere a line every tenth."""
    if shown and errors.is_terminal:
        with Progress(console=errors) as bars:
            bar = bars.add_task("building", total=None)
            yield lambda done, all_: bars.update(bar, completed=done, total=all_)
        return
    last = -1

    def told(done: int, all_: int) -> None:
        nonlocal last
        percent = 100 * done // max(1, all_)
        if shown and percent // _TELL_EVERY > last:
            last = percent // _TELL_EVERY
            errors.print(f"building: {percent} %", highlight=False)

    yield told
