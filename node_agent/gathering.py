"""When tokens are sent: the first at once, later ones gathered. Pure: the caller passes the time.

At most one message leaves in each interval, and a token that comes after a pause of that length
leaves at once: a slow model's tokens are never delayed, a fast one's travel together.
"""

from mesh.core.generation import Delta


class Gathering:
    """The tokens of one answer that wait to be sent.

    Args:
        interval_s: 0 sends each at once.
        tokens_max: sent as soon as so many wait; 0: whatever the interval gathers.
    """

    __slots__ = ("_due_s", "_interval_s", "_tokens_max", "_waiting", "tokens")

    def __init__(self, *, interval_s: float, tokens_max: int) -> None:
        self._interval_s = interval_s
        self._tokens_max = tokens_max
        self._due_s = float("-inf")  # the first token waits for nothing
        self._waiting: list[Delta] = []
        self.tokens = 0  # that wait

    def add(self, delta: Delta) -> None:
        """Take in the answer's next tokens."""
        self._waiting.append(delta)
        self.tokens += delta.tokens

    def wait_s(self, now_s: float) -> float | None:
        """Return the seconds until something must be sent, 0.0 for now; None: nothing waits."""
        if not self._waiting:
            return None
        if 0 < self._tokens_max <= self.tokens:
            return 0.0
        return max(0.0, self._due_s - now_s)

    def take(self, now_s: float) -> Delta | None:
        """Return everything that waits as one delta, to be sent now; None if nothing does."""
        if not self._waiting:
            return None
        waiting, self._waiting, self.tokens = self._waiting, [], 0
        self._due_s = now_s + self._interval_s
        return Delta.joined(waiting)
