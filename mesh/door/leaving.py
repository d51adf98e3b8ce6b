"""What ends a request early: its client leaves, or this machine's deskmesh stops."""

from typing import NoReturn

from starlette.types import Receive

from mesh.door.body import ClientLeft
from mesh.errors import MeshError, NodeLost


async def until_client_leaves(receive: Receive) -> NoReturn:
    """Raise ClientLeft, which cancels the answer, once the connection ends."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientLeft


def stopping() -> MeshError:
    """Why an answer is cancelled from outside. If its client has left, nobody is told."""
    return NodeLost("deskmesh is stopping on this machine", hint="ask again")
