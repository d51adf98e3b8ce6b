"""The ports of this machine's own programs: ``http://localhost:7480``, and gRPC beside it.

Both listen on the loopback alone. A port that somebody else has is told, and keeps nothing else
from working: the machine lends all the same.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from starlette.routing import BaseRoute

from mesh.asking import Asking
from mesh.door.app import door
from mesh.door.listening import listening
from mesh.errors import ServiceError
from mesh.inference_service import Admitted, InferenceService
from mesh.serving import INFERENCE, listen_loopback, new_server
from mesh.settings import PortSettings

STOP_GRACE_S = 2.0  # running answers may finish for so long

log = logging.getLogger("node")


@asynccontextmanager
async def doors(
    asking: Asking, pages: Sequence[BaseRoute], ports: PortSettings
) -> AsyncIterator[None]:
    """Listen while the context is open, wherever that is possible."""
    async with AsyncExitStack() as stack:
        http = local = 0
        try:
            http = await stack.enter_async_context(listening(door(asking, pages), ports.http))
        except ServiceError as failure:
            _tell("tools and the page", failure)
        try:
            local = await stack.enter_async_context(_listening_grpc(asking, ports.local))
        except ServiceError as failure:
            _tell("gRPC", failure)
        if http:
            log.info("the mesh on this machine, for tools and browsers: http://localhost:%d", http)
        if local:
            log.info("and for gRPC: port %d", local)
        yield


@asynccontextmanager
async def _listening_grpc(asking: Asking, port: int) -> AsyncIterator[int]:
    server = new_server((INFERENCE,))
    admitted = Admitted("local", asking)
    InferenceService(lambda *_: admitted).add_to(server)
    at = listen_loopback(server, port, setting="LOCAL")
    await server.start()
    try:
        yield at
    finally:
        await server.stop(STOP_GRACE_S)


def _tell(what: str, failure: ServiceError) -> None:
    log.warning("programs of this machine do not reach the mesh by %s: %s", what, failure)
