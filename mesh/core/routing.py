"""Where a request goes: filter, predict, pick.

1. Filter on facts (``mesh.core.filter``). Each node that is ruled out has a reason.
2. Predict the time to the first and last token for what is left (``mesh.core.cost``).
3. Pick the least cost by the policy among replicas with a free slot. Near-equals are drawn by a
   seeded random, so that a burst does not herd onto one machine.

Nothing here changes anything: a placement may be computed and thrown away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from random import Random

from mesh.core.cost import WEIGHTS, Demand, predict
from mesh.core.directory import Directory
from mesh.core.filter import BYTES_PER_TOKEN_MAX, unfit
from mesh.core.ladder import Rung, ladder
from mesh.core.node import Replica
from mesh.core.pool import Pool
from mesh.core.receipt import Candidate
from mesh.core.types import NodeId, Request, Tier

CANDIDATES_MAX = 64  # predicted for one pick: bounds a decision's time in a mesh of any size
CANDIDATES_KEPT = 4  # put on the receipt, unless the request wants all explained
NEAR_EQUAL = 1.05  # costs within 5 % are ties: predictions are no better than that

Scored = tuple[float, Replica]  # the cost first


@dataclass(frozen=True, slots=True)
class Placed:
    """A replica with a free slot was found."""

    chosen: Candidate
    candidates: tuple[Candidate, ...]  # the chosen one first, then by cost
    why: str


@dataclass(frozen=True, slots=True)
class AllBusy:
    """There are capable replicas, and every slot is taken: worth waiting for."""

    candidates: tuple[Candidate, ...]
    replicas: int  # how many, as far as was counted


@dataclass(frozen=True, slots=True)
class Unplaceable:
    """Nothing can serve the request, now or soon. ``mesh.core.filter.ruled_out`` says why."""

    model_known: bool


def place(
    request: Request, directory: Directory, avoid: Mapping[NodeId, str], rng: Random
) -> Placed | AllBusy | Unplaceable:
    """Choose a replica for ``request``.

    Args:
        avoid: nodes that failed or refused this request already, with the reason.
        rng: draws among near-equals, and which are looked at where there are too many.
    """
    if placed := place_now(request, directory, avoid, rng):
        return placed
    busy: list[Scored] = []
    known = False
    for rung in ladder(request, directory):
        known = True
        busy += _busy(request, rung, directory, avoid, rng)
        if len(busy) >= CANDIDATES_MAX:
            break
    if busy:
        busy.sort(key=itemgetter(0))
        return AllBusy(_candidates(request, busy, free=False), len(busy))
    return Unplaceable(known)


def place_now(
    request: Request, directory: Directory, avoid: Mapping[NodeId, str], rng: Random
) -> Placed | None:
    """Choose a replica that has a free slot for ``request``, or return None."""
    for rung in ladder(request, directory):
        free = _free(request, rung, directory, avoid, rng)
        if not free:
            continue
        free.sort(key=itemgetter(0))
        free.insert(0, free.pop(_draw(free, rng)))
        candidates = _candidates(request, free, free=True)
        if request.explain:
            busy = _busy(request, rung, directory, avoid, rng)
            candidates += _candidates(request, busy, free=False)
        return Placed(candidates[0], candidates, _why(candidates, rung))
    return None


def _free(
    request: Request, rung: Rung, directory: Directory, avoid: Mapping[NodeId, str], rng: Random
) -> list[Scored]:
    """Return the replicas of ``rung`` that can begin now, with their costs.

    This loop is most of a decision: it writes out ``unfit`` for a request that wants nothing
    special, and ``weights.cost(predict(...))`` for a free replica.
    """
    held = [directory.holders(each) for each in rung.model_ids]
    pools = [each.free for each in held if each.free]
    if not pools:
        return []
    demand, weights = Demand.of(request), WEIGHTS[request.policy]
    prompt_tokens, share = demand.prompt_tokens, _share(pools)
    per_first_token = weights.first_token + weights.completion
    per_token = weights.completion * demand.output_tokens
    tokens_min = request.prompt_bytes / BYTES_PER_TOKEN_MAX
    special = bool(avoid or request.needs or request.tier is Tier.DEVICE)
    special = special or any(each.embeds for each in held)
    foreign = not request.from_coordinator_host
    scored: list[Scored] = []
    for pool in _some(pools, rng):
        limit = len(scored) + share
        for replica in pool.walk(rng):
            if replica.offer.context_tokens < tokens_min:
                continue
            if special and unfit(request, replica, avoid) is not None:
                continue
            if foreign and replica.node.load.owner_busy:
                continue
            speed = replica.speed
            decode_s = speed.decode_s
            wait_s = replica.node.rtt_s + speed.load_s + prompt_tokens * speed.prefill_s
            cost = per_first_token * (wait_s + decode_s) + per_token * decode_s
            scored.append((cost, replica))
            if len(scored) >= limit:
                break
    return scored


def _busy(
    request: Request, rung: Rung, directory: Directory, avoid: Mapping[NodeId, str], rng: Random
) -> list[Scored]:
    """Return the replicas of ``rung`` that could serve ``request``, were their slots not taken."""
    pools = [pool for each in rung.model_ids if (pool := directory.holders(each).able)]
    demand, weights = Demand.of(request), WEIGHTS[request.policy]
    scored: list[Scored] = []
    for pool in _some(pools, rng):
        eligible = (
            replica
            for replica in pool.walk(rng)
            if not replica.can_begin and unfit(request, replica, avoid) is None
        )
        for replica in islice(eligible, _share(pools)):
            predicted = predict(demand, replica.speed, replica.node.rtt_s, free=False)
            scored.append((weights.cost(predicted), replica))
    return scored


def _share(pools: list[Pool]) -> int:
    """How many replicas of each model a pick looks at."""
    return max(1, CANDIDATES_MAX // max(1, len(pools)))


def _some(pools: list[Pool], rng: Random) -> list[Pool]:
    """Return as many models' replicas as a pick looks at, from a random place if there are more."""
    start = int(rng.random() * len(pools)) if len(pools) > CANDIDATES_MAX else 0
    return (pools[start:] + pools[:start])[:CANDIDATES_MAX] if start else pools[:CANDIDATES_MAX]


def _draw(by_cost: list[Scored], rng: Random) -> int:
    """Draw the place of one that costs about as little as the first."""
    limit = NEAR_EQUAL * by_cost[0][0]
    near = sum(cost <= limit for cost, _ in by_cost)
    return int(rng.random() * near) if near > 1 else 0


def _candidates(request: Request, scored: list[Scored], *, free: bool) -> tuple[Candidate, ...]:
    demand = Demand.of(request)
    kept = scored if request.explain else scored[:CANDIDATES_KEPT]
    return tuple(_candidate(demand, *each, free=free) for each in kept)


def _candidate(demand: Demand, cost: float, replica: Replica, *, free: bool) -> Candidate:
    node, model = replica.node, replica.model
    predicted = predict(demand, replica.speed, node.rtt_s, free=free)
    return Candidate(
        node_id=node.node_id,
        node_name=node.name,
        model_id=model.model_id,
        model_name=model.name,
        first_token_s=predicted.first_token_s,
        completion_s=predicted.completion_s,
        cost=cost,
        free=free,
    )


def _why(candidates: tuple[Candidate, ...], rung: Rung) -> str:
    chosen, *others = candidates
    if not others:
        return f"{rung.why}; {chosen.node_name} is the only machine that can serve it now"
    best = others[0]
    return (
        f"{rung.why}; {chosen.node_name} is predicted to begin in {chosen.first_token_s:.2f} s, "
        f"{best.node_name} in {best.first_token_s:.2f} s"
    )
