"""NVIDIA Personal-AI-Router's scheduler, as its documents describe it.

``services/nvpair-job-scheduler/spec.md`` of NVIDIA/Personal-AI-Router, sections 4 and 7.2, and
``docs/architecture.mdx``: the least ``pending + GPU pressure + local reservations``, then the lower
pressure, then the node's UUID. Pending counts what is queued and running; reservations stand for
what is not counted yet, and here the router learns of both at once, so their sum is what is in
flight. Pressure is the busiest processor's smoothed utilisation in bands of 0 to 3, with
hysteresis; our nodes do not report one, so it is read off the machine, with each report.
"""

from collections.abc import Callable

from mesh.core.types import Request
from mesh.sim.rivals.picks import Ranked
from mesh.sim.rivals.plain_fleet import View

EWMA_WEIGHT = 0.35
UPWARD, DOWNWARD = (0.40, 0.70, 0.85), (0.35, 0.65, 0.80)


class PersonalAiRouter:
    """Every job counts as one, whatever the machine."""

    def __init__(self, utilisation: Callable[[View], float]) -> None:
        """``utilisation`` tells a share in [0, 1], of the time since it was last asked."""
        self._utilisation = utilisation
        self._ranked = Ranked()
        self._smoothed: dict[int, float] = {}
        self._pressure: dict[int, int] = {}

    def reported(self, view: View) -> None:
        utilisation = self._utilisation(view)
        before = self._smoothed.get(view.number, utilisation)
        smoothed = before + EWMA_WEIGHT * (utilisation - before)
        self._smoothed[view.number] = smoothed
        self._pressure[view.number] = _band(smoothed, self._pressure.get(view.number, 0))

    def changed(self, view: View) -> None:
        if not view.free:
            self._ranked.leave(view)
            return
        pressure = self._pressure[view.number]
        # Machines are numbered in an order that tells nothing of them, as UUIDs do.
        self._ranked.enter(view, (view.in_flight + pressure, pressure, view.number))

    def pick(self, request: Request) -> View | None:
        first = self._ranked.first()
        return first[1] if first else None


def _band(utilisation: float, before: int) -> int:
    """Rise at one limit and fall at a lower one."""
    rising = sum(utilisation >= limit for limit in UPWARD)
    falling = sum(utilisation >= limit for limit in DOWNWARD)
    return max(rising, min(before, falling))
