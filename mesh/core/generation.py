"""What is asked of a model and what comes back, in terms that no transport and no engine owns."""

from dataclasses import dataclass
from enum import StrEnum

from mesh.core.types import FinishReason, Usage


class Role(StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, text only until engines take more."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. The defaults are those of llama.cpp."""

    temperature: float = 0.8  # 0: greedy
    top_k: int = 40  # 0: all
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int = 0  # the coordinator draws one where the client gave none


@dataclass(frozen=True, slots=True)
class Generation:
    """The work of one attempt, as an engine gets it."""

    messages: tuple[Message, ...]
    sampling: Sampling
    max_tokens: int  # > 0; the context may end the answer earlier
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt is tokenised and accepted; tokens follow."""

    prompt_ids: tuple[int, ...]
    cached_tokens: int
    context_tokens: int
    numerics: str  # fingerprint of whatever decides rounding: build, backend, CPU, cache types


@dataclass(frozen=True, slots=True)
class Delta:
    """Some tokens of the answer."""

    token_offset: int  # of the first id, counted from the answer's start
    ids: tuple[int, ...]
    text: str  # may be empty: half of a character, or of a stop string, is held back


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole."""

    reason: FinishReason
    usage: Usage
    prefill_s: float  # seconds the engine spent on the prompt
    decode_s: float  # seconds it spent on the answer


GenerationEvent = Started | Delta | Finished
