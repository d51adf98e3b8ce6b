"""What is compared: our engine, as the agent holds it, behind what every side has in common."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mesh.core.chat import Message, Role
from mesh.core.generation import Delta, Finished, Generation, Sampling
from mesh.core.types import FinishReason
from node_agent.engine.supervisor import EngineProcess

# llama.cpp's defaults, given to every side by name: nobody draws tokens more cheaply than others.
SAMPLING = Sampling(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05, seed=7)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some tokens of an answer, when they reached the one who asked."""

    at_s: float  # on ``time.perf_counter``
    tokens: int
    text: str


class Served(Protocol):
    """A loaded model that answers."""

    @property
    def pid(self) -> int:
        """The process that computes."""
        ...

    def answer(
        self, messages: Sequence[Message], max_tokens: int, *, logprobs: int | None = None
    ) -> AsyncGenerator[Piece, None]:
        """Answer in exactly ``max_tokens``; closing the iterator gives up."""
        ...


class Side(Protocol):
    """One of those who are compared."""

    @property
    def name(self) -> str: ...

    def serving(
        self, model: Path, *, slots: int, context_tokens: int
    ) -> AbstractAsyncContextManager[Served]:
        """Load ``model`` in a new process, and end it on leaving."""
        ...


class Ours:
    """Our engine in its own process, through the object that a node agent holds."""

    name = "deskmesh"

    @asynccontextmanager
    async def serving(
        self, model: Path, *, slots: int, context_tokens: int
    ) -> AsyncIterator[Served]:
        engine = await EngineProcess.start(model, context_tokens=context_tokens, slots=slots)
        try:
            yield _OurEngine(engine)
        finally:
            await engine.close()


class _OurEngine:
    def __init__(self, engine: EngineProcess) -> None:
        self._engine = engine

    @property
    def pid(self) -> int:
        return self._engine.pid

    async def answer(
        self, messages: Sequence[Message], max_tokens: int, *, logprobs: int | None = None
    ) -> AsyncGenerator[Piece, None]:
        work = Generation(tuple(messages), SAMPLING, max_tokens=max_tokens, logprobs=logprobs)
        events = self._engine.generate(work)
        try:
            async for event in events:
                if isinstance(event, Delta):
                    yield Piece(time.perf_counter(), len(event.ids), event.text)
                elif isinstance(event, Finished):
                    assert event.reason is FinishReason.LENGTH, "the answer ended by itself"
        finally:
            await events.aclose()


def asking(text: str) -> tuple[Message, ...]:
    """Return a chat's first turn."""
    return (Message(Role.USER, text),)
