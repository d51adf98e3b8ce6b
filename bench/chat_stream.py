"""One streamed answer of an OpenAI-compatible server, with as little of a client as will do.

Rivals are asked through it. A client that costs more would slow them down, not us: its core is one
of those that they compute on.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from bench.engine_sides import SAMPLING, Piece
from mesh.core.chat import Message

_DATA = b"data: "
_DONE = b"[DONE]"


async def chat_stream(
    address: str, messages: Sequence[Message], max_tokens: int, *, logprobs: int | None
) -> AsyncGenerator[Piece, None]:
    """Ask the server at ``address``, such as ``http://127.0.0.1:8000``; closing gives up.

    Raises:
        RuntimeError: it refused, or its answer is not as long as it was to be.
    """
    url = urlsplit(address)
    body = json.dumps(_request(messages, max_tokens, logprobs)).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {url.netloc}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(url.hostname, url.port, limit=1 << 20)
    try:
        writer.write(head.encode() + body)
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"the server at {address} refused: {status!r}")
        async for piece in _pieces(reader, max_tokens):
            yield piece
    finally:
        writer.close()


async def _pieces(reader: asyncio.StreamReader, max_tokens: int) -> AsyncGenerator[Piece, None]:
    told = 0
    while line := await reader.readline():
        # Each event comes in a chunk of its own, so a line that begins so is whole.
        if not line.startswith(_DATA):
            continue
        if line[len(_DATA) :].startswith(_DONE):
            break
        event = json.loads(line[len(_DATA) :])
        if (text := _text(event)) is not None:
            told += 1
            yield Piece(time.perf_counter(), 1, text)
        # Half characters are held back, so a few pieces may be missing until the end.
        used = (event.get("usage") or {}).get("completion_tokens", 0)
        if used > told:
            yield Piece(time.perf_counter(), used - told, "")
            told = used
    if told < 0.98 * max_tokens:
        raise RuntimeError(f"{told} tokens came, {max_tokens} were asked for")


def _text(event: Mapping[str, Any]) -> str | None:
    """Return what a token's event adds to the answer, None for any other event."""
    choices = event["choices"]
    text: str | None = choices[0]["delta"].get("content") if choices else None
    return text


def _request(
    messages: Sequence[Message], max_tokens: int, logprobs: int | None
) -> dict[str, object]:
    asked: dict[str, object] = {
        "model": "any",
        "messages": [{"role": each.role.value, "content": each.text} for each in messages],
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        "ignore_eos": True,
        "temperature": SAMPLING.temperature,
        "top_k": SAMPLING.top_k,
        "top_p": SAMPLING.top_p,
        "min_p": SAMPLING.min_p,
        "repeat_penalty": SAMPLING.repeat_penalty,
        "seed": SAMPLING.seed,
    }
    if logprobs is not None:
        asked |= {"logprobs": True, "top_logprobs": logprobs}
    return asked
