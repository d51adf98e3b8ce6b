"""A budget for second attempts, so that a sick mesh is not drowned by its own retries."""

from dataclasses import dataclass

RATIO = 0.2  # attempts <= 1.2 x requests + 3
RESERVE = 3.0  # a quiet mesh may still retry
FILL_MAX = 100.0  # what a long good time may save up: 500 requests' worth


@dataclass(slots=True)
class RetryBudget:
    """A token bucket filled by requests and emptied by attempts beyond the first."""

    tokens: float = RESERVE

    def earn(self) -> None:
        """A request arrived."""
        self.tokens = min(FILL_MAX, self.tokens + RATIO)

    @property
    def allows(self) -> bool:
        """May there be one further attempt?"""
        return self.tokens >= 1.0

    def spend(self) -> bool:
        """Take one further attempt; False if the mesh has had enough of them."""
        if not self.allows:
            return False
        self.tokens -= 1.0
        return True
