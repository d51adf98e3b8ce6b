"""What a node measures and tells of itself, as ``node_agent.rates`` and ``node_agent.probe`` do."""

from dataclasses import dataclass

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
