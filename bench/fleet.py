"""How well a simulated mesh is routed: ours, rivals and an oracle, on the same machines and asks.

Virtual machines that truly take time (``mesh.sim.serving``) are asked at random moments, at 80 % of
what the oracle sustains (``bench.fleet_load``). Each side routes the very same requests on the very
same machines, once all alike and once as unequal as desks are. Times are virtual; how long our
fleet takes to decide is real.

Why this world, chosen before anything was measured: one model on every machine, so that each
request may go anywhere and only the pick differs; the kinds of desks that ``mesh.sim.profiles`` has
always had, and a Raspberry Pi and a Mac Studio as its two ends; lengths with a long tail; nobody
sleeps, fails or comes back to work, which has simulations of its own.
"""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from bench.fleet_load import FROM_S, SHARE, SUSTAINED_PER_NODE, Fleets, asks
from bench.fleet_sides import SIDES
from bench.result import Figures, percentile
from mesh.core.actions import Action
from mesh.core.events import Event, RequestArrived
from mesh.sim.serving import fleets
from mesh.sim.serving.world import Decider, ServingWorld

NODES, NODES_SHORT = 1000, 100
SEED = 11
WARM_UP_S, MEASURED_S = 60.0, 120.0
# Larger meshes are asked for less time, so that a run has as many requests: of 20,000 measured ones
# 200 lie above the 99th percentile.
ASKED_MOST = 30_000
ASKED_S_MIN = 20.0  # each of both, however large the mesh: below, it would not be loaded yet
DRAIN_S = 60.0  # after the last was asked; later ones change no percentile that is shown
ALL_NODES_MAX = 2000  # of larger meshes only ours and least loaded, or it would take an hour

RIVALS = tuple(side for side in SIDES if side != "ours")


@dataclass(frozen=True, slots=True)
class Trial:
    """What all sides are put to."""

    made: Fleets
    nodes: int
    rate_per_s: float
    warm_up_s: float
    measured_s: float

    @classmethod
    def of(cls, name: str, made: Fleets, nodes: int) -> "Trial":
        """Return 80 % of what the oracle sustains, for as long as that is few enough requests."""
        rate_per_s = SHARE * SUSTAINED_PER_NODE[name] * nodes
        shrink = min(1.0, ASKED_MOST / (rate_per_s * (WARM_UP_S + MEASURED_S)))
        warm_up_s = max(ASKED_S_MIN, WARM_UP_S * shrink)
        return cls(made, nodes, rate_per_s, warm_up_s, max(ASKED_S_MIN, MEASURED_S * shrink))


@dataclass(frozen=True, slots=True)
class Result:
    """How one side did with what it was asked after the warm-up. Seconds, in order.

    What had not come when the clock stopped counts as coming then: slow sides look a little better.
    """

    first_token_s: list[float]
    completion_s: list[float]
    unanswered: int
    events_per_s: float  # of real time
    decide_us: list[float]

    @property
    def p99_first_token_s(self) -> float:
        return percentile(self.first_token_s, 99)

    @classmethod
    def of(
        cls, world: ServingWorld, from_s: float, decide_us: list[float], took_s: float
    ) -> "Result":
        measured = [each for each in world.outcomes.values() if each.ask.at_s >= from_s]
        now_s = world.now_s
        firsts = [(each.first_s or now_s) - each.ask.at_s for each in measured]
        lasts = [(each.last_s or now_s) - each.ask.at_s for each in measured]
        unanswered = sum(not each.answered for each in measured)
        return cls(sorted(firsts), sorted(lasts), unanswered, world.handled / took_s, decide_us)


@dataclass(slots=True)
class Timed:
    """A decider, and the processor time of each of its decisions on a new request.

    Not the wall's: whoever else is on this machine would be in it.
    """

    decider: Decider
    decide_us: list[float] = field(default_factory=list)

    @property
    def next_due_s(self) -> float | None:
        return self.decider.next_due_s

    def handle(self, event: Event, now_s: float) -> list[Action]:
        if not isinstance(event, RequestArrived):
            return self.decider.handle(event, now_s)
        began_s = time.thread_time()
        actions = self.decider.handle(event, now_s)
        self.decide_us.append((time.thread_time() - began_s) * 1e6)
        return actions


async def measure(short: bool, nodes: int | None = None) -> Figures:
    """Let every side route a mesh of unequal nodes, and the two that matter one of equal nodes."""
    nodes = nodes or (NODES_SHORT if short else NODES)
    if nodes > ALL_NODES_MAX:
        print(f"more than {ALL_NODES_MAX} nodes: beside ours only least loaded", flush=True)
        unequal = compare("unequal", fleets.unequal, nodes, ("ours", "least_loaded"))
        equal: dict[str, Result] = {}
    else:
        unequal = compare("unequal", fleets.unequal, nodes, SIDES)
        equal = compare("equal", fleets.equal, nodes, ("ours", "least_loaded"))
    ours = unequal["ours"]
    return {
        "nodes": nodes,
        "p50_first_token_s": percentile(ours.first_token_s, 50),
        "p99_first_token_s": ours.p99_first_token_s,
        "p50_completion_s": percentile(ours.completion_s, 50),
        "p99_completion_s": percentile(ours.completion_s, 99),
        **{f"ratio_{rival}": _ratio(unequal, rival) for rival in RIVALS},
        "ratio_equal_nodes_least_loaded": _ratio(equal, "least_loaded"),
        "unanswered": ours.unanswered,
        "decide_us_p50": percentile(ours.decide_us, 50),
        "decide_us_p99": percentile(ours.decide_us, 99),
        "events_per_s": ours.events_per_s,
    }


def compare(name: str, made: Fleets, nodes: int, sides: Iterable[str]) -> dict[str, Result]:
    """Let each side route the same requests on ``nodes`` machines; print a line for each."""
    trial = Trial.of(name, made, nodes)
    print(f"{nodes} {name} nodes, {trial.rate_per_s:.1f} requests/s, seconds:", flush=True)
    print(f"  {'':20}{'first token':>15}{'':9}{'completion':>15}{'':9}{'not yet':>9}")
    print(f"  {'':20}{'p50':>10}{'p99':>10}    {'p50':>10}{'p99':>10}    {'answered':>9}")
    results = {}
    for side in sides:
        results[side] = result = run(side, trial)
        shown = [
            percentile(values, percent)
            for values in (result.first_token_s, result.completion_s)
            for percent in (50, 99)
        ]
        first, first_99, last, last_99 = (f"{value:10.2f}" for value in shown)
        print(
            f"  {side:20}{first}{first_99}    {last}{last_99}    {result.unanswered:9}", flush=True
        )
    return results


def run(side: str, trial: Trial, drain_s: float = DRAIN_S) -> Result:
    """Play one side until all that was asked has ended, or ``drain_s`` after the last request."""
    asked = asks(
        trial.rate_per_s, warm_up_s=trial.warm_up_s, measured_s=trial.measured_s, seed=SEED
    )
    world = ServingWorld(trial.made(trial.nodes, Random(SEED)), asked, Random(SEED))
    decider = Timed(SIDES[side](world, SEED))
    measured_from_s = FROM_S + trial.warm_up_s
    asked_until_s = measured_from_s + trial.measured_s
    began_s, until_s = time.perf_counter(), 0.0
    while until_s < asked_until_s + drain_s and world.play(decider, until_s):
        _tell(side, until_s, asked_until_s)
        until_s += 1.0
    _tell(side, None, asked_until_s)
    took_s = time.perf_counter() - began_s
    return Result.of(world, measured_from_s, decider.decide_us, took_s)


def _ratio(results: dict[str, Result], rival: str) -> float | None:
    """Ours / the rival's: less than 1 is better. None if it did not run."""
    if rival not in results:
        return None
    return results["ours"].p99_first_token_s / results[rival].p99_first_token_s


def _tell(side: str, now_s: float | None, of_s: float) -> None:
    """Show on a terminal how far a side is; None: it is done, and the line is free again."""
    if sys.stdout.isatty():
        shown = "" if now_s is None else f"  {side}: {now_s:.0f} of {of_s:.0f} virtual seconds"
        print(f"\r{shown:60}\r", end="", flush=True)
