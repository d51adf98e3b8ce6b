"""Which requests may leave the mesh, and for which model. A gate checks it again."""

from mesh.core.ladder import is_automatic
from mesh.core.receipt import Candidate
from mesh.core.types import CLOUD_NODE, CloudModel, NodeId, Request, Tier

CLOUD = "cloud"  # the model name that asks for whichever cloud model there is


def names_cloud(asked: str, model: CloudModel | None) -> bool:
    """Does the model name that was ``asked`` for stand for the cloud's?"""
    return model is not None and (says_cloud(asked, model) or asked == model.name)


def says_cloud(asked: str, model: CloudModel | None) -> bool:
    """Does a name say by itself that the prompt may leave the mesh?

    The upstream's bare name does not: a machine of the mesh may have a model that is called so, and
    be away today.
    """
    return model is not None and asked in (CLOUD, model.model_id)


def may_leave(
    request: Request, model: CloudModel | None, avoid: dict[NodeId, str]
) -> CloudModel | None:
    """Return the cloud model that may answer the request where no machine can, or None.

    A request that names a model of the mesh is never answered by another one, and one whose policy
    keeps it here, as ``private`` does, leaves only if it names the cloud.
    """
    if model is None or request.tier is not Tier.CLOUD or CLOUD_NODE in avoid:
        return None
    if is_automatic(request):
        if not request.policy.cloud:
            return None
    elif not names_cloud(request.model, model):
        return None
    return model if request.needs <= model.capabilities else None


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
