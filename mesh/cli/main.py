"""``deskmesh``: the commands, and what their failures look like."""

import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Annotated

import typer

from mesh.cli.commands import Commands
from mesh.cli.output import errors, plain_error, print_json, say_error
from mesh.cli.usage import WrongUsage
from mesh.errors import Cancelled, MeshError, ServiceError
from mesh.lasting import lasting
from mesh.process import FAILED, WRONG_USAGE
from mesh.version import VERSION

INTERRUPTED = 130  # what typer exits with after Ctrl-C; our contract knows 0, 1 and 2

# command -> the file of mesh/cli that has it, in the order in which help shows them
_FILES = {
    "ask": "ask",
    "status": "status",
    "models": "models",
    "up": "up",
    "coordinator": "run",
    "node": "node",
    "route": "route",
    "feedback": "feedback",
    "outcome": "feedback",
    "ledger": "ledger",
    "invite": "join",
    "join": "join",
    "members": "members",
    "revoke": "members",
    "engine": "engine",
    "service": "service",
    "doctor": "doctor",
    "demo": "demo",
    "version": "version",
}

app = typer.Typer(
    name="deskmesh",
    cls=Commands,
    help="One inference service made of the machines on the desks.",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def deskmesh(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """One inference service made of the machines on the desks."""
    if show_version:
        sys.stdout.write(f"deskmesh {VERSION}\n")
        raise typer.Exit


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong usage."""
    with lasting():
        _register()
    as_json = "--json" in sys.argv
    try:
        app(prog_name="deskmesh")
    except SystemExit as leaving:  # typer's own: done, wrong usage, or a command's exit code
        if leaving.code == INTERRUPTED:
            errors.print("interrupted", style="dim")
            if as_json:
                print_json({"error": plain_error(Cancelled("interrupted"))})
            sys.exit(FAILED)
        raise
    except MeshError as failure:
        if as_json:
            print_json({"error": plain_error(failure)})
        else:
            say_error(failure)
        sys.exit(WRONG_USAGE if isinstance(failure, WrongUsage) else FAILED)
    except OSError as failure:
        _forsake_output()
        say_error(_told_by_the_system(failure))
        sys.exit(FAILED)


def _told_by_the_system(failure: OSError) -> MeshError:
    """What no command foresaw: a full disk behind stdout, a program that may not be started."""
    where = f"{failure.filename}: " if failure.filename else "cannot write or read: "
    hint = "mend that, and run it again"
    return ServiceError(f"{where}{(failure.strerror or str(failure)).lower()}", hint=hint)


def _forsake_output() -> None:
    """What stdout still holds may be what cannot be written: Python would try again at its end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _register() -> None:
    """Add the command that was named, from its own file; all of them for help or a mistake.

    A command starts twice as fast without the imports of the others.
    """
    named = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    files = {_FILES[named]} if named in _FILES else set(_FILES.values())
    for name in dict.fromkeys(_FILES.values()):
        if name in files:
            import_module(f"mesh.cli.{name}").register(app)


if __name__ == "__main__":
    main()
