"""``deskmesh coordinator``, and what it takes to become a process of the mesh."""

import json
import os
import sys
from pathlib import Path

import typer

from mesh.errors import InvalidRequest
from mesh.identity.address import split_address
from mesh.platforms.here import HERE


def register(app: typer.Typer) -> None:
    app.command("coordinator")(coordinator)


def coordinator() -> None:
    """Run a coordinator in the foreground; the first start makes a mesh."""
    become("coordinator", {})


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


def become(package: str, environment: dict[str, str]) -> None:
    """Replace this process by ``python -m package``: signals and exit code are then its own."""
    command = [sys.executable, "-m", package]
    HERE.become(command, os.environ | environment)
