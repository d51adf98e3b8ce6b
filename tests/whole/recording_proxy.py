"""Stands before a real server, and keeps the first line of each request that comes by.

Each connection carries one request, as deskmesh asks engines. Closed, nobody listens there.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.played_mesh import free_port


@dataclass(slots=True)
class RecordingProxy:
    """A port that stays the same, whoever serves behind it."""

    port: int = field(default_factory=free_port)
    asked: list[str] = field(default_factory=list)  # such as "GET /v1/models"
    _to: tuple[str, int] = ("", 0)
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self, to: str) -> None:
        """Pass on to the server at ``to``."""
        url = urlsplit(to)
        assert url.hostname
        assert url.port
        self._to = url.hostname, url.port
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Break every connection off, and listen no more."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            line = await reader.readuntil(b"\r\n")
            self.asked.append(line.decode().rpartition(" ")[0])
            there, back = await asyncio.open_connection(*self._to)
            self._writers |= {writer, back}
            try:
                back.write(line)
                either = [_pass(reader, back), _pass(there, writer)]
                tasks = [asyncio.create_task(each) for each in either]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                back.transport.abort()
                self._writers -= {writer, back}
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    await writer.drain()
