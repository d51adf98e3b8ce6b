"""What the agent asks of an engine, whichever it is.

An engine holds one warm model. ``generate`` yields ``Started``, any number of ``Delta`` and one
``Finished``, or raises. Closing the iterator (``aclose``, or cancelling the task that reads it)
cancels the work within one decode step and frees the slot before it returns.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mesh.core.chat import Message, Tool
from mesh.core.embedding import Embeddings
from mesh.core.generation import Generation, GenerationEvent
from mesh.core.types import Capability, PrefixHeld
from mesh.errors import NodeError


class LoadFailed(NodeError):
    """This machine's engine can't load the model; another machine may.

    Never crosses the wire: the agent reports the replica as FAILED, with the message as its reason.
    """


class LoadDied(LoadFailed):
    """The process that was to load it died of it, by a signal or an assertion."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a loaded engine says of itself."""

    context_tokens: int  # of one slot
    slots: int
    capabilities: frozenset[Capability]
    numerics: str  # fingerprint of whatever decides rounding
    load_s: float  # seconds the load took
    gpu_layers: int = 0  # of the model's, the output among them
    gpu_off: float = 1.0  # what it took of the GPUs, of what was foretold


class Engine(Protocol):
    """One warm model."""

    @property
    def info(self) -> EngineInfo: ...

    def generate(self, work: Generation) -> AsyncIterator[GenerationEvent]:
        """Answer ``work``.

        Raises:
            ContextOverflow: the prompt leaves no room for an answer.
            InvalidRequest: the template refuses the messages, or a parameter is out of range.
            Unsupported: the model embeds text.
            Overloaded: every slot is taken.
            NodeLost: the engine's process died or wedged; load the model again.
        """
        ...

    async def count_tokens(self, messages: Sequence[Message], tools: Sequence[Tool]) -> int:
        """Return how many tokens the model reads before it answers ``messages``.

        An embedding model has no template: the tokens of each text, embedded alone. Takes no slot.

        Raises:
            InvalidRequest: the template refuses the messages.
            Overloaded: too many are counted at a time.
            NodeLost: as ``generate``.
        """
        ...

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Return a vector for each text; a cancellation frees the slot, as ``generate`` does.

        Raises:
            Unsupported: the model writes text.
            ContextOverflow: a text is longer than the model takes; none is ever cut.
            InvalidRequest: there are too many texts, or one is empty.
            Overloaded, NodeLost: as ``generate``.
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
