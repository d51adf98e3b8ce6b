"""Why nothing can serve a request, now or soon: what is said of it, and of which nodes."""

from mesh.core import told
from mesh.core.directory import Directory
from mesh.core.filter import REFUSED_MAX, asleep, ruled_out, too_long
from mesh.core.ladder import is_automatic
from mesh.core.progress import Progress
from mesh.core.receipt import RuledOut
from mesh.core.refusals import no_nodes, nowhere, ruled_off, unknown_model
from mesh.core.types import Failure


def refusal(
    progress: Progress, directory: Directory, now_s: float, *, model_known: bool
) -> tuple[Failure, tuple[RuledOut, ...]]:
    """Return the failure, and the nodes that are to be told of with it."""
    request, avoid, climb = progress.request, progress.avoid, progress.climb
    nodes = len(directory.nodes)
    explained = told.others(progress, directory, now_s)
    if climb is not None and not climb.plain and not climb.order:
        return ruled_off(climb), explained
    if not nodes:
        return no_nodes(), explained
    if not model_known and not is_automatic(request):
        return unknown_model(request.model, directory.names()), explained
    explained = explained or ruled_out(request, directory, avoid, REFUSED_MAX, now_s)
    at_fault = too_long(request, directory, avoid)
    sleeping = asleep(request, directory, avoid)
    return nowhere(explained, nodes, too_long=at_fault, asleep=sleeping), explained
