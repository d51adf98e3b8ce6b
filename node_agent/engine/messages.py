"""What agent and engine process say to each other: five messages to it, fourteen from it.

Each request gets a number, so that several answers may share the pipe. Every ``Generate`` ends with
exactly one of ``Finished``, ``Failed`` or ``Cancelled``; that one frees the slot. So does every
``Embed``, with ``EmbeddingEnded`` for ``Finished``. A ``CountTokens`` takes no slot, is not
cancelled, and ends with ``TokensCounted`` or ``Failed``.
"""

from dataclasses import dataclass

from mesh.core.embedding import Vector
from mesh.core.generation import (
    Generation,
    GenerationEvent,
)
from mesh.core.types import Capability, PrefixHeld
from mesh.errors import (
    MeshError,
)
from node_agent.engine.protocol import EngineInfo


@dataclass(frozen=True, slots=True)
class Generate:
    """Answer this. Numbers rise, and none is used twice."""

    request: int
    work: Generation


@dataclass(frozen=True, slots=True)
class CountTokens:
    """Count the tokens of the prompt that this work has."""

    request: int
    work: Generation


@dataclass(frozen=True, slots=True)
class Embed:
    """Turn each of these texts into a vector."""

    request: int
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop working on it. Without effect on a request that has ended."""

    request: int


@dataclass(frozen=True, slots=True)
class Loading:
    """The load goes on."""

    progress: float  # [0, 1]


@dataclass(frozen=True, slots=True)
class Save:
    """Save what the slots hold, and say so: the process will be ended."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model is warm."""

    context_tokens: int
    slots: int
    capabilities: frozenset[Capability]
    numerics: str
    gpu_layers: int = 0
    gpu_off: float = 1.0  # what it took of the GPUs, of what was foretold

    def info(self, load_s: float) -> EngineInfo:
        """Return what the agent keeps of it. ``load_s``: seconds the load took."""
        return EngineInfo(
            self.context_tokens,
            self.slots,
            self.capabilities,
            self.numerics,
            load_s,
            self.gpu_layers,
            self.gpu_off,
        )


@dataclass(frozen=True, slots=True)
class LoadRefused:
    """The model can't be loaded; the process ends."""

    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Produced:
    """A part of an answer; with ``Finished`` in it, the last one."""

    request: int
    event: GenerationEvent


@dataclass(frozen=True, slots=True)
class TokensCounted:
    """So many tokens has the prompt."""

    request: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vectors of the next texts, in their order. Several at a time: one frame has a limit."""

    request: int
    vectors: tuple[Vector, ...]


@dataclass(frozen=True, slots=True)
class EmbeddingEnded:
    """Every vector was sent."""

    request: int
    prompt_tokens: int  # of all texts


@dataclass(frozen=True, slots=True)
class Failed:
    """The request ends with an error."""

    request: int
    error: MeshError


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The request ends, as was asked."""

    request: int


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What the slots hold of prompts that came with hashes, whenever that has changed."""

    held: tuple[PrefixHeld, ...]  # at most PREFIXES_MAX


@dataclass(frozen=True, slots=True)
class Saved:
    """What could be saved is."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something is wrong that stops no answer; one line for the owner's log."""

    words: str


Asked = Generate | CountTokens | Embed
ToEngine = Asked | Cancel | Save
FromEngine = (
    Loading
    | Loaded
    | LoadRefused
    | Produced
    | TokensCounted
    | Embedded
    | EmbeddingEnded
    | Failed
    | Cancelled
    | Prefixes
    | Saved
    | Complaint
)
