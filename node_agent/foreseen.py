"""What a model that is not in memory would be served with now, told so that it does not flap. Pure.

Free memory comes and goes with every program, and each change of an offer goes to all coordinators.
So what is told stays until something else has been true for a while. It is a promise of nothing:
what a load finds decides.
"""

from dataclasses import dataclass

LOOK_EVERY_S = 10.0
# Longer than a browser starts or a build links; shorter than anybody waits to be told.
HOLD_S = 30.0
# A load takes seconds to minutes of somebody's wait, and what a slot held of prompts is lost.
RENEW_EVERY_S = 600.0
LONGER = 2  # times the context at least; contexts are halved where memory is short


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


@dataclass(slots=True)
class Renewal:
    """Whether a warm model that was short of memory should leave, to come back with more context.

    Only where nobody has used it while there was room all the time, and seldom.
    """

    _since_s: float | None = None  # when it first could have more
    _used_s: float = 0.0  # when it was last used, then
    _renewed_s: float | None = None

    def seen(self, *, has_tokens: int, could_tokens: int, used_s: float, now_s: float) -> bool:
        """Take in a look; return whether it should leave now.

        Args:
            has_tokens: of its slots.
            could_tokens: that a load would find now, with nobody else leaving for it; 0 while it is
                in use.
            used_s: when it was last in use.
        """
        if could_tokens < LONGER * has_tokens:
            self._since_s = None
            return False
        if self._since_s is None or used_s != self._used_s:
            self._since_s, self._used_s = now_s, used_s
            return False
        if now_s - self._since_s < HOLD_S:
            return False
        if self._renewed_s is not None and now_s - self._renewed_s < RENEW_EVERY_S:
            return False
        self._since_s, self._renewed_s = None, now_s
        return True
