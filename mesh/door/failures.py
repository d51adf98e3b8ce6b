"""What a failure looks like over HTTP: OpenAI's shape, and the status that its clients act on.

One table translates ``mesh.errors``; a test holds it to one entry an error. Codes are OpenAI's own
where it has one for the same thing, so that tools which look for it find it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

from mesh import errors
from mesh.door.receipt_headers import receipt_headers
from mesh.errors import InvalidRequest, MeshError
from mesh.v1 import inference_pb2 as inference
from mesh.wire.plain import to_plain

RETRY_AFTER_S = 1  # where nobody knows better: a slot of a busy mesh is free within seconds

INVALID, SERVER = "invalid_request_error", "server_error"


@dataclass(frozen=True, slots=True)
class Shown:
    """How one kind of failure is told."""

    status: int
    type: str
    code: str


SHOWN: dict[type[MeshError], Shown] = {
    errors.InvalidRequest: Shown(400, INVALID, "invalid_value"),
    errors.ModelNotFound: Shown(404, INVALID, "model_not_found"),
    errors.ContextOverflow: Shown(400, INVALID, "context_length_exceeded"),
    errors.Unsupported: Shown(400, INVALID, "unsupported_value"),
    errors.ContentRefused: Shown(400, INVALID, "content_filter"),
    errors.RequestExists: Shown(409, INVALID, "request_exists"),
    errors.NotAuthenticated: Shown(401, "authentication_error", "not_authenticated"),
    errors.Forbidden: Shown(403, "permission_error", "forbidden"),
    errors.NodeLost: Shown(502, SERVER, "node_lost"),
    errors.AnswerLost: Shown(502, SERVER, "answer_lost"),
    errors.NoCapableNode: Shown(503, SERVER, "no_capable_node"),
    errors.Overloaded: Shown(429, "rate_limit_error", "overloaded"),
    errors.DeadlineExceeded: Shown(504, SERVER, "deadline_exceeded"),
    # As nginx says it: whoever reads this status did not end the request itself.
    errors.Cancelled: Shown(499, SERVER, "cancelled"),
    errors.Superseded: Shown(503, SERVER, "superseded"),
    errors.InternalError: Shown(500, SERVER, "internal_error"),
}


class Refused(InvalidRequest):
    """The door's own refusal, before anybody is asked; it names the parameter, as OpenAI's does."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        param: str | None = None,
        code: str = "invalid_value",
        status: int = 400,
    ) -> None:
        super().__init__(message, hint=hint)
        self.param = param
        self.shown = Shown(status, "permission_error" if status == 403 else INVALID, code)


def shown(failure: MeshError) -> Shown:
    """Return how ``failure`` is told: by its own class, or the nearest above that has a row."""
    if isinstance(failure, Refused):
        return failure.shown
    known = (SHOWN[each] for each in type(failure).__mro__ if each in SHOWN)
    return next(known, SHOWN[errors.InternalError])


def error_object(failure: MeshError) -> dict[str, Any]:
    """Return the value of ``error``, in a body or within a stream."""
    how = shown(failure)
    param = failure.param if isinstance(failure, Refused) else None
    return {"message": str(failure), "type": how.type, "param": param, "code": how.code}


def failed_response(
    failure: MeshError,
    told: inference.GenerationFailed | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the answer to a request that has none.

    Args:
        told: the event that came before ``failure``: it holds the receipt.
    """
    body: dict[str, Any] = {"error": error_object(failure)}
    given = {**(headers or {}), **retry_headers(failure, told)}
    if told is not None and told.HasField("receipt"):
        body["deskmesh"] = to_plain(told.receipt)
        given |= receipt_headers(told.receipt)
    return JSONResponse(body, shown(failure).status, given)


def retry_headers(
    failure: MeshError, told: inference.GenerationFailed | None = None
) -> dict[str, str]:
    """Return what a client should do next. OpenAI's own clients obey ``x-should-retry``."""
    given = {"x-should-retry": "true" if failure.retryable else "false"}
    wait_ms = told.retry_after_ms if told is not None else 0
    if wait_ms or isinstance(failure, errors.Overloaded):
        given["retry-after"] = str(math.ceil(wait_ms / 1000) or RETRY_AFTER_S)
    return given
