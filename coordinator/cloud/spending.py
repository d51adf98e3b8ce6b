"""What a day may cost: a cap, what is spent of it, and what is set aside for calls under way."""

import time
from collections.abc import Callable

DAY_S = 86_400  # of UTC, which has no summer time


class Spending:
    """The money of one UTC day, in whole micro-USD. Money set aside at midnight stays so."""

    def __init__(self, cap_microusd: int, clock: Callable[[], float] = time.time) -> None:
        """``clock`` tells Unix seconds."""
        self.cap_microusd = cap_microusd
        self._clock = clock
        self._day = self._today()
        self._spent = 0
        self._reserved = 0
        self.known = True  # what was spent today before this process began

    def __repr__(self) -> str:
        return f"<Spending {self._spent} + {self._reserved} of {self.cap_microusd}>"

    @property
    def left_microusd(self) -> int:
        """What today's next call may cost at most; never below 0."""
        self._turn_day()
        return max(0, self.cap_microusd - self._spent - self._reserved)

    def hold_until_seeded(self) -> None:
        """Say that it is not known yet what was spent today."""
        self.known = False

    def seed_spent(self, microusd: int) -> None:
        """Count what was spent today before this process began."""
        assert microusd >= 0, "nobody pays us"
        self.known = True
        self._turn_day()
        self._spent += microusd

    def reserve(self, microusd: int) -> bool:
        """Set money aside; False if that much is not left."""
        if microusd > self.left_microusd:
            return False
        self._reserved += microusd
        return True

    def settle(self, reserved_microusd: int, actual_microusd: int) -> None:
        """Turn money set aside into money spent, as much as it did cost."""
        self._turn_day()
        self._reserved -= reserved_microusd
        self._spent += actual_microusd

    def _turn_day(self) -> None:
        """Begin a new day. A clock that is set back begins none: the cap would hold twice."""
        today = self._today()
        if today > self._day:
            self._day, self._spent = today, 0

    def _today(self) -> int:
        return int(self._clock() // DAY_S)
