"""Where a request stands with the cloud: what may answer it there, and what only there."""

from collections.abc import Sequence

from mesh.core.cloud import may_leave, named, says_cloud
from mesh.core.directory import Directory
from mesh.core.progress import Progress
from mesh.core.types import CloudModel, Request


def for_cloud_alone(request: Request, clouds: Sequence[CloudModel], directory: Directory) -> bool:
    """Does the request name the cloud?

    Where the mesh has a model of the upstream's name, the name stands for the mesh's.
    """
    if says_cloud(request.model, clouds):
        return True
    return bool(named(request.model, clouds)) and not directory.resolve(request.model)


def cloud_for(progress: Progress, clouds: Sequence[CloudModel]) -> CloudModel | None:
    """Return the cloud model that may answer it now, or None: one that no rule took away."""
    climb = progress.climb
    if climb is not None and not climb.plain:
        there = [step.cloud for step in climb.order]
        clouds = [each for each in there if each is not None and each in clouds]
    elif progress.clouds != clouds:  # others are on offer now, or a name stands for some of them
        new = [each for each in clouds if each not in progress.clouds]
        clouds = [*(each for each in progress.clouds if each in clouds), *new]
    return may_leave(progress.request, clouds, progress.avoid)
