"""How fast a model runs here, learned from the answers it gives."""

from dataclasses import dataclass
from math import log2

from mesh.core.generation import Finished
from mesh.core.types import BATCHES

# Below this many tokens a sample says more of fixed costs and of the scheduler than of the rate:
# 16 tokens at 1,000 tokens/s take 16 ms, of which one preempted time slice is a tenth.
TOKENS_MIN = 16

# Of the past, at each new sample: the last ten answers make up nine tenths of the average, so that
# a machine that became slow (heat, an owner at work) shows within a few.
PAST_WEIGHT = 0.8


@dataclass(slots=True)
class Rate:
    """A moving average of tokens per second, in which each sample weighs by its tokens.

    The sums are averaged, not the rates: one long prompt then outweighs many short ones, whose
    rates are the noisier the shorter they are.
    """

    _tokens: float = 0.0
    _seconds: float = 0.0

    def add(self, tokens: int, seconds: float) -> None:
        """Take in a sample; one of a few tokens is ignored."""
        if tokens >= TOKENS_MIN and seconds > 0:
            self._tokens = PAST_WEIGHT * self._tokens + tokens
            self._seconds = PAST_WEIGHT * self._seconds + seconds

    @property
    def tokens_per_s(self) -> float:
        """0 until there is a sample."""
        return self._tokens / self._seconds if self._seconds else 0.0


@dataclass(slots=True)
class Rates:
    """Both rates of one model here, and the second one by how many it answers at once."""

    prefill: Rate
    decode: Rate
    _by_batch: tuple[Rate, ...]  # as BATCHES

    @classmethod
    def unknown(cls) -> "Rates":
        return cls(Rate(), Rate(), tuple(Rate() for _ in BATCHES))

    def learn(self, finished: Finished, batch: float = 1.0) -> None:
        """Take in a whole answer, one of ``batch`` under way as it was written, on average."""
        usage = finished.usage
        self.prefill.add(usage.prompt_tokens - usage.cached_tokens, finished.prefill_s)
        self.decode.add(usage.completion_tokens, finished.decode_s)
        nearest = min(len(BATCHES) - 1, max(0, round(log2(max(1.0, batch)))))
        self._by_batch[nearest].add(usage.completion_tokens, finished.decode_s)

    @property
    def decode_by_batch(self) -> tuple[float, ...]:
        """Tokens a second of one answer at each of ``BATCHES``, 0 where none was seen.

        Empty until any was.
        """
        rates = tuple(rate.tokens_per_s for rate in self._by_batch)
        return rates if any(rates) else ()
