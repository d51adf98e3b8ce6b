"""Why a stream to a coordinator ended, in words for the owner, and whether to try again soon."""

import asyncio

import grpc

from mesh.errors import (
    Forbidden,
    InternalError,
    InvalidRequest,
    MeshError,
    NodeLost,
    NotAuthenticated,
    Overloaded,
    Superseded,
    Unsupported,
)
from mesh.rpc import from_rpc

# What gRPC raises where a stream has ended, by the other side or by the connection.
BROKEN_STREAM = (grpc.aio.AioRpcError, asyncio.InvalidStateError)

# It answered, and trying again soon will not help.
REFUSALS = (
    Forbidden, InvalidRequest, NotAuthenticated, Overloaded, Superseded, Unsupported,
)  # fmt: skip

# A later stream of ours may have taken its place. Where a write of ours crosses with the
# coordinator's status, grpcio loses that and reports an internal error.
MAYBE_REPLACED = (InternalError, Superseded)


def why_ended(failure: Exception) -> MeshError:
    """Translate one of ``BROKEN_STREAM``."""
    if not isinstance(failure, grpc.aio.AioRpcError):
        return NodeLost("the connection has ended")
    details = failure.details() or ""
    if failure.code() is grpc.StatusCode.UNAVAILABLE and "handshake failed" in details:
        return NodeLost(
            "whoever answers there is no coordinator of this mesh",
            hint="check the address; if the mesh was made anew, join it again",
        )
    if failure.code() is grpc.StatusCode.UNAVAILABLE and "errors resolving" in details:
        return NodeLost("no address is known for that name", hint="check its spelling, or DNS")
    return from_rpc(failure)
