"""A mesh of real processes on this machine, for benchmarks: a coordinator and a joined home."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mesh.cli.children import Child, running
from mesh.cli.operations import new_invitation
from mesh.cli.waiting import wait_for_mesh
from mesh.home import Home
from mesh.joining import join

START_WITHIN_S = 30.0
FREE_PORTS = {f"DESKMESH_PORTS__{port}": "0" for port in ("MESH", "JOIN", "LOCAL", "HTTP")}


@dataclass(frozen=True, slots=True)
class PlayedMesh:
    """A running coordinator, and the home of a machine that has joined it."""

    folder: Path
    coordinator: Child
    coordinator_home: Home
    node_home: Home
    local_port: int  # of the coordinator, plain text on loopback
    http_port: int  # of its HTTP door

    def environment(self, home: Home, name: str) -> dict[str, str]:
        return environment(home, name)


@asynccontextmanager
async def played_mesh(toml: str = "", **settings: str) -> AsyncIterator[PlayedMesh]:
    """Start a coordinator in a home of its own and join a second home to it.

    ``toml`` is the coordinator's settings file, ``settings`` are further variables for its
    environment.
    """
    with TemporaryDirectory(prefix="deskmesh-bench-") as name:
        folder = Path(name)
        home, node_home = Home(folder / "coordinator"), Home(folder / "node")
        home.root.mkdir()
        home.settings_file.write_text(toml)
        local_port, http_port = free_port(), free_port()
        given = {
            **environment(home, "coordinator"),
            "DESKMESH_PORTS__LOCAL": str(local_port),
            "DESKMESH_PORTS__HTTP": str(http_port),
            **settings,
        }
        log = folder / "coordinator.log"
        async with running("coordinator", given, log_file=log) as coordinator:
            await wait_for_mesh(home, lambda _: True, within_s=START_WITHIN_S, what="coordinator")
            code, _ = await new_invitation("node", "", home)
            await join(node_home, code, machine_name="node")
            yield PlayedMesh(folder, coordinator, home, node_home, local_port, http_port)


def environment(home: Home, name: str) -> dict[str, str]:
    """Nothing of this machine's owner gets into a benchmark: no models, no multicast."""
    return {
        "DESKMESH_HOME": str(home.root),
        "DESKMESH_NODE__NAME": name,
        "DESKMESH_NODE__MODEL_FOLDERS": "[]",
        "DESKMESH_NODE__FIND_ENGINES": "false",
        "DESKMESH_NODE__GENEROSITY": "full",  # what asks is no owner to step back for
        "DESKMESH_NODE__ON_BATTERY": "serve",
        "DESKMESH_DISCOVERY__MULTICAST": "false",
        **FREE_PORTS,
    }


def free_port() -> int:
    """Return a port of loopback that is free now; nobody else is likely to take it at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
