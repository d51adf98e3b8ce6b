"""Why a request went where it did: each machine, what was predicted for it, why it was not chosen.

Of those that a pick weighed, ``Look`` holds the numbers of that moment. What kept the others out
is told from how they stand when it is asked. Pure, and out of the pick's way.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from operator import itemgetter

from mesh.core.directory import Directory
from mesh.core.filter import asked_of, holders_first, reason_against
from mesh.core.look import NEAR_EQUAL, Look, Scored
from mesh.core.node import Node
from mesh.core.receipt import Candidate, RuledOut
from mesh.core.types import NodeId, Policy, Request

SPARED_FROM = 1.01  # a cost that is raised by less for an owner's sake decides nothing


def weighed(look: Look, at_most: int) -> tuple[Candidate, ...]:
    """Return those that were weighed, the chosen one first, without a word on them."""
    free = [_candidate(look, each, free=True) for each in look.free[:at_most]]
    full = [
        _candidate(look, (cost, replica, first_token_s, decode_s), free=False)
        for cost, _, replica, first_token_s, decode_s in look.full[: at_most - len(free)]
    ]
    return (*free, *full) if look.placed else (*full, *free)


def explained(look: Look) -> tuple[Candidate, ...]:
    """Return all that were weighed, the chosen one first, with why each other was not chosen."""
    free = [_candidate(look, each, free=True) for each in look.free]
    full = [
        replace(
            _candidate(look, (cost, replica, first_token_s, decode_s), free=False),
            reason=f"no free slot: one was expected in {_seconds(wait_s)}",
        )
        for cost, wait_s, replica, first_token_s, decode_s in sorted(look.full, key=itemgetter(0))
    ]
    if look.placed:
        chosen, *others = free
        least = min(each.cost for each in free)
        lost = [replace(each, reason=_lost(look, each, chosen, least)) for each in others]
        return (chosen, *lost, *full)
    if not full:
        return tuple(free)
    better = full[0]
    slower = "free, and slower than to wait: "
    declined = [replace(each, reason=slower + _against(look.policy, each, better)) for each in free]
    return (*full, *declined)


def not_weighed(  # noqa: PLR0913, PLR0917 - whose, where, and when
    request: Request,
    directory: Directory,
    look: Look | None,
    avoid: Mapping[NodeId, str],
    at_most: int,
    now_s: float,
) -> tuple[RuledOut, ...]:
    """Say of each node that the pick did not weigh why it did not; holders of its model first.

    It may look at every node, as they stand now.
    """
    weighed: set[NodeId] = set()
    if look is not None:
        weighed = {each[1].node.node_id for each in look.free}
        weighed |= {each[2].node.node_id for each in look.full}
    reasons = (
        RuledOut(
            node.node_id,
            node.name,
            reason_against(node, request, directory, avoid, now_s)
            or _passed_by(node, request, directory, look),
        )
        for node in holders_first(request, directory)
        if node.node_id not in weighed
    )
    return tuple(islice(reasons, at_most))


def _candidate(look: Look, scored: Scored, *, free: bool) -> Candidate:
    cost, replica, first_token_s, decode_s = scored
    return Candidate(
        node_id=replica.node.node_id,
        node_name=replica.node.name,
        model_id=replica.model_id,
        model_name=replica.model.name,
        first_token_s=first_token_s,
        completion_s=look.completion_s(replica, first_token_s, decode_s),
        cost=cost,
        free=free,
        engine=replica.offer.engine,
    )


def _lost(look: Look, each: Candidate, chosen: Candidate, least: float) -> str:
    """Why a free replica was not chosen."""
    if each.cost <= NEAR_EQUAL * least:
        return f"about as good, and not the one drawn: {_costs(each, chosen)}"
    seconds = look.policy.weigh(each.first_token_s, each.completion_s)
    spared = each.cost / seconds if seconds > 0 else 1.0
    lost = _against(look.policy, each, chosen)
    if spared < SPARED_FROM:
        return lost
    return f"{lost}, as its owner's work, its battery or its heat makes it count {spared:.1f} times"


def _against(policy: Policy, each: Candidate, other: Candidate) -> str:
    """Compare two by what counts most of what tells them apart."""
    first_s = each.first_token_s - other.first_token_s
    rest_s = each.completion_s - other.completion_s - first_s
    costs = _costs(each, other)
    if max(first_s, rest_s) <= 0:
        return costs
    if (policy.first_token + policy.completion) * first_s >= policy.completion * rest_s:
        what, ours, theirs = "first token", each.first_token_s, other.first_token_s
    else:
        what, ours, theirs = "whole answer", each.completion_s, other.completion_s
    its = f"{_told_apart(each, other)}'s"
    return f"{what} in {_seconds(ours)}, {its} in {_seconds(theirs)} ({costs})"


def _costs(each: Candidate, other: Candidate) -> str:
    return f"cost {each.cost:.3g} against {other.cost:.3g}"


def _told_apart(each: Candidate, other: Candidate) -> str:
    if each.node_id == other.node_id:
        return other.model_name
    if each.model_id == other.model_id:
        return other.node_name
    return f"{other.node_name} with {other.model_name}"


def _passed_by(node: Node, request: Request, directory: Directory, look: Look | None) -> str:
    """Why a node that can serve the request, as it stands now, was not weighed."""
    if look is None:
        return "can serve it now, and could not then"
    asked = [each for each in asked_of(node, request, directory) if each.model_id in look.models]
    if not asked:
        names = ", ".join(each.model.name for each in asked_of(node, request, directory))
        return f"has {names}, and others were tried first: {look.why}"
    if not any(each.can_begin for each in asked):
        return "no free slot"
    ranks = [each[1].rank for each in look.free]
    if ranks and min(each.rank for each in asked) >= max(ranks):
        return f"slower than the {len(ranks)} that were weighed: the quickest are weighed first"
    return "had no free slot then, or was not there yet"


def _seconds(value_s: float) -> str:
    return f"{1000 * value_s:.3g} ms" if value_s < 1 else f"{value_s:.3g} s"
