"""What would become of a request if it came now: decided as for a real one, and thrown away.

Nothing is changed, begun or counted by it. Where a real one would wait, so does this one in words;
what fails only once it is tried (a machine that dies, an upstream that refuses) nobody foresees.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from mesh.core.choosing import Choosing
from mesh.core.climb import Climb
from mesh.core.cloud import may_leave, named, stays_here
from mesh.core.filter import REFUSED_MAX, ruled_out
from mesh.core.leaving import for_cloud_alone
from mesh.core.receipt import RungAccount
from mesh.core.refusals import all_busy, cloud_lacks, not_for_the_cloud
from mesh.core.refusing import by_rule, in_short
from mesh.core.routing import AllBusy, Placed, place
from mesh.core.rules import Applied
from mesh.core.rung_cost import whole_microusd
from mesh.core.types import CloudModel, Model, ModelId, Request, Tier


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The rungs of a request, what rules did to them, and which one would answer."""

    ladder: tuple[RungAccount, ...]  # in the order in which they are tried, those removed last
    applied: tuple[Applied, ...]
    why: str
    node_name: str  # the node or upstream; "": nowhere
    refused: str  # why nothing can answer it; "" if something can
    tier: Tier  # how far its prompt may travel, after the rules


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the request would go; without a model, why nowhere."""

    why: str
    model_id: ModelId | None = None
    node_name: str = ""


def foresee(request: Request, choosing: Choosing, rng: Random, now_s: float) -> Foreseen:
    """Say what would become of ``request`` now. ``rng`` draws among machines that are alike."""
    climb = choosing.climb(request, choosing.shares.drawn(choosing.clouds, rng))
    if climb is not None and climb.tier_max is not None:
        request = replace(request, tier=min(request.tier, climb.tier_max))
    found = _found(request, climb, choosing, rng, now_s)
    chosen = found.model_id
    rungs = _named(request, choosing) if climb is None else climb.accounts(chosen)
    return Foreseen(
        ladder=tuple(_judged(each, request, climb, choosing, chosen) for each in rungs),
        applied=climb.applied if climb is not None else (),
        why=found.why,
        node_name=found.node_name,
        refused="" if chosen is not None else found.why,
        tier=request.tier,
    )


def _found(
    request: Request, climb: Climb | None, choosing: Choosing, rng: Random, now_s: float
) -> _Found:
    """Follow the steps of ``Dispatch.place``, but for those that need an attempt that failed."""
    if (ruled := by_rule(climb)) is not None:
        return _Found(ruled.message)
    if choosing.clouds and for_cloud_alone(request, choosing.clouds, choosing.directory):
        return _in_cloud_alone(request, climb, choosing)
    moving = climb if climb is not None and not climb.plain else None
    while True:
        step = moving.step if moving is not None else None
        if step is not None and step.cloud is not None:
            if (leaves := may_leave(request, [step.cloud], {})) is not None:
                return _cloud(leaves, moving.why if moving is not None else "")
        else:
            wanted = request if moving is None else replace(request, plan=moving.plan)
            match place(wanted, choosing.directory, {}, rng):
                case Placed() as placed:
                    chosen = placed.chosen
                    return _Found(placed.why, chosen.model_id, chosen.node_name)
                case AllBusy() as busy:
                    first = busy.candidates[0]
                    words = all_busy(busy).replace("waited", "it would wait", 1)
                    return _Found(words, first.model_id, first.node_name)
        if moving is None or not moving.pass_by():
            return _last(request, climb, choosing, now_s)


def _in_cloud_alone(request: Request, climb: Climb | None, choosing: Choosing) -> _Found:
    """The request names the cloud: it is answered there, or not at all."""
    asked = named(request.model, choosing.clouds)
    if stays_here(request, asked):
        return _Found(not_for_the_cloud(asked[0], request).message)
    model = may_leave(request, _open(asked, climb), {})
    if model is None:
        return _Found(cloud_lacks(asked[0], request.needs).message)
    return _cloud(model, f"{request.model} was asked for")


def _last(request: Request, climb: Climb | None, choosing: Choosing, now_s: float) -> _Found:
    """No machine can: the cloud does if it may."""
    directory = choosing.directory
    explained = ruled_out(request, directory, {}, REFUSED_MAX, now_s)
    known = bool(directory.resolve(request.model))
    failure = in_short(request, directory, {}, explained, model_known=known)
    model = may_leave(request, _open(choosing.clouds, climb), {})
    return _Found(failure.message) if model is None else _cloud(model, f"cloud: {failure.message}")


def _open(clouds: Sequence[CloudModel], climb: Climb | None) -> list[CloudModel]:
    """Return those that no rule took away."""
    if climb is None or climb.plain:
        return list(clouds)
    allowed = [step.cloud for step in climb.order]
    return [each for each in clouds if each in allowed]


def _cloud(model: CloudModel, why: str) -> _Found:
    return _Found(why, model.model_id, model.upstream)


def _named(request: Request, choosing: Choosing) -> tuple[RungAccount, ...]:
    """The rungs of a request that names its model, where no rule looks at it."""
    directory = choosing.directory
    there = [directory.model(each) for each in directory.resolve(request.model)]
    asked: list[Model | CloudModel] = [each for each in there if each is not None]
    asked = asked or [*named(request.model, choosing.clouds)]
    return tuple(
        RungAccount(
            model_id=each.model_id,
            model_name=each.name,
            expected_cost_microusd=whole_microusd(
                choosing.cost_microusd(choosing.catalogue.entry(each), request)
            ),
        )
        for each in asked
    )


def _judged(
    rung: RungAccount,
    request: Request,
    climb: Climb | None,
    choosing: Choosing,
    chosen: ModelId | None,
) -> RungAccount:
    """Add the confidence that an answer of this rung would have to show, if it is judged."""
    held = None
    if climb is not None and not rung.removed_by:
        held = choosing.held(climb, request, rung.model_id)
    threshold = held.threshold if held is not None else rung.threshold
    return replace(rung, threshold=threshold, chosen=rung.model_id == chosen)
