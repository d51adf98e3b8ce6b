"""Waiting until a mesh that was just started can be used."""

import asyncio
from collections.abc import Callable

from mesh.cli.operations import mesh_view
from mesh.errors import DeadlineExceeded, NodeLost, NotAuthenticated
from mesh.home import Home
from mesh.v1 import operations_pb2 as operations

LOOK_EVERY_S = 0.1


async def wait_for_mesh(
    home: Home, enough: Callable[[operations.MeshView], bool], *, within_s: float, what: str
) -> operations.MeshView:
    """Look at the mesh of ``home`` until ``enough`` of it is there.

    Raises:
        DeadlineExceeded: it is not, within ``within_s``; ``what`` says what was awaited.
    """
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    view = await mesh_view(home)
                except (NodeLost, NotAuthenticated):
                    pass  # not listening yet, or its certificates are not written yet
                else:
                    if enough(view):
                        return view
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise DeadlineExceeded(
            f"no {what} within {within_s:.0f} s", hint="its log above says why"
        ) from None


def knows_its_models(view: operations.MeshView) -> bool:
    """A node is there and has read every model file that it found, whether any is good or not."""
    alive = [node for node in view.nodes if node.state == operations.NODE_STATE_ALIVE]
    return bool(alive) and not any(node.files_unread for node in alive)


def has_nodes(count: int) -> Callable[[operations.MeshView], bool]:
    """At least so many nodes are there, each with a model."""

    def enough(view: operations.MeshView) -> bool:
        return sum(bool(node.models) for node in view.nodes) >= count

    return enough
