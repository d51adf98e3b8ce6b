"""What ``deskmesh version`` tells."""

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import Annotated, Any

import typer

from mesh.cli.output import console, print_json
from mesh.version import VERSION


def register(app: typer.Typer) -> None:
    app.command("version")(version)


def version(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print which deskmesh this is, and whether this machine can run models."""
    facts: dict[str, Any] = {
        "deskmesh": VERSION,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "grpcio": _installed("grpcio"),
        "llama_cpp_python": _installed("llama-cpp-python"),
    }
    if as_json:
        print_json(facts)
        return
    console.print(f"deskmesh {facts['deskmesh']}")
    console.print(f"Python {facts['python']} on {facts['platform']}, grpcio {facts['grpcio']}")
    engine = facts["llama_cpp_python"]
    missing = "no engine here: pip install 'deskmesh[node]' to lend this machine"
    console.print(f"llama-cpp-python {engine}" if engine else missing)


def _installed(name: str) -> str | None:
    try:
        return installed(name)
    except PackageNotFoundError:
        return None
