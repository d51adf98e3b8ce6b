"""``deskmesh coordinator``, and options of the command line as settings of a process."""

import json
from pathlib import Path

import typer

from mesh.cli.becoming import SERVICES, become
from mesh.errors import InvalidRequest
from mesh.identity.address import split_address


def register(app: typer.Typer) -> None:
    app.command("coordinator")(coordinator)


def coordinator() -> None:
    """Run a coordinator in the foreground; the first start makes a mesh."""
    become(SERVICES["coordinator"], {})


def node_environment(name: str, models: list[Path], seeds: list[str]) -> dict[str, str]:
    """Turn options of the command line into settings of the process.

    Raises:
        InvalidRequest: a folder does not exist, or a seed is no address.
    """
    environment: dict[str, str] = {}
    if name:
        environment["DESKMESH_NODE__NAME"] = name
    for folder in models:
        if not folder.is_dir():
            raise InvalidRequest(f"{folder} is not a folder", hint="name a folder of GGUF files")
    if models:
        folders = json.dumps([str(folder.resolve()) for folder in models])
        environment["DESKMESH_NODE__MODEL_FOLDERS"] = folders
    for address in seeds:
        split_address(address)
    if seeds:
        environment["DESKMESH_DISCOVERY__SEEDS"] = json.dumps(seeds)
    return environment
