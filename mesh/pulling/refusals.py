"""What is said where a server will not give a file, now or later. Pure."""

from collections.abc import Mapping

from mesh.errors import (
    Forbidden,
    InvalidRequest,
    MeshError,
    ModelNotFound,
    NodeLost,
    ServiceError,
)
from mesh.pulling.pace import RETRY_STATUSES, Pace, retry_after_s
from mesh.pulling.source import Source
from mesh.pulling.tries import AGAIN, Later


def check_status(source: Source, status: int, headers: Mapping[str, str], pace: Pace) -> None:
    """Raises Later, or a MeshError, for an answer that gives no bytes of the file."""
    if status in RETRY_STATUSES:
        raise _told_to_wait(source.host, status, retry_after_s(headers), pace)
    as_it_is = headers.get("content-encoding", "identity") == "identity"
    if status not in (200, 206, 416) or not as_it_is:
        raise refuse(source, status)


def _told_to_wait(host: str, status: int, wait_s: float | None, pace: Pace) -> Later | NodeLost:
    if wait_s is not None and wait_s > pace.retry_after_most_s:
        return NodeLost(
            f"{host} answered {status} and wants us back in {wait_s / 60:.0f} min",
            hint=f"{AGAIN} then",
        )
    return Later(f"{host} answered {status}", wait_s=wait_s)


def without_a_size(host: str) -> InvalidRequest:
    """Return the error of an answer that cannot be bounded."""
    return InvalidRequest(
        f"{host} does not say how big the file is, or contradicts itself",
        hint="nothing is fetched that cannot be bounded: try another server",
    )


def refuse(source: Source, status: int) -> MeshError:
    """Return the error of an answer that no second try makes better."""
    if status in (401, 403):
        hint = (
            "ask for access on its page and set HF_TOKEN to your token"
            if source.origin.startswith("hf:")
            else "it is not for everybody, or the address has expired: get a fresh one"
        )
        return Forbidden(f"{source.host} refuses {source.origin} ({status})", hint=hint)
    if status in (404, 410):
        return ModelNotFound(f"{source.host} has no {source.origin}", hint="check the name")
    if status in (200, 206):
        return ServiceError(
            f"{source.host} sends {source.origin} compressed, so that it cannot be resumed",
            hint="try another server",
        )
    return ServiceError(
        f"{source.host} answered {status} for {source.origin}", hint="check the address"
    )
