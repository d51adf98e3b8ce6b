"""What happened today, in memory: cheap enough to be read every second, by every page.

Restored from the store when a coordinator starts. Days are UTC's, as a budget's are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from coordinator.ledger.records import Row
from coordinator.ledger.totals import (
    Group,
    Share,
    Sums,
    Totals,
    added,
    day_of,
    failures,
    group_of,
    of_state,
    own,
    shares,
    sums_of,
)

# Groups of a day. A mesh of 4,096 nodes with two models each has 8,192; further ones are summed up
# without their names, so that nothing is missing from the total.
GROUPS_MAX = 16_384


@dataclass(slots=True)
class Today:
    """Today's totals. Belongs to the event loop, like whoever reads it."""

    began_s: int  # Unix time at which the day of ``totals`` began
    totals: Totals = field(default_factory=dict)
    restored: bool = False  # is what an earlier process counted today in it?

    def count(self, row: Row, now_s: float) -> None:
        """Count a terminal row in."""
        self._turn(now_s)
        if row["arrived_us"] >= self.began_s * 1_000_000:
            group = group_of(row)
            if group not in self.totals and len(self.totals) >= GROUPS_MAX:
                group = replace(group, place="others", model="others")
            added(self.totals, [(group, sums_of(row))])

    def restore(self, earlier: Mapping[Group, Sums], began_s: int) -> None:
        """Count in what the store holds of the day that began at ``began_s``; once."""
        assert not self.restored, "that would count it twice"
        self.restored = True
        if began_s == self.began_s:
            added(self.totals, earlier)

    def at(self, now_s: float) -> "Today":
        """Return the totals of the day that ``now_s`` is in; nothing yet, if it has just begun."""
        self._turn(now_s)
        return self

    @property
    def requests(self) -> int:
        """Requests that arrived and ended today."""
        return of_state(self.totals).requests

    @property
    def answered(self) -> int:
        return of_state(self.totals, "answered").requests

    @property
    def cost_microusd(self) -> int:
        """Of every request, whether it was answered or not."""
        return of_state(self.totals).cost_microusd

    @property
    def own(self) -> Sums:
        """Of what machines of the mesh answered today, test models apart."""
        return own(self.totals)

    def places(self) -> list[Share]:
        """Where today's requests were answered, the largest share first."""
        return shares(self.totals, "place")

    def models(self) -> list[Share]:
        """By what they were answered."""
        return shares(self.totals, "model")

    def failures(self) -> list[Share]:
        """What was not answered, by the code of its error."""
        return failures(self.totals)

    def _turn(self, now_s: float) -> None:
        """Begin a new day. A clock that is set back does not bring the old one back."""
        began_s = day_of(now_s)
        if began_s > self.began_s:
            self.began_s, self.totals = began_s, {}
