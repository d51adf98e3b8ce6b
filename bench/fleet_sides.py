"""Who routes in the benchmark ``fleet``: our fleet, its rivals, and the oracle.

Rivals take a free slot wherever there is one, and else let all wait in one line. Ours and the
oracle may let a request wait for a quicker machine though a slow one is free.
"""

from collections.abc import Callable
from random import Random

from mesh.core.fleet import Fleet
from mesh.core.limits import FleetLimits
from mesh.sim.rivals.herd import Herd
from mesh.sim.rivals.oracle import Oracle
from mesh.sim.rivals.personal_ai_router import PersonalAiRouter
from mesh.sim.rivals.picks import LeastLoaded, PowerOfTwo, RoundRobin
from mesh.sim.rivals.plain_fleet import PlainFleet
from mesh.sim.serving.world import Decider, ServingWorld

Side = Callable[[ServingWorld, int], Decider]  # of a world, by a seed

# Nobody is refused for want of room: what waits, waits in a line, here as with the rivals.
LIMITS = FleetLimits(nodes_max=100_000, waiting_max=1_000_000)


def ours(world: ServingWorld, seed: int) -> Fleet:
    return Fleet(LIMITS, Random(seed))


SIDES: dict[str, Side] = {
    "ours": ours,
    "round_robin": lambda world, seed: PlainFleet(RoundRobin()),
    "least_loaded": lambda world, seed: PlainFleet(LeastLoaded(Random(seed))),
    "power_of_two": lambda world, seed: PlainFleet(PowerOfTwo(Random(seed))),
    "herd": lambda world, seed: PlainFleet(Herd(Random(seed))),
    "personal_ai_router": lambda world, seed: PlainFleet(
        PersonalAiRouter(lambda view: world.machines[view.node_id].busy_share(world.now_s))
    ),
    "oracle": lambda world, seed: PlainFleet(Oracle(world, Random(seed))),
}
