"""What the agent asks of an engine, whichever it is.

An engine holds one warm model. ``generate`` yields ``Started``, any number of ``Delta`` and one
``Finished``, or raises. Closing the iterator (``aclose``, or cancelling the task that reads it)
cancels the work within one decode step and frees the slot before it returns.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mesh.core.generation import Generation, GenerationEvent
from mesh.core.types import Capability, PrefixHeld
from mesh.errors import NodeError


class LoadFailed(NodeError):
    """This machine's engine can't load the model; another machine may.

    Never crosses the wire: the agent reports the replica as FAILED, with the message as its reason.
    """


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a loaded engine says of itself."""

    context_tokens: int  # of one slot
    slots: int
    capabilities: frozenset[Capability]
    numerics: str  # fingerprint of whatever decides rounding
    load_s: float  # seconds the load took


class Engine(Protocol):
    """One warm model."""

    @property
    def info(self) -> EngineInfo: ...

    def generate(self, work: Generation) -> AsyncIterator[GenerationEvent]:
        """Answer ``work``.

        Raises:
            ContextOverflow: the prompt leaves no room for an answer.
            InvalidRequest: the template refuses the messages, or a parameter is out of range.
            Overloaded: every slot is taken.
            NodeLost: the engine's process died or wedged; load the model again.
        """
        ...

    async def wait_dead(self) -> str:
        """Return once the engine can serve no more, with the reason in words for people."""
        ...

    async def close(self) -> None:
        """Free everything; work in progress is lost. May be called twice."""
        ...


@runtime_checkable
class HoldsPrefixes(Protocol):
    """An engine that knows what its slots hold of earlier prompts; not every engine does."""

    @property
    def prefixes(self) -> tuple[PrefixHeld, ...]:
        """What is held now of prompts that came with hashes, newest first."""
        ...

    def watch_prefixes(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever ``prefixes`` has."""
        ...
