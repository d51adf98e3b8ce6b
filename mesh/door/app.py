"""The application behind ``http://localhost:7480``: which path leads where."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from mesh.asking import Asking


def door(asking: Asking, pages: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application of one machine's door.

    Args:
        asking: what ``/v1`` asks.
        pages: the routes of the mesh-health page, its events and ``/metrics``: the coordinator's
            own, or those that carry them from there.
    """
    return Starlette(routes=[*pages])
