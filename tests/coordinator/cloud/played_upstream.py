"""An upstream that does what the test says, over real sockets, and keeps a log of its own.

It speaks HTTP/1.1 by hand: most of what it is for, no HTTP server would do.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

WITHIN_S = 5.0  # far longer than anything here takes; a test that hangs fails


@dataclass(slots=True)
class Asked:
    """One request as it came over the wire, and the way back."""

    line: str
    headers: dict[str, str]
    body: dict[str, Any]
    writer: asyncio.StreamWriter
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # the other side closed

    async def raw(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    async def begin(self, kind: str = "text/event-stream; charset=utf-8", more: str = "") -> None:
        head = (
            f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{more}transfer-encoding: chunked\r\n\r\n"
        )
        await self.raw(head.encode())

    async def send(self, *parts: bytes) -> None:
        """Send parts of the body, each as one chunk of HTTP."""
        for part in parts:
            await self.raw(f"{len(part):x}\r\n".encode() + part + b"\r\n")

    async def event(self, *chunks: object) -> None:
        for chunk in chunks:
            await self.send(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    async def text(self, *texts: str) -> None:
        for text in texts:
            await self.event(delta({"content": text}))

    async def done(self) -> None:
        await self.send(b"data: [DONE]\n\n")
        await self.raw(b"0\r\n\r\n")

    async def answer(self, *texts: str, usage: object = None, reason: str = "stop") -> None:
        """A whole answer, as OpenAI gives it."""
        await self.begin()
        await self.event(delta({"role": "assistant", "content": ""}))
        await self.text(*texts)
        await self.event(delta({}, reason))
        if usage is not None:
            await self.event({"choices": [], "usage": usage})
        await self.done()

    async def refuse(self, status: int, error: object = None, more: str = "") -> None:
        body = json.dumps({"error": error}).encode() if error is not None else b""
        head = f"HTTP/1.1 {status} No\r\ncontent-type: application/json\r\n{more}"
        await self.raw(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    def reset(self) -> None:
        """Break the connection off."""
        self.writer.transport.abort()

    async def left(self) -> None:
        """Wait until the other side has closed the connection."""
        async with asyncio.timeout(WITHIN_S):
            await self.gone.wait()


Behaviour = Callable[[Asked], Awaitable[None]]


def delta(told: object, reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": told, "finish_reason": reason}]}


def usage(prompt: int = 10, completion: int = 2, **more: object) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


async def hello(asked: Asked) -> None:
    await asked.answer("hel", "lo", usage=usage())


async def hangs_at_once(asked: Asked) -> None:
    await asked.left()


async def hangs_after_a_token(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    await asked.left()


class PlayedUpstream:
    """A server on loopback. ``behave`` is what it does with each request."""

    def __init__(self) -> None:
        self.behave: Behaviour = hello
        self.connections = 0
        self.asked: list[Asked] = []
        self.failures: list[BaseException] = []  # of the test's own script
        self._came = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        serving = [task for task in self._open.values() if task is not None]
        for writer in list(self._open):
            writer.transport.abort()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, self._server.wait_closed())
        assert self.failures == []

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def next(self) -> Asked:
        """Wait for the next request."""
        seen = len(self.asked)
        async with asyncio.timeout(WITHIN_S):
            while len(self.asked) == seen:
                self._came.clear()
                await self._came.wait()
        return self.asked[-1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open[writer] = asyncio.current_task()
        try:
            while (asked := await _read(reader, writer)) is not None:
                await self._serve(asked, reader)
        except ConnectionError:
            pass
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            del self._open[writer]
            writer.close()

    async def _serve(self, asked: Asked, reader: asyncio.StreamReader) -> None:
        self.asked.append(asked)
        self._came.set()
        watching = asyncio.create_task(_watch(reader, asked))
        try:
            await self.behave(asked)
        except ConnectionError:
            pass  # whoever asked has heard enough
        except Exception as failure:
            self.failures.append(failure)
            raise
        finally:
            if asked.writer.transport.is_closing():
                asked.gone.set()  # whoever wrote saw it before whoever watches did
            watching.cancel()
            await asyncio.wait([watching])  # only one may wait for what comes


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *rest = head.decode().split("\r\n")
        told = (each.partition(": ") for each in rest if each)
        headers = {name.lower(): value for name, _, value in told}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        return None  # whoever asked is gone
    return Asked(line, headers, json.loads(body) if body else {}, writer)


async def _watch(reader: asyncio.StreamReader, asked: Asked) -> None:
    """See the other side close. It sends nothing before it has its answer, so nothing is lost."""
    with suppress(ConnectionError):
        assert await reader.read(1) == b""
    asked.gone.set()
