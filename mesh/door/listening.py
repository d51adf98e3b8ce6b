"""Serving an HTTP application on this machine's loopback, within the loop that runs already."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

from mesh.door.connection import Connection
from mesh.errors import ServiceError

# localhost is ::1 first on many systems; a tool that tries only one of the two must find us.
LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
WAITING_MAX = 128  # connections that wait to be accepted, which takes a millisecond
HEADER_BYTES_MAX = 32 * 1024  # a browser's cookies for localhost, of every program ever tried there
KEEP_ALIVE_S = 75  # longer than clients keep an idle connection, so that none is cut as it is used
STOP_WITHIN_S = 2  # running answers may finish for so long
ENDED_WITHIN_S = 1.0  # and then have so long to take note that they were cancelled


@asynccontextmanager
async def listening(app: ASGIApp, port: int) -> AsyncIterator[int]:
    """Serve ``app`` while the context is open; give the port, which 0 leaves to the system.

    Raises:
        ServiceError: the port is in use, or may not be used.
    """
    sockets = bind_loopback(port)
    server = _Server(_config(app))
    # Its end is awaited below; its failure is the body's to hear of at its own end.
    serving = asyncio.create_task(server.serve(sockets), name="http door")
    try:
        yield sockets[0].getsockname()[1]
    finally:
        server.stop()
        await serving
        if tasks := server.server_state.tasks:
            await asyncio.wait(tasks, timeout=ENDED_WITHIN_S)


def bind_loopback(port: int) -> list[socket.socket]:
    """Return sockets that listen on one port of each loopback address that this machine has.

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
    # asyncio lets small writes go at once (TCP_NODELAY) only where it is told that this is TCP;
    # else a first token waits 40 ms for the acknowledgement of its headers (measured).
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        # At once: with that option two may bind a port, and the second to listen is refused. And
        # whoever connects before uvicorn accepts waits, and is not turned away.
        made.listen(WAITING_MAX)
    except OSError:
        made.close()
        raise
    return made


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        backlog=WAITING_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        h11_max_incomplete_event_size=HEADER_BYTES_MAX,
        server_header=False,
        proxy_headers=False,  # nothing stands before it, and a client's word on it counts nothing
        log_config=None,
        # The application logs its own bugs, without the words of a request; the rest is noise.
        log_level="critical",
        access_log=False,  # paths and queries are nobody's business
    )


class _Server(uvicorn.Server):
    """Takes no signals, which are the process's own business, and wakes once a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        """uvicorn's own wakes ten times a second, which an idle laptop's owner pays for."""
        seconds = 0
        while not await self.on_tick(10 * seconds):
            seconds += 1
            try:
                async with asyncio.timeout(1.0):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's own waits 0.1 s for connections to end, also where there is none."""
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for each in (*self.servers, *(sockets or ())):
            each.close()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
