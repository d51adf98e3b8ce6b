"""Sends what changed on the page to those who look: server-sent events, once a second at most."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from coordinator.pages.board import Board
from mesh.errors import Overloaded

log = logging.getLogger(__name__)

EVERY_S = 1.0  # what people can follow; sixty events a second become one message
BEAT_EVERY_S = 5.0  # so that a page knows that silence is calm, not a dead connection
STREAMS_MAX = 64  # pages that are open at a time, of all machines: 64 x 30 KB/s at a hundred nodes
RETRY_MS = 2000


class Live:
    """Renews the board while anyone looks. ``running()`` owns the one task of it."""

    def __init__(self, board: Board, *, every_s: float = EVERY_S) -> None:
        self._board = board
        self._every_s = every_s
        self._streams = 0
        self._somebody = asyncio.Event()
        self._renewed = asyncio.Event()
        self._closed = False

    @property
    def streams(self) -> int:
        """How many look."""
        return self._streams

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Renew the board while the context is open; at its end every stream ends."""
        async with asyncio.TaskGroup() as tasks:
            renewing = tasks.create_task(self._renew(), name="page")
            try:
                yield
            finally:
                renewing.cancel()
                self._closed = True
                self._renewed.set()

    def follow(self, tag: str) -> AsyncGenerator[bytes, None]:
        """Return the stream of what changes after the state ``tag``, as server-sent events.

        Raises:
            Overloaded: too many look already.
        """
        if self._streams >= STREAMS_MAX:
            raise Overloaded(
                f"{STREAMS_MAX} pages are open on this mesh already",
                hint="close some, or reload this one by hand",
            )
        return self._follow(tag)

    async def _follow(self, tag: str) -> AsyncGenerator[bytes, None]:
        if self._streams >= STREAMS_MAX:
            return  # others began between ``follow`` and here
        self._streams += 1
        self._somebody.set()
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            version = self._board.version_of(tag)
            if version is None:  # a page of an earlier process: its parts, and its script, are old
                yield event("reload", "{}", self._board.tag)
                return
            while not self._closed:
                renewed = self._renewed
                if told := self._board.changes(version):
                    version = self._board.version
                    yield event("changed", told, self._board.tag)
                try:
                    async with asyncio.timeout(BEAT_EVERY_S):
                        await renewed.wait()
                except TimeoutError:
                    yield event("beat", "{}", self._board.tag)
        finally:
            self._streams -= 1
            if not self._streams:
                self._somebody.clear()

    async def _renew(self) -> None:
        while True:
            await self._somebody.wait()
            try:
                self._board.refresh()
            except Exception as bug:  # of a page: no reason to end a mesh that answers
                log.error("the page could not be drawn: %s", type(bug).__name__)
            renewed, self._renewed = self._renewed, asyncio.Event()
            renewed.set()
            await asyncio.sleep(self._every_s)


def event(name: str, data: str, tag: str) -> bytes:
    """Return one server-sent event. ``data`` is JSON, so it holds no line end."""
    return f"event: {name}\nid: {tag}\ndata: {data}\n\n".encode()
