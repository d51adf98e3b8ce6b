"""How much one attempt may give: what a node that errs or lies can make others hold and book."""

from dataclasses import dataclass, replace

from mesh.core.learning import TEMPLATE_TOKENS_MAX
from mesh.core.types import Capability, Request, Usage
from mesh.errors import InvalidRequest
from mesh.v1 import inference_pb2 as inference
from mesh.wire.requests import RESUME_IDS_MAX, STOP_BYTES_MAX

TOKENS_MAX = RESUME_IDS_MAX  # as many as the longest context holds
# The ids of a prompt that fills it, three bytes each as vocabularies have fewer than 2^21.
STARTED_BYTES_MAX = 3 * TOKENS_MAX + 4096
# Of a whole answer: four times as many as the longest context's tokens make. Engines that tell no
# tokens are held to this alone.
CHARACTERS_MAX = 16 * TOKENS_MAX
# Whoever reads an answer remembers each call; a whole one of a long context has hundreds.
CALLS_MAX = 1024
# Other programs' engines count text as tokens by guessing, so none is held to its limit exactly.
OVERSHOOT = 2
OVERSHOOT_TOKENS = 256


@dataclass(slots=True)
class AnswerBounds:
    """Counts what one attempt has given, and ends it beyond what it can honestly give."""

    max_tokens: int = 0  # that were asked for; 0: as many as there is room for
    resumed_tokens: int = 0  # of the answer that others gave before
    prompt_tokens_max: int = TOKENS_MAX
    tokens: int = 0
    characters: int = 0
    calls: int = 0
    told_ids: bool = False

    def begin(self, started: inference.GenerationStarted) -> None:
        """Raises InvalidRequest: no context holds so many ids."""
        if (size_bytes := started.ByteSize()) > STARTED_BYTES_MAX:
            raise InvalidRequest(f"a node began an answer with {size_bytes} bytes")

    def add(self, delta: inference.GenerationDelta, tokens: int) -> None:
        """Count a piece of the answer, which has so many ``tokens``.

        Raises:
            InvalidRequest: that is more than was asked for, or than any answer has.
        """
        self.told_ids = self.told_ids or bool(delta.ids)
        self.tokens += tokens
        self.characters += len(delta.text) + len(delta.reasoning)
        self.calls += len(delta.tool_calls)
        most = TOKENS_MAX
        if self.max_tokens:
            most = min(most, OVERSHOOT * self.max_tokens + OVERSHOOT_TOKENS)
        if self.tokens > most:
            raise InvalidRequest(
                f"a node gave {self.tokens} tokens where {self.max_tokens or most} were asked for"
            )
        if self.characters > CHARACTERS_MAX:
            raise InvalidRequest(f"a node gave {self.characters} characters as one answer")
        if self.calls > CALLS_MAX:
            raise InvalidRequest(f"a node sent {self.calls} tool calls as one answer")

    def booked(self, usage: Usage) -> Usage:
        """Return what a node says of its whole answer, as far as it can be so.

        Of tokens that were told by their ids nobody need say how many they were; those of a stop
        string were not told.
        """
        own = self.tokens + STOP_BYTES_MAX if self.told_ids else TOKENS_MAX
        completion_tokens = min(usage.completion_tokens, self.resumed_tokens + own)
        prompt_tokens = min(usage.prompt_tokens, self.prompt_tokens_max)
        return replace(
            usage,
            prompt_tokens=prompt_tokens,
            cached_tokens=min(usage.cached_tokens, prompt_tokens),
            completion_tokens=completion_tokens,
            reasoning_tokens=min(usage.reasoning_tokens, completion_tokens),
        )


def bounds_of(request: inference.GenerateRequest, features: Request) -> AnswerBounds:
    """Return those of an answer to ``request``, as its machine got it.

    An image's tokens are in none of a prompt's bytes, so nothing is known of such a prompt.
    """
    sees = Capability.VISION in features.needs
    return AnswerBounds(
        max_tokens=request.max_tokens,
        resumed_tokens=len(request.resume.emitted_ids),
        prompt_tokens_max=TOKENS_MAX if sees else features.prompt_bytes + TEMPLATE_TOKENS_MAX,
    )
