"""How often a connection may take the place of another one of the same node.

A node that lost its network comes back before we notice, and one with several addresses of ours
dials them all at once: both are welcome. But two machines with one identity (a copied disk, a
stolen key) would push each other out for ever, and take down what runs there each time. So there is
a handful for a burst, and then one a minute; in between whoever is there, and speaks, stays.
"""

from dataclasses import dataclass

BURST_MAX = 8.0  # addresses that one agent may dial at once, with room for a bad minute
REFILLED_PER_S = 1 / 60.0
CONTESTED_S = 300.0  # who was not pushed for so long is not pushed any more


@dataclass(slots=True)
class Takeovers:
    """A token bucket."""

    tokens: float = BURST_MAX
    refilled_s: float = 0.0
    refused_s: float | None = None  # when one last was too many; None: not lately

    def take(self, now_s: float) -> bool:
        """Take one; False if there were too many lately."""
        refill = max(0.0, now_s - self.refilled_s) * REFILLED_PER_S
        self.tokens, self.refilled_s = min(BURST_MAX, self.tokens + refill), now_s
        if self.tokens < 1:
            self.refused_s = now_s
            return False
        self.tokens -= 1
        return True

    def calm_down(self, now_s: float) -> None:
        if self.refused_s is not None and now_s >= self.refused_s + CONTESTED_S:
            self.refused_s = None
