"""How far away a node is, by our own watch: what it says of that, and what it does not say.

A ping's number cannot be guessed, so no answer comes before its ping. One that does not come at all
counts as well, or silence would make a far node the nearest.
"""

import secrets
from dataclasses import dataclass, field

OPEN_MAX = 8  # pings without an answer that we remember; no more are sent then
# One may be on its way, and after a stall of ours the one from before it still unread. Two in a
# row are the node's: it reports, or it would be lost by now, and answers no pings.
UNANSWERED_MIN = 2
RTT_S_MAX = 60.0  # the longest that the fleet takes for a round trip


@dataclass(slots=True)
class Pings:
    """The pings of one connection that have no answer yet. Times are monotonic seconds."""

    _sent_s: dict[int, float] = field(default_factory=dict)  # nonce -> when, the oldest first

    def sent(self, now_s: float) -> int | None:
        """Return the nonce of a new ping; None if too many are open to send one."""
        if len(self._sent_s) >= OPEN_MAX:
            return None
        nonce = secrets.randbits(63)
        self._sent_s[nonce] = now_s
        return nonce

    def answered(self, nonce: int, now_s: float) -> float | None:
        """Return the round trip in seconds; None if this is no answer to any ping of ours."""
        sent_s = self._sent_s.get(nonce)
        if sent_s is None:
            return None
        # A stream keeps its order: what was sent before and is not answered will not be.
        self._sent_s = {each: at_s for each, at_s in self._sent_s.items() if at_s > sent_s}
        return now_s - sent_s

    def at_least_s(self, now_s: float) -> float | None:
        """Return how long the round trip takes at least, if answers do not come; else None."""
        if len(self._sent_s) < UNANSWERED_MIN:
            return None
        return min(RTT_S_MAX, now_s - next(iter(self._sent_s.values())))
