"""Where a request goes: filter, predict, pick.

1. Filter on facts (``mesh.core.filter``). Each node that is ruled out has a reason.
2. Predict the time to the first and last token for what is left (``mesh.core.cost``).
3. Pick the least cost by the policy among replicas with a free slot. Near-equals are drawn by a
   seeded random, so that a burst does not herd onto one machine. Where a slot of a quicker machine
   is expected soon enough, the request had better wait for it: a slow one that is free now may
   read for a minute what the other reads in a second. ``mesh.core.pick`` has the arithmetic.

Whoever holds the beginning of the prompt reads less of it, and is cheaper for that; there is no
other rule for it, so a beginning that everybody sends drowns nobody.

Nothing here changes anything: a placement may be computed and thrown away.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from random import Random

from mesh.core.directory import Directory
from mesh.core.filter import unfit
from mesh.core.ladder import Rung, ladder
from mesh.core.look import NEAR_EQUAL, Look, Scored, Waiting
from mesh.core.node import Replica
from mesh.core.pick import CANDIDATES_MAX, Pick
from mesh.core.receipt import Candidate
from mesh.core.types import NodeId, Request

WAITED_FOR_KEPT = 4  # of those that a request waits for, the least cost first


@dataclass(frozen=True, slots=True)
class Placed:
    """A replica with a free slot was found."""

    chosen: Candidate
    candidates: tuple[Candidate, ...]  # the chosen one, and the best of the others
    why: str
    look: Look  # has all of them


@dataclass(frozen=True, slots=True)
class AllBusy:
    """There are capable replicas, and none is free that is worth taking: worth waiting for."""

    candidates: tuple[Candidate, ...]
    replicas: int  # how many, as far as was counted
    first_token_s: float  # the earliest that is predicted, seconds from now
    look: Look


@dataclass(frozen=True, slots=True)
class Unplaceable:
    """Nothing can serve the request, now or soon. ``mesh.core.filter.ruled_out`` says why."""

    model_known: bool


def place(
    request: Request,
    directory: Directory,
    avoid: Mapping[NodeId, str],
    rng: Random,
    ahead: int | None = None,
) -> Placed | AllBusy | Unplaceable:
    """Choose a replica for ``request``.

    Args:
        avoid: nodes that failed or refused this request already, with the reason.
        rng: draws among near-equals, and which are looked at where there are too many.
        ahead: requests that wait before it, if it may wait for a better machine than is free.
    """
    found = _pick(request, directory, avoid, rng, ahead)
    if isinstance(found, Placed):
        return found
    busy: list[tuple[Waiting, Pick]] = []
    for pick in found:
        busy += [(each, pick) for each in pick.busy(ahead or 0)]
        if len(busy) >= CANDIDATES_MAX:
            break
    if not busy:
        return Unplaceable(model_known=bool(found))
    busy.sort(key=lambda each: each[0][0])
    candidates = tuple(
        pick.candidate(cost, replica, wait_s)
        for (cost, wait_s, replica, _, _), pick in busy[:WAITED_FOR_KEPT]
    )
    earliest_s = min(each.first_token_s for each in candidates)
    look = _look_of(found, [each for each, _ in busy])
    return AllBusy(candidates, len(busy), earliest_s, look)


def place_now(
    request: Request,
    directory: Directory,
    avoid: Mapping[NodeId, str],
    rng: Random,
    ahead: int | None = None,
) -> Placed | None:
    """Choose a replica that has a free slot for ``request``; None if there is none worth taking."""
    found = _pick(request, directory, avoid, rng, ahead)
    return found if isinstance(found, Placed) else None


def place_doubted(
    request: Request, directory: Directory, avoid: Mapping[NodeId, str], rng: Random
) -> Placed | None:
    """Choose one that is kept apart for its failures, where no other can take it now."""
    for rung in ladder(request, directory):
        pick = Pick(request, rung, directory, avoid, rng)
        scored = [
            pick.weigh(replica)
            for model_id in rung.model_ids
            for replica in directory.holders(model_id).doubtful()
            if replica.room > 0 and replica.refused is None
            if unfit(request, replica, avoid) is None
        ]
        if scored:
            scored.sort(key=itemgetter(0))
            placed = _placed(pick, scored, 0)
            name = placed.chosen.node_name
            why = f"{rung.why}; {name} has failed lately, and no other machine can now"
            return replace(placed, why=why)
    return None


def had_better_wait(  # noqa: PLR0913, PLR0917 - as ``place``, and for whom
    request: Request,
    replica: Replica,
    directory: Directory,
    avoid: Mapping[NodeId, str],
    rng: Random,
    ahead: int,
) -> bool:
    """Would ``request`` wait for another one rather than take this free ``replica``?"""
    rung = Rung((replica.model_id,), "")
    pick = Pick(request, rung, directory, avoid, rng)
    return pick.better_waits(pick.weigh(replica), ahead)


def _pick(
    request: Request,
    directory: Directory,
    avoid: Mapping[NodeId, str],
    rng: Random,
    ahead: int | None,
) -> Placed | list[Pick]:
    """Return the placement, or the rungs that were tried: none if the model is unknown."""
    tried: list[Pick] = []
    for rung in ladder(request, directory):
        pick = Pick(request, rung, directory, avoid, rng)
        tried.append(pick)
        free = pick.free()
        if not free:
            continue
        free.sort(key=itemgetter(0))
        if ahead is not None and pick.better_waits(free[0], ahead):
            pick.declined = free
            return tried
        free.insert(0, free.pop(_draw(free, rng)))
        return _placed(pick, free, ahead or 0)
    return tried


def _placed(pick: Pick, free: list[Scored], ahead: int) -> Placed:
    """Put down that the first of ``free`` was chosen."""
    look = pick.look(free, pick.busy(ahead) if pick.request.explain else None)
    told = tuple([pick.candidate(each[0], each[1]) for each in free[:2]])
    return Placed(told[0], told, _why(told, pick.rung), look)


def _look_of(tried: list[Pick], full: list[Waiting]) -> Look:
    """Put down that nobody was chosen: the request waits for one of ``full``."""
    looks = [pick.look(pick.declined) for pick in tried]
    return replace(
        looks[0],
        models=tuple([model_id for look in looks for model_id in look.models]),
        demands={model_id: each for look in looks for model_id, each in look.demands.items()},
        free=[each for look in looks for each in look.free],
        full=full,
        placed=False,
    )


def _draw(by_cost: list[Scored], rng: Random) -> int:
    """Draw the place of one that costs about as little as the first."""
    limit = NEAR_EQUAL * by_cost[0][0]
    near = 1
    while near < len(by_cost) and by_cost[near][0] <= limit:
        near += 1
    return int(rng.random() * near) if near > 1 else 0


def _why(candidates: tuple[Candidate, ...], rung: Rung) -> str:
    chosen, *others = candidates
    if not others:
        return f"{rung.why}; {chosen.node_name} is the only machine that can serve it now"
    best = others[0]
    return (
        f"{rung.why}; {chosen.node_name} is predicted to begin in {chosen.first_token_s:.2f} s, "
        f"{best.node_name} in {best.first_token_s:.2f} s"
    )
