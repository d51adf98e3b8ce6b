"""A played mesh behind the real page and the real door, for tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.played_page import PlayedMesh
from mesh.core import events
from mesh.core.types import (
    Load,
    Machine,
    Model,
    ModelIdentity,
    NodeId,
    Offer,
    ReplicaState,
    ReplicaStatus,
)
from mesh.door.app import door
from mesh.door.listening import listening
from mesh.sim.world import Traffic
from mesh.testing import PlayedAsking

QUIET = Traffic(requests_per_s=0.0)
SEED = 3


def played_mesh(nodes: int, traffic: Traffic = QUIET, *, past_s: float = 5.0) -> PlayedMesh:
    mesh = PlayedMesh(nodes, traffic, misfortune=0.0, seed=SEED)
    mesh.live_through(past_s)
    return mesh


@asynccontextmanager
async def served(mesh: PlayedMesh, *, port: int = 0) -> AsyncIterator[str]:
    """Serve the page while the context is open, and play on; give its address."""
    app = door(PlayedAsking(), mesh.pages.routes())
    async with listening(app, port) as at, mesh.pages.live.running(), asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(mesh.go_on())
        try:
            yield f"http://localhost:{at}"
        finally:
            playing.cancel()


def attach(mesh: PlayedMesh, name: str, model: str, *, connection_id: int = 1) -> NodeId:
    """Let a node attach that the world knows nothing of, called as it pleases."""
    node_id = NodeId(f"{connection_id:016x}{0:048x}")
    told = Model(ModelIdentity("a" * 64, "", "Q8_0"), (model,), "llama", 10**9, 10**9, 4096)
    mesh.fleet.handle(
        events.NodeAttached(
            connection_id=connection_id,
            node_id=node_id,
            machine=Machine(name, "Linux x86_64", 4, 8 * 2**30, "0.1.0"),
            offers=(Offer(told, 4096),),
            statuses=((told.model_id, ReplicaStatus(ReplicaState.WARM, slots=2)),),
            load=Load(cpu=0.5, memory=0.25),
        ),
        mesh.clock(),
    )
    return node_id
