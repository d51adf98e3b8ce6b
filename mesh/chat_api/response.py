"""The parts of an upstream's response that are no answer: its kind, a refusal's body, its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx2

from mesh.chat_api.refusals import BODY_BYTES_MAX
from mesh.errors import NodeLost


async def drain(parts: AsyncIterator[bytes], within_s: float) -> None:
    """Read the end of a stream after its last event, so that its connection may serve again."""
    with suppress(httpx2.HTTPError, TimeoutError):
        async with asyncio.timeout(within_s):
            async for _ in parts:
                return  # more than an end: not worth its while


async def refusal_body(response: httpx2.Response, within_s: float) -> bytes:
    """Read a refusal; one that is long, or does not come to its end, tells no code."""
    body = b""
    with suppress(httpx2.HTTPError, TimeoutError):
        async with asyncio.timeout(within_s):
            async for part in response.aiter_raw():
                body += part
                if len(body) > BODY_BYTES_MAX:
                    return b""
            return body
    return b""


def check_kind(response: httpx2.Response) -> None:
    kind = response.headers.get("content-type", "")
    if not kind.lower().startswith("text/event-stream"):
        raise NodeLost("the upstream answered with something else than a stream of events")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise NodeLost("the upstream compressed its answer though it was asked not to")
