"""What a model computes alike, however its tokens are cut into steps: tried out, once it is loaded.

An answer that was cut is continued by reading its prompt and its tokens again, in steps of other
sizes and beside other answers. It comes out the same only where none of that changes a bit. So
each engine compares, and plans by what it found:

- whether a row's logits differ where it is alone in a batch. ggml multiplies one row by other code
  than several; with F16 and F32 weights that shows, with Q8_0 and Q4_0 it does not (measured on
  x86-64). If they do, no row is left alone (``pair_rows``).
- whether it matters where a prompt is cut into chunks, and how many are in a batch.
- whether all of it holds. If it does not, its answers depend on what else runs: then nobody may
  count on equal ones (``exact``), and its fingerprint is like no other.

What needs no trial: the tokens of an answer were decoded one by one, so they are decoded one by
one again. It takes as long as the answer did, and is exact because nothing is different. Read in
chunks they go through other code of attention, which adds up in another order as soon as there are
more tokens than lanes in a vector (32 with AVX2): after 47 tokens the logits of a 135M Q8_0 model
were 0.15 apart, and the answers of a small one parted within 100 (measured).
"""

import ctypes
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from secrets import token_hex

from node_agent.engine.bindings import native
from node_agent.engine.llama import Llama
from node_agent.engine.scheduler import Row

# Longer than ggml's blocks of rows, and no longer: at 20 tokens a second, as a large model reads on
# an old CPU, a trial takes three seconds, and a load of that model more.
_PROMPT_TOKENS = 16
_CUT = 7
_ANSWER_TOKENS = 4
# A difference in rounding shows in one logit of thousands: models of few words are tried more.
_LOGITS_COMPARED_MIN = 16_384
_TRIALS_MIN = 2
# The codes of ggml change where a batch passes these; a whole scan would take a load's time.
_BATCHES = (2, 3, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to take steps so that equal requests have equal answers."""

    pair_rows: bool
    exact: bool

    def joined(self, other: "Plan") -> "Plan":
        """Return the plan that takes the care of both."""
        return Plan(
            self.pair_rows or other.pair_rows,
            self.exact and other.exact,
        )

    def numerics(self, facts: str) -> str:
        """Return the fingerprint of an engine that goes by this plan: 12 hex digits.

        ``facts`` is that of the build and its settings. Equal ones give equal text.
        """
        planned = f"{facts} {self.pair_rows}"
        if not self.exact:
            planned += token_hex(8)
        return hashlib.sha256(planned.encode()).hexdigest()[:12]


def prove(llama: Llama) -> Plan:
    """Try it out. Forgets everything that the slots hold.

    Raises:
        DecodeError: llama.cpp failed.
    """
    for slot in range(llama.slots):
        llama.truncate(slot, 0)
    trials = -(-_LOGITS_COMPARED_MIN // (_ANSWER_TOKENS * llama.vocabulary_size))
    plan = Plan(pair_rows=False, exact=True)
    for number in range(trials):
        plan = plan.joined(_try(_Trial(llama, number)))
        careful = plan.pair_rows or llama.slots == 1
        if careful and number + 1 >= _TRIALS_MIN:  # there is no more to find
            break
    if plan.pair_rows and not _forgets(llama):
        # A companion would end what its slot holds, so nobody has one, and others decide rounding.
        return Plan(pair_rows=False, exact=False)
    return plan


def _forgets(llama: Llama) -> bool:
    """Whether a slot can forget its last token alone. A recurrent memory can't go back."""
    llama.decode([Row(0, 0, position) for position in range(3)], logits=False, last=True)
    kept = llama.truncate(0, 2)
    llama.truncate(0, 0)
    return kept == 2


def _try(trial: "_Trial") -> Plan:
    alone, *others = (trial.row_among(count) for count in (1, *_batches(trial.slots)))
    alike = all(logits == others[0] for logits in others)
    pair_rows = bool(others) and others[0] != alone
    together = trial.chunks((_PROMPT_TOKENS, _ANSWER_TOKENS))
    across = trial.chunks((_CUT, _PROMPT_TOKENS - _CUT + _ANSWER_TOKENS))
    # A prompt itself is never cut the same twice: chunks are sized in time.
    return Plan(pair_rows, exact=alike and together == across)


def _batches(slots: int) -> list[int]:
    return [*(count for count in _BATCHES if count < slots), *([slots] if slots > 1 else [])]


class _Trial:
    """The same tokens, fed in different ways; each returns the bytes of logits."""

    def __init__(self, llama: Llama, number: int) -> None:
        self.slots = llama.slots
        self._llama = llama
        random = Random(number)  # noqa: S311 - any tokens will do, the same on each machine
        tokens = range(_PROMPT_TOKENS + _ANSWER_TOKENS)
        self._ids = [random.randrange(llama.vocabulary_size) for _ in tokens]

    def row_among(self, count: int) -> bytes:
        """One token in each of ``count`` slots; the first one's."""
        rows = [Row(slot, self._ids[0], 0) for slot in range(count)]
        with self._forgotten(range(count)):
            self._llama.decode(rows, logits=True, last=True)
            return self._logits(0)

    def chunks(self, sizes: Sequence[int]) -> bytes:
        """In chunks of these sizes; of the answer's tokens, which are in the last."""
        with self._forgotten((0,)):
            at = 0
            for size in sizes:
                rows = [Row(0, self._ids[at + row], at + row) for row in range(size)]
                self._llama.decode(rows, logits=at + size == len(self._ids), last=True)
                at += size
            answer = range(sizes[-1] - _ANSWER_TOKENS, sizes[-1])
            return b"".join(map(self._logits, answer))

    def _logits(self, row: int) -> bytes:
        logits = native.llama_get_logits_ith(self._llama.context, row)
        return ctypes.string_at(logits, ctypes.sizeof(ctypes.c_float) * self._llama.vocabulary_size)

    @contextmanager
    def _forgotten(self, slots: Sequence[int]) -> Iterator[None]:
        """Leave nothing of it behind."""
        yield
        for slot in slots:
            self._llama.truncate(slot, 0)
