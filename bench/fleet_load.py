"""How much a mesh is asked: 80 % of the most that the oracle sustains.

``SUSTAINED_PER_NODE`` was found by ``python -m bench.fleet_load``: bisection over the rate of
arrivals at ``NODES`` machines, with the oracle routing to free slots only. A rate is sustained if
of the requests of two minutes, after one minute, no more than one in a hundred waits longer than a
second because no slot is free anywhere; beyond it the line only grows. The mix of machines is the
same at any size, so the rate a node is, too. It belongs to the profiles, lengths and engine of
``mesh.sim``: find it anew when one of them changes.
"""

from collections.abc import Callable
from random import Random

from bench.result import percentile
from mesh.sim.profiles import Desk
from mesh.sim.rivals.oracle import Oracle
from mesh.sim.rivals.plain_fleet import PlainFleet
from mesh.sim.serving import fleets
from mesh.sim.serving.arrivals import Ask, poisson
from mesh.sim.serving.world import ServingWorld

Fleets = Callable[[int, Random], tuple[Desk, ...]]

SHARE = 0.8  # of the most
SUSTAINED_PER_NODE = {"unequal": 0.433, "equal": 0.334}  # requests/s

FROM_S = 2.0  # all machines have attached by then
NODES = 300
WARM_UP_S, MEASURED_S = 60.0, 120.0
WAITING_SHARE, WAIT_S = 1.0, 1.0  # percent of requests; seconds in the line
STEPS = 7  # halvings: to 1 % of the range
SEED = 5


def asks(rate_per_s: float, *, warm_up_s: float, measured_s: float, seed: int) -> list[Ask]:
    """Draw what is asked: first what brings the mesh to its load, then what is measured."""
    return poisson(
        fleets.MODEL_NAME,
        per_s=rate_per_s,
        from_s=FROM_S,
        until_s=FROM_S + warm_up_s + measured_s,
        rng=Random(seed),
    )


def sustains(desks: tuple[Desk, ...], rate_per_s: float) -> bool:
    """Whether the oracle keeps the line short at this rate of arrivals."""
    asked = asks(rate_per_s, warm_up_s=WARM_UP_S, measured_s=MEASURED_S, seed=SEED)
    world = ServingWorld(desks, asked, Random(SEED))
    world.play(PlainFleet(Oracle(world, Random(SEED), may_wait=False)), asked[-1].at_s + WAIT_S)
    waited = [
        (world.now_s if each.began_s is None else each.began_s) - each.ask.at_s
        for each in world.outcomes.values()
        if each.ask.at_s >= FROM_S + WARM_UP_S
    ]
    return percentile(waited, 100 - WAITING_SHARE) <= WAIT_S


def find(made: Fleets, low: float = 0.1, high: float = 0.7) -> float:
    """Return the most requests/s a node that the oracle sustains, to about 1 %."""
    desks = made(NODES, Random(SEED))
    for _ in range(STEPS):
        middle = (low + high) / 2
        held = sustains(desks, middle * NODES)
        verdict = "sustained" if held else "too much"
        print(f"  {middle:.4f} requests/s a node: {verdict}", flush=True)
        low, high = (middle, high) if held else (low, middle)
    return low


if __name__ == "__main__":
    for name, made in (("unequal", fleets.unequal), ("equal", fleets.equal)):
        print(f"{name}:", flush=True)
        print(f"{name}: {find(made):.4f}")
