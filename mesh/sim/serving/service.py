"""How long an engine truly takes: continuous batching, with prompts read in chunks.

It behaves as ``node_agent.engine.scheduler`` does. A step is either one chunk of one prompt, or a
token of every sequence that decodes; while both are wanted they take turns, and so do prompts:

* alone, a prompt is read at ``1 / prefill_token_s``; with decoders, at a chunk a turn;
* ``n`` decoders get a token each in ``step_s * (1 + batch_cost * (n - 1))``, and a chunk's time
  later while somebody reads.

Between two changes all rates are constant, so two counters say how far everybody is: tokens read by
each who reads, and tokens said by each who decodes, since the start. Whoever joins is done when the
counter has risen by its own tokens; nobody else's entry changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf

from mesh.core.types import AttemptId

# As ``node_agent.engine.chunks`` has them.
CHUNK_S, CHUNK_TOKENS_MIN, CHUNK_TOKENS_MAX = 0.1, 16, 128
NEARLY = 1e-6  # tokens: what rounding leaves of a length that is done


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a machine runs a model. Seconds."""

    prefill_token_s: float
    step_s: float  # one token of one sequence alone
    batch_cost: float  # that each further sequence adds to a step, as a share of ``step_s``

    @property
    def chunk_tokens(self) -> int:
        fitting = int(CHUNK_S / self.prefill_token_s)
        return min(max(fitting, CHUNK_TOKENS_MIN), CHUNK_TOKENS_MAX)

    def batch_s(self, decoding: int) -> float:
        """Return the time of a step that many take part in."""
        return self.step_s * (1 + self.batch_cost * (decoding - 1))


@dataclass(slots=True, eq=False)
class Work:
    """One attempt in the engine. Mutable; only the service changes it."""

    attempt_id: AttemptId
    prompt_tokens: int
    output_tokens: int
    decoding_since_s: float = 0.0
    batch: int = 1  # attempts on the machine as this one came, itself among them
    told_tokens: int = 0  # of the answer, to the coordinator


Entry = tuple[float, int, Work]  # what its counter must reach, and who came first


class Service:
    """One engine and whoever is in it."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.busy_s = 0.0  # since the start
        self._chunk_tokens = pace.chunk_tokens
        self._chunk_s = self._chunk_tokens * pace.prefill_token_s
        self._at_s = 0.0
        self._read = self._said = 0.0  # the counters
        self._reading: list[Entry] = []  # heaps
        self._decoding: list[Entry] = []
        self._rates = (0.0, 0.0)  # of the counters, tokens/s
        self._entered = 0

    def __len__(self) -> int:
        return len(self._reading) + len(self._decoding)

    @property
    def next_s(self) -> float:
        """When somebody is done reading or decoding, if nobody joins or leaves; inf: nobody is."""
        read_rate, say_rate = self._rates
        wait_s = inf
        if self._reading:
            wait_s = (self._reading[0][0] - self._read) / read_rate
        if self._decoding:
            wait_s = min(wait_s, (self._decoding[0][0] - self._said) / say_rate)
        return self._at_s + max(0.0, wait_s)

    def begin(self, work: Work, now_s: float) -> None:
        """Let its prompt be read from now on."""
        self.advance(now_s)
        self._entered += 1
        heappush(self._reading, (self._read + work.prompt_tokens, self._entered, work))
        self._set_rates()

    def stop(self, attempt_id: AttemptId, now_s: float) -> None:
        """Forget an attempt; one that is not here changes nothing."""
        self.advance(now_s)
        for heap in (self._reading, self._decoding):
            heap[:] = [entry for entry in heap if entry[2].attempt_id != attempt_id]
            heapify(heap)
        self._set_rates()

    def advance(self, now_s: float) -> None:
        """Let the time pass until ``now_s``, which must not lie behind ``next_s``."""
        passed_s = now_s - self._at_s
        self._read += self._rates[0] * passed_s
        self._said += self._rates[1] * passed_s
        if self._reading or self._decoding:
            self.busy_s += passed_s
        self._at_s = now_s

    def pop_read(self) -> Work | None:
        """Return one whose prompt is read: its first token is drawn, and it decodes from now on."""
        if not self._reading or self._reading[0][0] > self._read + NEARLY:
            return None
        _, number, work = heappop(self._reading)
        work.decoding_since_s = self._at_s
        heappush(self._decoding, (self._said + work.output_tokens - 1, number, work))
        self._set_rates()
        return work

    def pop_done(self) -> Work | None:
        """Return one whose answer is whole; it is gone."""
        if not self._decoding or self._decoding[0][0] > self._said + NEARLY:
            return None
        _, _, work = heappop(self._decoding)
        self._set_rates()
        return work

    def said(self) -> list[tuple[Work, int]]:
        """Return who decodes, and how many whole tokens each has said."""
        return [
            (work, int(work.output_tokens - max(0.0, until - self._said) + NEARLY))
            for until, _, work in self._decoding
        ]

    def left(self, now_s: float) -> tuple[list[tuple[float, int]], list[float]]:
        """Return what is left: of each prompt, with its answer's length, and of each answer."""
        passed_s = now_s - self._at_s
        read = self._read + self._rates[0] * passed_s
        said = self._said + self._rates[1] * passed_s
        reading = [(max(0.0, until - read), work.output_tokens) for until, _, work in self._reading]
        return reading, [max(0.0, until - said) for until, _, _ in self._decoding]

    def first_s_at_least(self, prompt_tokens: int, now_s: float) -> float:
        """Return seconds in which a prompt that joins now can't be read: a cheap bound.

        Prompts take turns, so of each that is there as much is read as of this one, or all of it.
        """
        passed_s = now_s - self._at_s
        tokens = float(prompt_tokens)
        if self._reading:
            read = self._read + self._rates[0] * passed_s
            tokens += sum(min(max(0.0, each[0] - read), prompt_tokens) for each in self._reading)
        read_s = tokens * self.pace.prefill_token_s
        if self._decoding:
            turns = tokens / self._chunk_tokens
            staying_until = self._said + self._rates[1] * passed_s + turns
            staying = sum(each[0] >= staying_until for each in self._decoding)
            if staying:
                read_s += turns * self.pace.batch_s(staying)
        return read_s

    def frees_s_at_least(self, before: Sequence[int], now_s: float) -> float:
        """Return seconds before which no slot is free for one that waits: a cheap bound.

        Each turn of everybody takes the step of those who are surely still there.

        Args:
            before: the lengths of the answers that wait before it.
        """
        said = self._said + self._rates[1] * (now_s - self._at_s)
        left = [until - said for until, _, _ in self._decoding]
        left += [work.output_tokens - 1 for _, _, work in self._reading]
        if not left:
            return 0.0
        soonest = min(left)
        left += [soonest + output_tokens - 1 for output_tokens in before]
        left.sort()
        place = min(len(before), len(left) - 1)
        staying = max(1, len(self._decoding) - place)
        return max(0.0, left[place]) * self.pace.batch_s(staying)

    def rates(self, reading: int, decoding: int) -> tuple[float, float]:
        """Return tokens/s for each who reads and for each who decodes."""
        if not reading:
            return 0.0, 1 / self.pace.batch_s(decoding) if decoding else 0.0
        if not decoding:
            return 1 / (self.pace.prefill_token_s * reading), 0.0
        turn_s = self._chunk_s + self.pace.batch_s(decoding)
        return self._chunk_tokens / (turn_s * reading), 1 / turn_s

    def _set_rates(self) -> None:
        self._rates = self.rates(len(self._reading), len(self._decoding))
