"""How long a routing decision takes, in a small mesh and in a large one.

Unequal machines that hold one model, half of their slots taken. The decision is all that stands
between a request's arrival and the command to a node: filter, predict, pick.
"""

import time
from random import Random

from bench.result import Figures, percentile
from mesh.core import events
from mesh.core.fleet import Fleet
from mesh.core.limits import FleetLimits
from mesh.core.routing import Unplaceable, place
from mesh.core.types import (
    Load,
    Machine,
    Model,
    ModelIdentity,
    NodeId,
    Offer,
    Policy,
    ReplicaState,
    ReplicaStatus,
    Request,
    RequestKey,
    Tier,
)

DECISIONS = 4_000
DECISIONS_SHORT = 500
MODEL = Model(
    identity=ModelIdentity("a" * 64, "b" * 64, "Q4_K_M"),
    names=("llama",),
    architecture="llama",
    parameters=8_000_000_000,
    size_bytes=4_900_000_000,
    context_tokens=32_768,
)


async def measure(short: bool) -> Figures:
    decisions = DECISIONS_SHORT if short else DECISIONS
    return {f"decide_us_p50_{count}": _decide_us(count, decisions) for count in (100, 10_000)}


def _decide_us(nodes: int, decisions: int) -> float:
    rng = Random(nodes)
    fleet = Fleet(FleetLimits(nodes_max=nodes), rng)
    for number in range(nodes):
        fleet.handle(_attached(number, rng), 0.0)
    taken = []
    for number in range(decisions):
        request = _request(number, rng)
        started_s = time.perf_counter()
        placed = place(request, fleet.directory, {}, rng, 0)
        taken.append(time.perf_counter() - started_s)
        assert not isinstance(placed, Unplaceable), "half of the slots are free"
    return 1e6 * percentile(taken, 50)


def _attached(number: int, rng: Random) -> events.NodeAttached:
    slots = rng.choice((1, 2, 4, 8))
    speed = rng.choice((0.1, 0.5, 1.0, 4.0))
    status = ReplicaStatus(
        state=ReplicaState.WARM,
        slots=slots,
        slots_taken=rng.randint(0, slots),
        prefill_tokens_per_s=200 * speed * rng.uniform(0.8, 1.2),
        decode_tokens_per_s=20 * speed * rng.uniform(0.8, 1.2),
    )
    return events.NodeAttached(
        connection_id=number,
        node_id=NodeId(f"n{number}"),
        machine=Machine(f"n{number}", "Linux x86_64", 8, 16 << 30, "0.1.0"),
        offers=(Offer(MODEL, 8192),),
        statuses=((MODEL.model_id, status),),
        load=Load(cpu=rng.random(), on_battery=rng.random() < 0.2),
    )


def _request(number: int, rng: Random) -> Request:
    return Request(
        key=RequestKey("bench", str(number)),
        model="llama",
        tier=Tier.MESH,
        policy=Policy.BALANCED,
        prompt_bytes=rng.choice((200, 2_000, 8_000)),
        max_tokens=rng.choice((0, 256)),
        deadline_s=1e9,
    )
