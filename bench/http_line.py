"""One kept connection to an HTTP door, with as little of a client as will do.

What is measured is the door; clients cost what they cost, and the gRPC beside it is in C.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_FIRST_TEXT = b'"delta":{"content":'
_END = b"data: [DONE]\n\n\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class HttpLine:
    """Asks again and again on one connection, as tools do."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _request: bytes

    async def first_token_ms(self) -> float:
        """Ask once; return how long the first text took, when all of the answer is read."""
        began_s = time.perf_counter()
        self._writer.write(self._request)
        await self._reader.readuntil(_FIRST_TEXT)
        first_ms = (time.perf_counter() - began_s) * 1000
        await self._reader.readuntil(_END)
        return first_ms


@asynccontextmanager
async def http_line(port: int, prompt: str, max_tokens: int) -> AsyncIterator[HttpLine]:
    """Connect to the door on ``port`` of this machine."""
    body = json.dumps(
        {
            "model": "auto",
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "stream": True,
        }
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost:{port}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield HttpLine(reader, writer, head.encode() + body)
    finally:
        writer.close()
