"""Which requests may leave the mesh, and for which models. A gate checks it again."""

from collections.abc import Mapping, Sequence

from mesh.core.ladder import is_automatic
from mesh.core.receipt import Candidate
from mesh.core.types import CLOUD, CLOUD_NODE, CloudModel, NodeId, Request, Tier


def named(asked: str, models: Sequence[CloudModel]) -> tuple[CloudModel, ...]:
    """Return the cloud models that the model name ``asked`` may stand for, in their order."""
    if asked == CLOUD:
        return tuple(models)
    return tuple(each for each in models if asked in (each.model_id, each.name))


def says_cloud(asked: str, models: Sequence[CloudModel]) -> bool:
    """Does a name say by itself that the prompt may leave the mesh?

    The upstream's bare name does not: a machine of the mesh may have a model that is called so, and
    be away today.
    """
    return bool(models) and (asked == CLOUD or any(asked == each.model_id for each in models))


def may_leave(
    request: Request, models: Sequence[CloudModel], avoid: Mapping[NodeId, str]
) -> CloudModel | None:
    """Return the first cloud model that may answer where no machine can, or None.

    A request that names a model of the mesh is never answered by another one, and one whose policy
    keeps it here, as ``private`` does, leaves only if it names the cloud.
    """
    if not models or stays_here(request, models):
        return None
    if not is_automatic(request):
        models = named(request.model, models)
    for each in models:
        if place_of(each) not in avoid and request.needs <= each.capabilities:
            return each
    return None


def stays_here(request: Request, models: Sequence[CloudModel]) -> bool:
    """Do its tier or its policy keep a request in the mesh, whatever models there are?"""
    leaves = request.policy.cloud or says_cloud(request.model, models)
    return request.tier is not Tier.CLOUD or not leaves


def place_of(model: CloudModel) -> NodeId:
    """Return what stands for an upstream's model where a request keeps who failed it."""
    return NodeId(model.model_id)


def as_candidate(model: CloudModel) -> Candidate:
    """Write an upstream where a replica stands on a receipt. Nothing is predicted for it yet."""
    return Candidate(
        node_id=CLOUD_NODE,
        node_name=model.upstream,
        model_id=model.model_id,
        model_name=model.name,
        first_token_s=0.0,
        completion_s=0.0,
        cost=0.0,
        free=True,
    )
