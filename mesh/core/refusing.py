"""Why nothing can serve a request, now or soon: what is said of it, and of which nodes."""

from collections.abc import Mapping

from mesh.core import told
from mesh.core.climb import Climb
from mesh.core.directory import Directory
from mesh.core.filter import REFUSED_MAX, asleep, ruled_out, too_long
from mesh.core.ladder import is_automatic
from mesh.core.progress import Progress
from mesh.core.receipt import RuledOut
from mesh.core.refusals import no_nodes, nowhere, ruled_off, unknown_model
from mesh.core.types import Failure, NodeId, Request


def refusal(
    progress: Progress, directory: Directory, now_s: float, *, model_known: bool
) -> tuple[Failure, tuple[RuledOut, ...]]:
    """Return the failure, and the nodes that are to be told of with it."""
    request, avoid, climb = progress.request, progress.avoid, progress.climb
    explained = told.others(progress, directory, now_s)
    if ruled := by_rule(climb):
        return ruled, explained
    if model_known or is_automatic(request):
        explained = explained or ruled_out(request, directory, avoid, REFUSED_MAX, now_s)
    return in_short(request, directory, avoid, explained, model_known=model_known), explained


def by_rule(climb: Climb | None) -> Failure | None:
    """Return the failure if rules and limits have taken every rung away."""
    gone = climb is not None and not climb.plain and climb.removed and not climb.order
    return ruled_off(climb) if climb is not None and gone else None


def in_short(
    request: Request,
    directory: Directory,
    avoid: Mapping[NodeId, str],
    explained: tuple[RuledOut, ...],
    *,
    model_known: bool,
) -> Failure:
    """Put into one failure why no machine can, of which ``explained`` says each one's reason."""
    nodes = len(directory.nodes)
    if not nodes:
        return no_nodes()
    if not model_known and not is_automatic(request):
        return unknown_model(request.model, directory.names())
    at_fault = too_long(request, directory, avoid)
    return nowhere(explained, nodes, too_long=at_fault, asleep=asleep(request, directory, avoid))
