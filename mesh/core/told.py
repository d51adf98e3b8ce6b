"""What a request that wants to know is told of the machines that did not serve it."""

from mesh.core.directory import Directory
from mesh.core.explaining import not_weighed
from mesh.core.filter import EXPLAINED_MAX, ruled_out
from mesh.core.look import Look
from mesh.core.progress import Progress
from mesh.core.receipt import RuledOut


def note(progress: Progress, look: Look | None, directory: Directory, now_s: float) -> None:
    """Keep what a pick weighed; for a request that wants to know, also why not the others."""
    progress.look = look
    if progress.request.explain and look is not None:
        request, avoid = progress.wanted, progress.avoid
        progress.passed_by = not_weighed(request, directory, look, avoid, EXPLAINED_MAX, now_s)


def others(progress: Progress, directory: Directory, now_s: float) -> tuple[RuledOut, ...]:
    """Say why nodes cannot serve the request now, or could not at its last pick, if it asked."""
    if not progress.request.explain:
        return ()
    now = ruled_out(progress.wanted, directory, progress.avoid, EXPLAINED_MAX, now_s)
    told = {each.node_id for each in now}
    then = [each for each in progress.passed_by if each.node_id not in told]
    return (*now, *then)[:EXPLAINED_MAX]
