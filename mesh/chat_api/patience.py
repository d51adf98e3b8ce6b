"""How long an upstream may be silent, and how the wait for its next sign of life is bounded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mesh.errors import NodeLost


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an upstream may be silent. Seconds."""

    connect_s: float = 10.0
    first_token_s: float = 120.0  # a model that reasons out of sight takes a minute
    chunk_s: float = 60.0
    usage_s: float = 5.0  # after the answer is whole; then it is estimated
    refusal_s: float = 5.0  # for the body of a refusal
    drain_s: float = 1.0  # for the end of the stream, which saves the connection for the next call


@asynccontextmanager
async def sign_of_life(by_s: float) -> AsyncIterator[asyncio.Timeout]:
    """Bound the wait for the next sign of life; whoever sees one puts the bound off.

    Raises:
        NodeLost: none came.
    """
    try:
        async with asyncio.timeout_at(by_s) as waiting:
            yield waiting
    except TimeoutError:
        raise NodeLost("the upstream was silent for too long") from None


def put_off(waiting: asyncio.Timeout, by_s: float) -> None:
    waiting.reschedule(asyncio.get_running_loop().time() + by_s)
