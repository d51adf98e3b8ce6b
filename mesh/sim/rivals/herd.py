"""Ollama Herd's scorer of seven signals, as its documents describe it.

``docs/fleet-manager-routing-engine.md`` of geeks-accelerator/ollama-herd, "Stage 2 - Scoring"; the
roles by memory, and full marks for the fit of a model that is loaded, as its later scorer has them.
The node with the most points wins. Not played: its pre-warming and rebalancing, which move what
waits at a node, for nothing waits at a node here; and signal 6, which is there for a MacBook's
owner only.
"""

from random import Random

from mesh.core.types import Request
from mesh.sim.rivals.picks import Ranked
from mesh.sim.rivals.plain_fleet import View

HOT, COLD = 50.0, 10.0  # signal 1: the model is loaded, or on disk
FIT = ((2.0, 20.0), (1.5, 15.0), (1.2, 8.0), (1.0, 3.0))  # signal 2: free memory / model size
DEPTH_EACH, DEPTH_MOST = 6.0, 30.0  # signal 3: a request in flight
WAIT_S_A_POINT, WAIT_MOST = 10.0, 25.0  # signal 4: in flight x p75 of the latency
CONTEXT = ((8.0, 15.0), (3.0, 12.0), (1.5, 7.0), (1.0, 3.0))  # signal 7: context / prompt tokens
CONTEXT_SHORT = -15.0
GIB = 2**30
CONTEXT_TOKENS = 8192  # of every machine here
EXPECTED_TOKENS = 100.0  # of an answer, until there are latencies


class Herd:
    """Signal 7 depends on the request, and is the same for all machines that have it loaded."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng  # for ties, as a list's order would be chance here
        self._hot, self._cold = Ranked(), Ranked()

    def reported(self, view: View) -> None:
        pass

    def changed(self, view: View) -> None:
        self._hot.leave(view)
        self._cold.leave(view)
        if view.free:
            among = self._hot if view.warm else self._cold
            among.enter(view, (-_points(view), self._rng.random()))

    def pick(self, request: Request) -> View | None:
        ratio = CONTEXT_TOKENS / max(1.0, request.prompt_bytes / 4)
        fits = _band(CONTEXT, ratio, CONTEXT_SHORT)
        hot, cold = self._hot.first(), self._cold.first()
        if hot is None or cold is None:
            found = hot or cold
            return found[1] if found else None
        return hot[1] if -hot[0][0] + fits >= -cold[0][0] else cold[1]


def _points(view: View) -> float:
    depth = view.in_flight
    wait_s = depth * _latency_s(view) if depth else 0.0
    fit = _band(FIT, view.load.memory_free_bytes / view.model_bytes, 0.0)
    return (
        (HOT if view.warm else COLD)
        + (FIT[0][1] if view.warm else fit)
        - min(DEPTH_MOST, depth * DEPTH_EACH)
        - min(WAIT_MOST, wait_s / WAIT_S_A_POINT)
        + _role(view)
    )


def _latency_s(view: View) -> float:
    """The 75th percentile of its answers' times, or what the model's size lets one expect."""
    if view.durations_s:
        ordered = sorted(view.durations_s)
        return ordered[int(0.75 * (len(ordered) - 1))]
    return EXPECTED_TOKENS / max(1.0, 100.0 / max(1.0, view.model_bytes / 1e9))


def _role(view: View) -> float:
    """Signal 5 for a model of less than 10B parameters: small machines first."""
    memory_gib = view.memory_bytes / GIB
    return 15.0 if memory_gib <= 32 else 8.0 if memory_gib <= 128 else 3.0


def _band(bands: tuple[tuple[float, float], ...], value: float, below: float) -> float:
    return next((points for least, points in bands if value >= least), below)
