"""Which replicas may serve a request at all, and why the others may not. Facts only."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from math import inf
from random import Random

from mesh.core.breaker import Standing
from mesh.core.directory import Directory
from mesh.core.experience import BYTES_PER_TOKEN
from mesh.core.ladder import is_automatic, ladder
from mesh.core.node import Node, Replica
from mesh.core.receipt import RuledOut
from mesh.core.types import (
    Capability,
    NodeId,
    NodeState,
    Refusal,
    ReplicaState,
    Request,
    Tier,
)

BYTES_PER_TOKEN_MAX = 2 * BYTES_PER_TOKEN  # beyond it a prompt certainly does not fit
REASONS_MAX = 3  # told of one node: the rest is more of the same
EXPLAINED_MAX = 256  # nodes a receipt explains: more than anyone reads, and a bound on its bytes
REFUSED_MAX = 64  # nodes a refusal explains unasked: refusals come in herds, at 2 us a reason
SUSPECTS_MAX = 256  # holders looked at for one that may speak again, or come back

_OWNED = "its owner is using it"
# Where people have another word, or nobody asked for it by name.
_ASKED_AS = {
    Capability.GRAMMAR: "grammar (response_format)",
    Capability.GBNF: "gbnf (a grammar of your own)",
    Capability.VISION: "vision (images)",
    Capability.RESUME: "resume (going on with an answer)",
}


def why_not(
    request: Request, replica: Replica, avoid: Mapping[NodeId, str], now_s: float
) -> str | None:
    """Return the fact that rules this replica out, or None. A taken slot is not one."""
    return _why_not_now(replica, now_s) or unfit(request, replica, avoid)


def unfit(request: Request, replica: Replica, avoid: Mapping[NodeId, str]) -> str | None:
    """``why_not`` for an ``able`` replica: what of this request it cannot serve."""
    if avoid and (failed := _failed_it(replica, avoid)) is not None:
        return failed
    if replica.node.load.owner_busy and not request.from_coordinator_host:
        return _OWNED
    if request.tier is Tier.DEVICE and not (
        request.from_coordinator_host and replica.node.on_coordinator_host
    ):
        return "tier device: the prompt may not leave the machine it was typed on"
    offer = replica.offer
    if request.tier is Tier.DEVICE and offer.off_host:
        return f"tier device: {offer.engine} is on another machine"
    if request.needs and (missing := request.needs - offer.capabilities):
        return f"{replica.model.name} cannot do {_listed(missing)} there"
    if offer.embeds and Capability.EMBED not in request.needs:
        return f"{replica.model.name} turns text into vectors, and writes none"
    # The coordinator has no tokenizer: only what cannot fit at twice the usual bytes a token is
    # ruled out here, and the node, which counts, has the last word.
    if request.prompt_bytes > BYTES_PER_TOKEN_MAX * offer.context_tokens:
        return f"the prompt is far longer than its context of {offer.context_tokens}"
    return None


def _failed_it(replica: Replica, avoid: Mapping[NodeId, str]) -> str | None:
    node_id = replica.node.node_id
    return avoid[node_id] if node_id in avoid else avoid.get(replica.place)


def can_begin_on(
    node: Node, request: Request, directory: Directory, avoid: Mapping[NodeId, str]
) -> bool:
    """Has ``node`` a free slot for ``request`` now?"""
    return bool(beginning_on(node, request, directory, avoid))


def beginning_on(
    node: Node, request: Request, directory: Directory, avoid: Mapping[NodeId, str]
) -> list[Replica]:
    """Return the replicas of ``node`` that have a free slot for ``request`` now."""
    return [
        replica
        for replica in asked_of(node, request, directory)
        if replica.can_begin and unfit(request, replica, avoid) is None
    ]


def capable(request: Request, directory: Directory, avoid: Mapping[NodeId, str]) -> bool:
    """Can any node serve ``request``, once it has a free slot?"""
    return any(
        unfit(request, replica, avoid) is None
        for rung in ladder(request, directory)
        for model_id in rung.model_ids
        for replica in directory.holders(model_id).able.walk()
    )


def hopeful(
    request: Request, directory: Directory, avoid: Mapping[NodeId, str], rng: Random
) -> bool:
    """Is a node there that can serve ``request``, or may in a moment, if it speaks again?"""
    if capable(request, directory, avoid):
        return True
    return any(
        replica.node.state is NodeState.SUSPECT and unfit(request, replica, avoid) is None
        for rung in ladder(request, directory)
        for model_id in rung.model_ids
        for replica in islice(directory.holders(model_id).every.walk(rng), SUSPECTS_MAX)
    )


def lost_since(
    since_s: float, request: Request, directory: Directory, avoid: Mapping[NodeId, str]
) -> bool:
    """Was a node lost after ``since_s`` that could serve ``request``? It may attach again."""
    return any(
        replica.node.state is NodeState.LOST
        and replica.node.state_since_s >= since_s
        and unfit(request, replica, avoid) is None
        for rung in ladder(request, directory)
        for model_id in rung.model_ids
        for replica in islice(directory.holders(model_id).every.walk(), SUSPECTS_MAX)
    )


def too_long(request: Request, directory: Directory, avoid: Mapping[NodeId, str]) -> bool:
    """Is it the prompt? A shorter one could be served, and this one not even by who is away now."""
    if not capable(replace(request, prompt_bytes=0), directory, avoid):
        return False
    return not any(
        unfit(request, replica, avoid) is None
        for rung in ladder(request, directory)
        for model_id in rung.model_ids
        for replica in islice(directory.holders(model_id).every.walk(), SUSPECTS_MAX)
    )


def asleep(request: Request, directory: Directory, avoid: Mapping[NodeId, str]) -> list[str]:
    """Name those who could serve ``request`` if they were awake."""
    return [
        replica.node.name
        for rung in ladder(request, directory)
        for model_id in rung.model_ids
        for replica in islice(directory.holders(model_id).every.walk(), SUSPECTS_MAX)
        if replica.node.state is NodeState.ASLEEP and unfit(request, replica, avoid) is None
    ]


def ruled_out(
    request: Request,
    directory: Directory,
    avoid: Mapping[NodeId, str],
    at_most: int,
    now_s: float,
) -> tuple[RuledOut, ...]:
    """Say for nodes that cannot serve ``request`` why; those that hold its model first.

    For refusals, and for those who asked to have it explained: it may look at every node.
    """
    reasons = (
        RuledOut(node.node_id, node.name, reason)
        for node in holders_first(request, directory)
        if (reason := reason_against(node, request, directory, avoid, now_s)) is not None
    )
    return tuple(islice(reasons, at_most))


def holders_first(request: Request, directory: Directory) -> Iterator[Node]:
    """Yield every node, those that hold the request's model first."""
    seen: set[NodeId] = set()
    for rung in ladder(request, directory):
        for model_id in rung.model_ids:
            for replica in directory.holders(model_id).every.walk():
                if replica.node.node_id not in seen:
                    seen.add(replica.node.node_id)
                    yield replica.node
    yield from (node for node_id, node in directory.nodes.items() if node_id not in seen)


def asked_of(node: Node, request: Request, directory: Directory) -> Iterator[Replica]:
    """Yield the replicas of ``node`` that are what ``request`` asks for."""
    if request.plan is not None:
        for planned in request.plan.rungs:
            yield from (node.replicas[each] for each in planned if each in node.replicas)
        return
    if is_automatic(request):
        automatic = directory.automatic()
        yield from (each for model_id, each in node.replicas.items() if model_id in automatic)
        return
    for model_id in directory.resolve(request.model):
        if model_id in node.replicas:
            yield node.replicas[model_id]


def reason_against(
    node: Node,
    request: Request,
    directory: Directory,
    avoid: Mapping[NodeId, str],
    now_s: float,
) -> str | None:
    """Return why ``node`` cannot serve ``request``, or None if it can, once it has a slot."""
    if reason := _why_not_node(node, now_s):
        return reason
    reasons = [why_not(request, each, avoid, now_s) for each in asked_of(node, request, directory)]
    if not reasons:
        return avoid.get(node.node_id) or _holds(node)
    if not all(reasons):
        return None
    told = list(dict.fromkeys(filter(None, reasons)))
    more = f"; and {len(told) - REASONS_MAX} more" if len(told) > REASONS_MAX else ""
    return "; ".join(told[:REASONS_MAX]) + more


def _why_not_now(replica: Replica, now_s: float) -> str | None:
    """The reason if the replica is not ``able``."""
    if reason := _why_not_node(replica.node, now_s):
        return reason
    status = replica.status
    if status.state is ReplicaState.FAILED:
        return f"could not load {replica.model.name}: {status.reason or 'it did not say why'}"
    if status.slots < 1:
        return f"has no slots for {replica.model.name}"
    if replica.refused is Refusal.NO_MEMORY:
        return f"has not enough free memory for {replica.model.name}"
    return None if replica.able else _why_ejected(replica, now_s)


def _why_ejected(replica: Replica, now_s: float) -> str:
    node, own = replica.node, replica.node.breakers.get(replica.model.model_id)
    if node.losses.standing is Standing.EJECTED:
        breaker, what = node.losses, f"lost its connection {node.losses.failures} times in a row"
    else:
        assert own is not None, "someone ejected it"
        breaker, what = own, f"failed {own.failures} requests in a row"
    if own is not None and breaker.until_s < own.until_s < inf:
        breaker = own
    return f"{what}; tried again in {max(0.0, breaker.until_s - now_s):.0f} s"


def _why_not_node(node: Node, now_s: float) -> str | None:
    if node.state is NodeState.ASLEEP:
        slept = in_words(now_s - node.state_since_s)
        return f"{node.state}: {node.state_reason} {slept} ago, and is expected back"
    if node.state is not NodeState.ALIVE:
        return f"{node.state}: {node.state_reason}" if node.state_reason else str(node.state)
    return _OWNED if node.closed else None


def in_words(duration_s: float) -> str:
    """``300`` is ``5 min``."""
    for limit_s, unit_s, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if duration_s < limit_s:
            return f"{duration_s / unit_s:.0f} {unit}"
    return f"{duration_s / 86_400:.0f} days"


def _holds(node: Node) -> str:
    held = sorted(replica.model.name for replica in node.replicas.values())
    has = f"has {', '.join(held[:8])} only" if held else "has no models"
    unread = node.load.files_unread  # what it has yet to hash may be the very model
    return f"{has} yet: {unread} model files are being read" if unread else has


def _listed(capabilities: frozenset[Capability]) -> str:
    return ", ".join(_ASKED_AS.get(each, each) for each in sorted(capabilities))
