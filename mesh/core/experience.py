"""What answers have taught: how fast each replica is, how long answers are, how dense prompts.

A node tells rates of its own, and may err or lie. So what is measured here, from the outside, of
every answer that ends, is put beside its word: the more answers, the more it counts, and the word
may differ from it by a factor only. A node that claims to be infinitely fast is believed once.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from mesh.core.estimate import Estimate
from mesh.core.types import Capability, ModelId, Request

BYTES_PER_TOKEN = 4.0  # English text in common vocabularies; until it is learned per model
BYTES_PER_TOKEN_RANGE = (1.0, 8.0)  # a byte a token at worst; 8 is beyond any vocabulary we know
OUTPUT_TOKENS_EXPECTED = 128.0  # until a task's answers were seen
OUTPUT_TOKENS_RANGE = (1.0, 32_768.0)
PROMPT_TOKENS_MIN = 64  # of fewer, the time is the round trip's and the scheduler's
DECODED_MIN = 16  # as for a node's own rates: fewer come in a burst or two
CLASSES_MAX = 4096  # kinds of tasks; three of a model, and most meshes have tens of models
# After which time without an answer what was measured counts half. Then a machine that was shunned
# for one bad hour is tried again, and one that lies gets a request in so many minutes.
HALF_LIFE_S = 300.0


@dataclass(slots=True)
class Experience:
    """What we measured ourselves of one replica. Seconds a token of a sequence that is alone."""

    prefill_s: Estimate = field(default_factory=Estimate)
    decode_s: Estimate = field(default_factory=Estimate)
    overhead_s: Estimate = field(default_factory=Estimate)  # of a first token, beside the prompt
    load_s: Estimate = field(default_factory=Estimate)  # until a cold model began on a prompt

    def age(self, seconds: float) -> None:
        """Time has passed."""
        share = 0.5 ** (max(0.0, seconds) / HALF_LIFE_S)
        for each in (self.prefill_s, self.decode_s, self.overhead_s, self.load_s):
            each.fade(share)


_Key = TypeVar("_Key", bound=Hashable)
Task = tuple[ModelId, bool, bool]  # the model, and whether tools or a form were asked for


@dataclass(slots=True)
class Habits:
    """What is usual in this mesh, whichever machine answers."""

    _bytes_per_token: dict[ModelId, Estimate] = field(default_factory=dict)
    _lengths: dict[Task, Estimate] = field(default_factory=dict)

    def prompt_tokens(self, model_id: ModelId, prompt_bytes: int) -> float:
        known = self._bytes_per_token.get(model_id)
        density = BYTES_PER_TOKEN
        if known is not None:
            least, most = BYTES_PER_TOKEN_RANGE
            density = min(most, max(least, known.value))
        return max(0.0, prompt_bytes / density)

    def output_tokens(self, model_id: ModelId, request: Request) -> float:
        """Return how long an answer to ``request`` is expected to be."""
        known = self._lengths.get(_task(model_id, request))
        expected = known.value if known is not None else OUTPUT_TOKENS_EXPECTED
        least, most = OUTPUT_TOKENS_RANGE
        expected = min(most, max(least, expected))
        return max(1.0, min(request.max_tokens or expected, expected))

    def learn(
        self, model_id: ModelId, request: Request, *, prompt_tokens: int, output_tokens: int
    ) -> None:
        """Take in an answer that is whole. The output was counted here, the prompt by its node."""
        if prompt_tokens >= PROMPT_TOKENS_MIN:
            density = _kept(self._bytes_per_token, model_id)
            density.add(request.prompt_bytes / prompt_tokens)
        if output_tokens > 0 and not request.resumed_tokens:
            _kept(self._lengths, _task(model_id, request)).add(output_tokens)


def _task(model_id: ModelId, request: Request) -> Task:
    """What of a request says most about its answer's length."""
    needs = request.needs
    return model_id, Capability.TOOLS in needs, Capability.GRAMMAR in needs


def _kept(known: dict[_Key, Estimate], key: _Key) -> Estimate:
    """Return what is known under ``key``; the oldest makes room for a new one."""
    if key not in known and len(known) >= CLASSES_MAX:
        del known[next(iter(known))]
    return known.setdefault(key, Estimate())
