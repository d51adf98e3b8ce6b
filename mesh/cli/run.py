"""``deskmesh coordinator`` and ``deskmesh node``: become that process."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mesh.errors import InvalidRequest
from mesh.identity.address import split_address


def register(app: typer.Typer) -> None:
    app.command("coordinator")(coordinator)
    app.command("node")(node)


def coordinator() -> None:
    """Run a coordinator in the foreground; the first start makes a mesh."""
    become("coordinator", {})


def node(
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
    become("node_agent", node_environment(name, models or [], seed or []))


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
    os.execve(sys.executable, command, os.environ | environment)  # noqa: S606 - our own module
