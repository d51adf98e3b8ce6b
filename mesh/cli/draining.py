"""Draining a node by name: nothing new begins there, what runs finishes."""

import asyncio
from collections.abc import Sequence

from mesh.cli.operations import CALL_WITHIN_S, calling
from mesh.cli.output import console, print_json
from mesh.cli.status import state_of
from mesh.errors import InvalidRequest
from mesh.v1 import operations_pb2 as operations
from mesh.v1 import operations_pb2_grpc as operations_grpc
from mesh.wire.plain import to_plain

NAMES_SHOWN_MAX = 8
ID_CHARACTERS_MIN = 6  # of a node's id: 30 bits, so two of one mesh hardly ever share them


def drain_node(name: str, reason: str, *, resume: bool) -> operations.NodeView:
    """Drain the node that ``name`` names, or let it have requests again; return how it is then.

    Raises:
        InvalidRequest: no node is called so, or several are.
        MeshError: the coordinator cannot be reached, or forbids it.
    """
    return asyncio.run(_drain(name, reason, resume=resume))


def say(node: operations.NodeView, *, as_json: bool) -> None:
    if as_json:
        print_json({"node": to_plain(node)})
    else:
        console.print(f"{node.machine.name}: {state_of(node).plain}")


async def _drain(name: str, reason: str, *, resume: bool) -> operations.NodeView:
    async with calling() as stub:
        node_id = named((await _mesh(stub)).nodes, name).node_id
        request = operations.DrainNodeRequest(node_id=node_id, reason=reason, resume=resume)
        await stub.DrainNode(request, timeout=CALL_WITHIN_S)
        return named((await _mesh(stub)).nodes, node_id)


async def _mesh(stub: operations_grpc.OperationsStub) -> operations.MeshView:
    view: operations.MeshView = await stub.GetMesh(
        operations.GetMeshRequest(), timeout=CALL_WITHIN_S
    )
    return view


def named(nodes: Sequence[operations.NodeView], wanted: str) -> operations.NodeView:
    """Return the one node that ``wanted`` names.

    Raises:
        InvalidRequest: no node is called so, or several are.
    """
    word = wanted.strip().lower()
    fits = [each for each in nodes if each.node_id == word]
    fits = fits or [each for each in nodes if each.machine.name.lower() == word and word]
    if not fits and len(word) >= ID_CHARACTERS_MIN:
        fits = [each for each in nodes if each.node_id.startswith(word)]
    if not fits:
        names = _listed([each.machine.name for each in nodes])
        hint = f"there is {names}" if names else "no node has attached yet"
        raise InvalidRequest(f"no node is called {wanted[:64]!r}", hint=hint)
    if len(fits) > 1:
        ids = _listed([each.node_id for each in fits])
        raise InvalidRequest(
            f"{len(fits)} nodes are called {wanted[:64]!r}", hint=f"name one by its id: {ids}"
        )
    return fits[0]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
    return ", ".join(names[:NAMES_SHOWN_MAX]) + more
