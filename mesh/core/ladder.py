"""Which models may answer a request, in the order in which they are tried.

A request that names a model gets that model. For ``auto`` there is a plan (``mesh.core.climb``)
where anything is known of how good models are at it, or where rules took some away. Without one
there is no measure of "good enough", so the policy decides: to begin with the smallest model, or
with the largest, or to put all on one rung and let the prediction choose. A test model is a rung
only while no real model is there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mesh.core.directory import Directory
from mesh.core.policies import Order
from mesh.core.types import AUTO, ModelId, Request


@dataclass(frozen=True, slots=True)
class Rung:
    """Models of equal standing."""

    model_ids: tuple[ModelId, ...]
    why: str  # for the receipt


def is_automatic(request: Request) -> bool:
    """Does the mesh choose the model?"""
    return request.model in ("", AUTO)


def ladder(request: Request, directory: Directory) -> Iterator[Rung]:
    """Yield the rungs for ``request``, the first to try first; none if the name is unknown.

    Lazily: most requests look at the first rung only, and a large mesh has hundreds of models.
    """
    if request.plan is not None:
        for planned in request.plan.rungs:
            if there := tuple(each for each in planned if directory.model(each) is not None):
                yield Rung(there, request.plan.why)
        return
    if not is_automatic(request):
        if model_ids := directory.resolve(request.model):
            yield Rung(model_ids, f"{_in_words(request.model, directory)} was asked for")
        return
    smallest_first = directory.automatic()
    if not smallest_first:
        return
    if request.policy.models is Order.ANY:
        yield Rung(tuple(smallest_first), "any model, the fastest answer")
        return
    why = "the largest model"
    ordered: Iterator[ModelId] = reversed(smallest_first)
    if request.policy.models is Order.SMALLEST:
        why, ordered = "the smallest model", iter(smallest_first)
    yield Rung((next(ordered),), f"{why} (policy {request.policy})")
    for model_id in ordered:
        yield Rung((model_id,), "next rung")


def _in_words(asked: str, directory: Directory) -> str:
    """An answer that goes on elsewhere asks for its model by id, which says nothing to people."""
    model = directory.model(ModelId(asked))
    return asked if model is None else model.name
