"""What a node measures of its answers and tells, as ``node_agent.rates`` does."""

from dataclasses import dataclass, field
from math import log2

from mesh.core.types import BATCHES

TOKENS_MIN, PAST_WEIGHT = 16, 0.8  # as ``node_agent.rates`` has them


@dataclass(slots=True)
class Rate:
    """A moving average of tokens per second, in which each sample weighs by its tokens."""

    tokens: float = 0.0
    seconds: float = 0.0

    def add(self, tokens: int, seconds: float) -> None:
        if tokens >= TOKENS_MIN and seconds > 0:
            self.tokens = PAST_WEIGHT * self.tokens + tokens
            self.seconds = PAST_WEIGHT * self.seconds + seconds

    @property
    def tokens_per_s(self) -> float:
        """0 until there is a sample."""
        return self.tokens / self.seconds if self.seconds else 0.0


@dataclass(slots=True)
class Rates:
    """Both rates of one model, and the second one by how many are answered at once."""

    prefill: Rate = field(default_factory=Rate)
    decode: Rate = field(default_factory=Rate)
    by_batch: tuple[Rate, ...] = field(default_factory=lambda: tuple(Rate() for _ in BATCHES))

    def answered(self, tokens: int, seconds: float, batch: float) -> None:
        """Take in an answer, one of ``batch`` under way on average."""
        self.decode.add(tokens, seconds)
        nearest = min(len(BATCHES) - 1, max(0, round(log2(max(1.0, batch)))))
        self.by_batch[nearest].add(tokens, seconds)

    @property
    def decode_by_batch(self) -> tuple[float, ...]:
        rates = tuple(rate.tokens_per_s for rate in self.by_batch)
        return rates if any(rates) else ()
