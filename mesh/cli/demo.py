"""``deskmesh demo``: two machines played on this one, from the invitation to the receipts."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import typer

from mesh.cli.children import running
from mesh.cli.machine import require_engine, this_command
from mesh.cli.operations import new_invitation
from mesh.cli.output import console, seconds
from mesh.cli.receipt import summary
from mesh.cli.status import show_mesh
from mesh.cli.waiting import has_nodes, wait_for_mesh
from mesh.client import MeshClient
from mesh.errors import DeadlineExceeded, NoCapableNode
from mesh.home import Home
from mesh.identity.store import IdentityStore
from mesh.joining import join
from mesh.member import reach_coordinator
from mesh.v1 import operations_pb2 as operations

START_WITHIN_S = 30.0
MULTICAST_WITHIN_S = 10.0

# A demonstration touches nothing of the user's: homes of its own, any free port, no models of
# theirs, and no DESKMESH_* setting of the surrounding shell can lead it astray.
_FREE_PORTS = {f"DESKMESH_PORTS__{port}": "0" for port in ("MESH", "JOIN", "LOCAL", "HTTP")}


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo() -> None:
    """Play two machines here: they find each other, and answer one prompt of each toy task."""
    require_engine()
    with tempfile.TemporaryDirectory(prefix="deskmesh-demo-") as folder:
        asyncio.run(_demo(Path(folder)))


async def _demo(folder: Path) -> None:
    coordinator_home, node_home = Home(folder / "coordinator"), Home(folder / "desk-1")
    async with AsyncExitStack() as stack:
        console.print("1. A coordinator starts, and makes a mesh with its own CA.")
        environment = _environment(coordinator_home, "office")
        log = folder / "coordinator.log"
        await stack.enter_async_context(running("coordinator", environment, log_file=log))
        await wait_for_mesh(
            coordinator_home, lambda _: True, within_s=START_WITHIN_S, what="coordinator"
        )
        console.print("2. A second machine joins with a one-time code.")
        code, _ = await new_invitation("node", "desk-1", coordinator_home)
        peer = await join(node_home, code, machine_name="desk-1")
        console.print(f"   joined mesh {peer.mesh_id}; its certificate is good for 24 hours")
        view = await _start_node(stack, coordinator_home, node_home, folder)
        console.print(
            "4. One prompt of each task that its toy model knows. Long counts and 2-digit"
        )
        console.print("   sums are beyond it, on purpose: a mesh must notice such answers.\n")
        await _ask_each(coordinator_home, view)
        console.print("5. The mesh:\n")
        show_mesh(
            await wait_for_mesh(
                coordinator_home, has_nodes(1), within_s=START_WITHIN_S, what="node"
            )
        )
        console.print(f"\nNext: `{this_command()} up` starts a mesh of your own.", style="bold")


async def _start_node(
    stack: AsyncExitStack, coordinator_home: Home, node_home: Home, folder: Path
) -> operations.MeshView:
    """Let the node find its coordinator by mDNS; by its address where there is no multicast."""
    console.print(
        "3. Its node starts. It knows no address: it listens for its coordinator by mDNS."
    )
    store = IdentityStore(node_home)
    membership = store.membership()
    store.save_membership(membership.model_copy(update={"coordinators": ()}))
    began_s = asyncio.get_running_loop().time()
    environment = _environment(node_home, "desk-1")
    log = folder / "desk-1.log"
    async with AsyncExitStack() as attempt:
        await attempt.enter_async_context(running("node_agent", environment, log_file=log))
        try:
            view = await wait_for_mesh(
                coordinator_home, has_nodes(1), within_s=MULTICAST_WITHIN_S, what="node"
            )
        except DeadlineExceeded:
            console.print("   no multicast here: it starts again with the address from its code")
        else:
            took_s = asyncio.get_running_loop().time() - began_s
            console.print(f"   found and attached {seconds(took_s)} after its process was started")
            stack.push_async_exit(attempt.pop_all())
            return view
    store.save_membership(membership)
    await stack.enter_async_context(running("node_agent", environment, log_file=log))
    return await wait_for_mesh(coordinator_home, has_nodes(1), within_s=START_WITHIN_S, what="node")


async def _ask_each(home: Home, view: operations.MeshView) -> None:
    models = [model for node in view.nodes for model in node.models]
    if not models:
        raise NoCapableNode("the demonstration's node has no model", hint="is the wheel complete?")
    async with await reach_coordinator(home) as channel:
        mesh = MeshClient(channel)
        for prompt in models[0].examples:
            console.print(f"   {prompt}", style="bold")
            console.print("   ", end="")
            async with mesh.generate(prompt, temperature=0.0, max_tokens=320) as answer:
                async for text in answer:
                    console.print(text, end="", soft_wrap=True)
            account = summary(answer.receipt, answer.usage)
            console.print(f"\n   {account}\n", style="dim", soft_wrap=True)


def _environment(home: Home, name: str) -> dict[str, str]:
    return {
        "DESKMESH_HOME": str(home.root),
        "DESKMESH_NODE__NAME": name,
        "DESKMESH_NODE__MODEL_FOLDERS": f'["{home.models}"]',
        "DESKMESH_NODE__FIND_ENGINES": "false",
        "DESKMESH_NODE__TEST_MODELS": "true",
        "DESKMESH_NODE__GENEROSITY": "full",  # the user asks here, whatever else runs
        "DESKMESH_NODE__ON_BATTERY": "serve",
        **_FREE_PORTS,
    }
