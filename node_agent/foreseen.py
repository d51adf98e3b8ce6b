"""What a model that is not in memory would be served with now, told so that it does not flap. Pure.

Free memory comes and goes with every program, and each change of an offer goes to all coordinators.
So what is told stays until something else has been true for a while. It is a promise of nothing:
what a load finds decides.
"""

from dataclasses import dataclass

LOOK_EVERY_S = 10.0
# Longer than a browser starts or a build links; shorter than anybody waits to be told.
HOLD_S = 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found."""

    context_tokens: int  # of a slot
    lacks: str = ""  # why it would not fit at all, with what to do; "" if it does


@dataclass(slots=True)
class Foreseen:
    """What is told of one model; ``seen`` takes in each look."""

    told: Seen
    _other: Seen | None = None
    _since_s: float = 0.0

    @property
    def wavers(self) -> bool:
        """Was the last look another one than what is told?"""
        return self._other is not None

    def seen(self, look: Seen, now_s: float) -> bool:
        """Take in a look; return whether that changes what is told."""
        if look == self.told:
            self._other = None
            return False
        if look != self._other:
            self._other, self._since_s = look, now_s
            return False
        if now_s - self._since_s < HOLD_S:
            return False
        self.told, self._other = look, None
        return True
