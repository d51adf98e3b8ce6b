"""One answer of a local engine: loaded, run against the clock, and learned from.

An attempt of the mesh and a request of this machine's own programs get their tokens here.
"""

import asyncio
import traceback
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import cast

from mesh.core.embedding import Embeddings
from mesh.core.generation import Delta, Finished, Generation, GenerationEvent
from mesh.core.types import Capability
from mesh.errors import DeadlineExceeded, InternalError, NodeLost, Unsupported
from node_agent.engine.protocol import Engine
from node_agent.slot import Slot

# Names the way in which tokens are drawn: an answer may be continued where the name is the same.
SAMPLER_VERSION = "deskmesh-1"


async def warm_engine(slot: Slot, deadline_s: float | None) -> Engine:
    """Return the engine of ``slot`` once it is warm. The deadline is on the event loop's clock.

    Raises:
        DeadlineExceeded: not in time.
        NodeLost, Overloaded: as ``Slot.engine``.
    """
    try:
        async with asyncio.timeout_at(deadline_s):
            return await slot.engine()
    except TimeoutError:
        raise too_late("before the model was loaded") from None


async def embedding(
    engine: Engine, texts: Sequence[str], slot: Slot, deadline_s: float | None
) -> Embeddings:
    """Return the vectors of ``texts``; what the slot's owner must know, it learns here.

    Raises:
        DeadlineExceeded: they were not whole in time.
        MeshError: as ``Engine.embed``.
    """
    try:
        async with asyncio.timeout_at(deadline_s):
            made = await engine.embed(texts)
    except TimeoutError:
        raise too_late("before the texts were embedded") from None
    except NodeLost as failure:
        slot.lost(failure.message)
        raise
    slot.answered()
    return made


async def generating(
    engine: Engine, work: Generation, slot: Slot, deadline_s: float | None
) -> AsyncGenerator[GenerationEvent, None]:
    """Yield ``Started``, deltas, ``Finished``; what the slot's owner must know, it learns here.

    Raises:
        DeadlineExceeded: the answer was not whole in time.
        Unsupported: it is shown images, and sees none.
        MeshError: as ``Engine.generate``.
    """
    images = any(message.images for message in work.messages)
    if images and Capability.VISION not in engine.info.capabilities:
        raise Unsupported("the model sees no images", hint="ask one that does, or leave them out")
    answering = cast("AsyncGenerator[GenerationEvent, None]", engine.generate(work))
    async with aclosing(answering) as events:
        try:
            while (event := await _next(events, deadline_s)) is not None:
                match event:
                    case Delta():
                        slot.answered()
                    case Finished() if work.resume is None:  # else some of it was another's work
                        slot.learn(event)
                yield event
                if isinstance(event, Finished):
                    return
        except NodeLost as failure:
            slot.lost(failure.message)
            raise
    raise InternalError("the engine ended an answer without a word")


def too_late(when: str) -> DeadlineExceeded:
    return DeadlineExceeded(f"the time was up {when}", hint="allow more time")


def where(bug: BaseException) -> str:
    """Say what kind of failure it is and where; its own words may hold a prompt."""
    frames = traceback.extract_tb(bug.__traceback__)
    places = " > ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
    return f"{type(bug).__name__} at {places}"


async def _next(
    events: AsyncGenerator[GenerationEvent, None], deadline_s: float | None
) -> GenerationEvent | None:
    # Around the engine only: whoever takes the events has a clock of their own.
    try:
        async with asyncio.timeout_at(deadline_s):
            return await anext(events, None)
    except TimeoutError:
        raise too_late("before the answer was whole") from None
