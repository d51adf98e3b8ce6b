"""The application behind ``http://localhost:7480``: which path leads where."""

import logging
import traceback
from collections.abc import Iterator, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from mesh.asking import Asking
from mesh.door.completions import ChatCompletions
from mesh.door.embeddings import EmbeddingsEndpoint
from mesh.door.failures import Refused, failed_response
from mesh.door.loopback import LoopbackOnly
from mesh.door.models import Models
from mesh.errors import InternalError, MeshError
from mesh.wire.text import printable

PATH_CHARACTERS_SHOWN_MAX = 100

log = logging.getLogger(__name__)


def door(asking: Asking, pages: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the application of one machine's door.

    Args:
        asking: what ``/v1`` asks.
        pages: the routes of the mesh-health page, its events and ``/metrics``: the coordinator's
            own, or those that carry them from there.
    """
    models = Models(asking)
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", ChatCompletions(asking), methods=["POST"]),
            Route("/v1/embeddings", EmbeddingsEndpoint(asking), methods=["POST"]),
            Route("/v1/models", models.all, methods=["GET"]),
            Route("/v1/models/{name:path}", models.one, methods=["GET"]),
            *pages,
        ],
        middleware=[Middleware(LoopbackOnly)],
        exception_handlers={MeshError: _failed, HTTPException: _no_such_path, Exception: _bug},
    )
    app.router.redirect_slashes = False  # a tool that follows no redirect gets a clear error
    return app


async def _failed(_: Request, failure: Exception) -> Response:
    assert isinstance(failure, MeshError)
    return failed_response(failure)


async def _no_such_path(request: Request, failure: Exception) -> Response:
    """Tell what Starlette found: no such path, or not with that method."""
    assert isinstance(failure, HTTPException)
    where = f"{request.method} {printable(request.url.path, PATH_CHARACTERS_SHOWN_MAX)}"
    if failure.status_code == 405:
        said, code = f"Not allowed to {where}", "method_not_allowed"
    else:
        said, code = f"Unknown request URL: {where}", "unknown_url"
    hint = "" if request.url.path.startswith("/v1/") else "the API's base URL ends in /v1"
    refused = Refused(said, hint=hint, code=code, status=failure.status_code)
    return failed_response(refused, headers=failure.headers)


async def _bug(_: Request, failure: Exception) -> Response:
    """Tell of a bug by its kind and place alone: its words may hold what somebody asked."""
    for each in _leaves(failure):
        at = traceback.extract_tb(each.__traceback__)[-1:]
        where = f"{at[0].filename}:{at[0].lineno}" if at else "nowhere"
        log.error("a bug of the HTTP door: %s at %s", type(each).__name__, where)
    return failed_response(
        InternalError("a bug of deskmesh", hint="please report it, with the log's last lines")
    )


def _leaves(failure: BaseException) -> Iterator[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        for each in failure.exceptions:
            yield from _leaves(each)
    else:
        yield failure
