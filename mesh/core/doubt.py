"""Whether it was we who did not listen: doubt of ourselves, before a node is blamed.

A coordinator whose own loop stalls (a busy machine, a debugger, a process that was stopped) has
not read what nodes sent meanwhile. To it all of them seem silent at once. So we feel our own pulse:
while nodes are there, time is to be told every quarter of a second, and where it is told later than
that, we were away. Whatever is held against others then moves by as long as we were away, and no
further: a node that is dead is noticed once we have listened for its limit.

This is the idea of Lifeguard's local health (Dadgar, Phillips and Currey, arXiv:1707.00788), which
stretches limits up to ninefold by a score of missed acknowledgements. A coordinator has a better
measure at hand than a score: it can time its own absence.
"""

from math import inf

from mesh.core.actions import Action, TellOperator
from mesh.core.timers import Due, Timers

PULSE_EVERY_S = 0.25  # a twelfth of the shortest limit of silence; four cheap wakings a second
LATE_S = 0.1  # a busy loop is late by milliseconds; less than this matters to no limit
TOLD_S = 1.0  # the operator hears of absences that clients notice, too
TELL_EVERY_S = 60.0


class Doubt:
    """Our own pulse. It beats from ``listen`` until ``rest``, by a timer that the owner obeys."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._due_s = inf
        self._told_s = -inf
        self.late_from_s = inf  # whatever is heard of after this is heard of late

    def listen(self, now_s: float) -> None:
        """Expect to be told the time soon."""
        self._due_s = now_s + PULSE_EVERY_S
        self.late_from_s = self._due_s + LATE_S
        self._timers.set(self._due_s, Due.PULSE)

    def listen_if_resting(self, now_s: float) -> None:
        if self._due_s == inf:
            self.listen(now_s)

    def rest(self) -> None:
        """There is nobody to listen to."""
        self._due_s = self.late_from_s = inf
        self._timers.clear(Due.PULSE)

    def woke(self, now_s: float) -> float:
        """Return for how many seconds we were away, and listen again."""
        away_s = now_s - self._due_s
        self.listen(now_s)
        return away_s

    def tell(self, away_s: float, now_s: float) -> list[Action]:
        """Tell the operator of an absence, if it was long and they have not just heard of one."""
        if away_s < TOLD_S or now_s < self._told_s + TELL_EVERY_S:
            return []
        self._told_s = now_s
        line = f"this coordinator was held up for {away_s:.1f} s; no node is blamed for its silence"
        return [TellOperator(line)]
