"""``deskmesh service``: run deskmesh whenever its owner is logged in."""

import os
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mesh.cli.machine import require_engine
from mesh.cli.output import console, errors, print_json
from mesh.errors import InvalidRequest, ServiceError
from mesh.home import HOME_VARIABLE, Home
from mesh.identity.store import IdentityStore
from mesh.platforms.here import HERE
from mesh.platforms.service import Service, ServiceSteps, Step
from mesh.process import FAILED
from mesh.settings import variables_set

STEP_WITHIN_S = 60.0  # a service manager starts a program in a second, and waits 20 s for its end

app = typer.Typer(help="Run deskmesh whenever you are logged in to this machine.")


class Part(StrEnum):
    """What is run: the commands of the same names."""

    NODE = "node"
    COORDINATOR = "coordinator"
    UP = "up"


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="service", no_args_is_help=True)


RUN = Annotated[
    Part | None,
    typer.Option("--run", help="Left out: `up` where this machine made its mesh, else `node`."),
]


@app.command("install")
def install(run: RUN = None) -> None:
    """Start it now, and at every log-in."""
    steps = _steps(run or _part_of(Home.find()))
    try:
        Home.find().ensure(Home.find().root)  # where the log may go
        steps.file.parent.mkdir(parents=True, exist_ok=True)
        steps.file.write_text(steps.text, encoding=steps.encoding)
    except OSError as failure:
        raise ServiceError(f"cannot write {steps.file}: {failure.strerror}") from None
    try:
        for step in steps.install:
            _take(step)
    except ServiceError:
        steps.file.unlink(missing_ok=True)  # half of it is nothing
        raise
    console.print(f"deskmesh runs, and starts when you log in: {steps.file}", soft_wrap=True)
    console.print(f"its log: {steps.log_hint}", soft_wrap=True)
    if steps.note:
        console.print(steps.note, style="dim", soft_wrap=True)
    _warn_of_variables()


@app.command("remove")
def remove() -> None:
    """Stop it, and start it no more."""
    steps = _steps(Part.NODE)
    if not steps.file.exists():
        console.print("nothing to remove: no service is installed")
        return
    for step in steps.remove:
        _take(step)
    steps.file.unlink(missing_ok=True)
    console.print(f"removed {steps.file}", soft_wrap=True)


@app.command("status")
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether it is installed and runs; exit code 0 if it does."""
    steps = _steps(Part.NODE)
    installed = steps.file.exists()
    runs = installed and not _failure_of(steps.status)
    if as_json:
        print_json({"installed": installed, "running": runs, "file": str(steps.file)})
    elif not installed:
        console.print("not installed; `deskmesh service install` does it")
    else:
        console.print(f"{'runs' if runs else 'does not run'}: {steps.file}", soft_wrap=True)
        console.print(f"its log: {steps.log_hint}", soft_wrap=True)
    if not runs:
        raise typer.Exit(FAILED)


@app.command("show")
def show(run: RUN = None) -> None:
    """Print what `install` would write and run, and do nothing."""
    steps = _steps(run or _part_of(Home.find()))
    errors.print(f"{steps.file}:", style="dim")
    console.print(steps.text, soft_wrap=True, end="")
    for step in steps.install:
        errors.print(f"then: {subprocess.list2cmdline(step.words)}", style="dim")
    _warn_of_variables()


def _warn_of_variables() -> None:
    """Settings that are variables of this shell would not be the service's: some are secrets."""
    if names := variables_set():
        file = Home.find().settings_file
        what = f"not kept for the service: {', '.join(names)}; what it should use, write to {file}"
        errors.print(what, style="yellow")


def _part_of(home: Home) -> Part:
    """Return what this machine is for.

    Raises:
        InvalidRequest: it has joined no mesh, and made none.
    """
    if home.authority.exists():
        return Part.UP
    if IdentityStore(home).roles():
        return Part.NODE
    raise InvalidRequest(
        "this machine belongs to no mesh yet",
        hint="`deskmesh join CODE` first, or begin a mesh here with --run up",
    )


def _steps(part: Part) -> ServiceSteps:
    if part is Part.UP:
        require_engine()
    home = Home.find()
    kept = {HOME_VARIABLE: str(home.root.absolute())} if HOME_VARIABLE in os.environ else {}
    return HERE.service(
        Service(
            command=(sys.executable, "-P", "-m", "mesh.cli.entry", part.value),
            environment=kept,
            caller=os.environ,
            log=home.root.absolute() / "service.log",
            user=Path.home(),
            user_id=HERE.user_id(),
        )
    )


def _take(step: Step) -> None:
    """Run a command of the system's.

    Raises:
        ServiceError: it is not here, or it failed, and matters.
    """
    if (why := _failure_of(step)) and not step.may_fail:
        raise ServiceError(
            f"`{subprocess.list2cmdline(step.words)}` failed: {why}",
            hint="run `deskmesh node` or `deskmesh up` in the foreground, or by another manager",
        )


def _failure_of(step: Step) -> str:
    """Run a command of the system's and return why it failed; "" if it did not."""
    try:
        done = subprocess.run(  # noqa: S603 - words of ours
            step.words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=STEP_WITHIN_S,
            check=False,
        )
    except FileNotFoundError:
        return f"there is no {step.words[0]} on this machine"
    except (OSError, subprocess.TimeoutExpired) as failure:
        return str(failure)
    if not done.returncode:
        return ""
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[-1][:300] if said else f"it ended with {done.returncode}"
