"""Serving an HTTP application on this machine's loopback, within the loop that runs already."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from mesh.errors import ServiceError

# localhost is ::1 first on many systems; a tool that tries only one of the two must find us.
LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
CONNECTIONS_MAX = 1024  # tools keep a few open each; past this one more is answered 503
STOP_WITHIN_S = 2  # running answers may finish for so long


@asynccontextmanager
async def listening(app: ASGIApp, port: int) -> AsyncIterator[int]:
    """Serve ``app`` while the context is open; give the port, which 0 leaves to the system.

    Raises:
        ServiceError: the port is in use, or may not be used.
    """
    sockets = bind_loopback(port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # paths and queries are nobody's business
        lifespan="off",
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        server_header=False,
        ws="none",
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets), name="http door")
    try:
        yield sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


def bind_loopback(port: int) -> list[socket.socket]:
    """Return sockets bound to one port of each loopback address that this machine has.

    Raises:
        ServiceError: the port is in use, or may not be used.
    """
    bound: list[socket.socket] = []
    try:
        for family, host in LOOPBACKS:
            try:
                bound.append(_bind(family, host, bound[0].getsockname()[1] if bound else port))
            except OSError as failure:
                # A machine without IPv6 has no ::1; and a port of 0 may be taken there.
                if not bound or (port and failure.errno == errno.EADDRINUSE):
                    raise
    except OSError as failure:
        for each in bound:
            each.close()
        raise ServiceError(
            f"cannot listen on port {port}: {failure.strerror or failure}",
            hint="does deskmesh run here already? else set DESKMESH_PORTS__HTTP to another",
        ) from None
    return bound


def _bind(family: int, host: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


class _Server(uvicorn.Server):
    """Signals are the process's own business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
