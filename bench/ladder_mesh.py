"""The mesh that the ladder is climbed in: a coordinator, a node and an upstream, all processes."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench.engine_rivals import LlamaServer, check_rivals_installed
from bench.ladder_rungs import Rungs
from bench.played_mesh import PlayedMesh, played_mesh
from mesh.cli.children import running
from mesh.cli.waiting import wait_for_mesh
from mesh.client import MeshClient, connect
from mesh.v1 import operations_pb2 as operations

SLOTS = 8  # of each model, and of the upstream
CONTEXT_TOKENS = 1024  # the test models' own
MAX_USD_PER_DAY = 5.0  # some hundred times what all of it costs with the test models
MODELS_WITHIN_S = 60.0
# Two operators' policies beside the built-in ones. One goes by the scorer alone. To the other
# nothing is good enough unseen: it begins on the cheapest model whose answer can be judged.
SCORER, CASCADE, BOTH = "scorer-only", "cascade-only", "balanced"
POLICIES = f"""
[policies.{SCORER}]
cascade = false

[policies.{CASCADE}]
target = 1.0
"""


@asynccontextmanager
async def upstream(rungs: Rungs) -> AsyncIterator[str]:
    """Give the address, up to its /v1, of whoever is paid; start it if it is ours to start."""
    if rungs.paid_file is None:
        yield rungs.upstream
        return
    check_rivals_installed()
    # One thread waits for nobody; more of them would spin on the cores that the mesh answers on.
    listening = LlamaServer("the upstream", threads=1).listening(
        rungs.paid_file, slots=SLOTS, context_tokens=CONTEXT_TOKENS
    )
    async with listening as (address, _):
        yield f"{address}/v1"


@asynccontextmanager
async def ladder_mesh(
    rungs: Rungs, address: str, scorer: Path | None = None
) -> AsyncIterator[MeshClient]:
    """Give a client of a new mesh that knows all rungs, and chooses by ``scorer``."""
    async with AsyncExitStack() as stack:
        settings = {} if scorer is None else {"DESKMESH_LADDER__SCORER": str(scorer)}
        mesh = await stack.enter_async_context(
            played_mesh(POLICIES + _cloud(rungs, address), **settings)
        )
        folder = mesh.folder / "models"
        folder.mkdir()
        for each in rungs.models:
            (folder / each.file.name).symlink_to(each.file)
        await stack.enter_async_context(
            running("node_agent", _node(mesh, folder), log_file=mesh.folder / "node.log")
        )
        await wait_for_mesh(
            mesh.coordinator_home,
            lambda view: _models(view) >= len(rungs.models),
            within_s=MODELS_WITHIN_S,
            what=f"node with {len(rungs.models)} models",
        )
        yield await stack.enter_async_context(connect(f"127.0.0.1:{mesh.local_port}"))


def _models(view: operations.MeshView) -> int:
    return sum(len(node.models) for node in view.nodes)


def _node(mesh: PlayedMesh, folder: Path) -> dict[str, str]:
    return {
        **mesh.environment(mesh.node_home, "node"),
        "DESKMESH_NODE__MODEL_FOLDERS": f'["{folder}"]',
        "DESKMESH_NODE__FIND_ENGINES": "false",
        "DESKMESH_NODE__TEST_MODELS": "false",  # those of the folder, and no other
        "DESKMESH_NODE__SLOTS": str(SLOTS),
        "DESKMESH_NODE__CONTEXT_TOKENS_MAX": str(CONTEXT_TOKENS),
    }


def _cloud(rungs: Rungs, address: str) -> str:
    read, written = rungs.price_usd
    return f"""
[cloud]
base_url = "{address}"
model = "{rungs.paid}"
max_usd_per_day = {MAX_USD_PER_DAY}
input_usd_per_million_tokens = {read}
output_usd_per_million_tokens = {written}
"""
