"""After failures in a row, a pause; after the pause, one trial at a time; after a success, trust.

==========  =====================================  ==========================================
standing    entered when                           what it means
==========  =====================================  ==========================================
trusted     at first, and by a success             nothing is held back
ejected     ``FAILURES_MIN`` failures in a row     nothing begins for a while that doubles
on trial    the while is over                      one attempt at a time
==========  =====================================  ==========================================

What began before an ejection tells nothing new when it fails, too: a hundred attempts that one
crash ends are one reason for one pause.

The shape is Envoy's outlier detection by consecutive errors, with its growing ejection time
(base_ejection_time 30 s there, max_ejection_time 300 s) and its panic threshold of one half, which
``mesh.core.directory`` keeps; the trials are those of a circuit breaker (Nygard, "Release It!").
"""

from dataclasses import dataclass
from enum import IntEnum
from math import inf

FAILURES_MIN = 3  # two may be chance: a machine that was restarted twice
EJECTED_S_MIN = 5.0  # an engine that crashed is loaded again within this
EJECTED_S_MAX = 300.0  # and nobody wants to wait for longer once it is well again
_DOUBLINGS_MAX = 16  # more than lead from the least to the most


class Standing(IntEnum):
    """How far a replica is relied on; the larger, the less."""

    TRUSTED = 0
    ON_TRIAL = 1
    EJECTED = 2


@dataclass(slots=True)
class Breaker:
    """The failures in a row of one replica, or of one node's connection. Times in seconds."""

    standing: Standing = Standing.TRUSTED
    failures: int = 0  # in a row
    until_s: float = inf  # ejected until then
    ejected_s: float = -inf  # when it last was

    def failed(self, *, began_s: float, now_s: float) -> bool:
        """Count a failure of what began at ``began_s``; return whether it ejects anew."""
        if began_s < self.ejected_s:
            return False
        self.failures += 1
        doublings = self.failures - FAILURES_MIN
        if doublings < 0:
            return False
        ejected_for_s = min(EJECTED_S_MAX, EJECTED_S_MIN * 2 ** min(doublings, _DOUBLINGS_MAX))
        self.standing, self.ejected_s = Standing.EJECTED, now_s
        self.until_s = now_s + ejected_for_s
        return True

    def waited(self, now_s: float) -> None:
        """Time has passed: an ejection may be over."""
        if self.standing is Standing.EJECTED and now_s >= self.until_s:
            self.standing, self.until_s = Standing.ON_TRIAL, inf

    def trust(self) -> None:
        """Hold nothing back; the failures so far still count towards the next pause."""
        self.standing, self.until_s = Standing.TRUSTED, inf

    def forgive(self) -> None:
        """Hold nothing back, and count from none."""
        self.trust()
        self.failures = 0
