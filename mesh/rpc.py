"""Where errors and gRPC statuses meet, and the limits and options of every channel.

gRPC errors never escape: callers catch ``MeshError``. One table, one-to-one, translates both ways.
The stable name of the error travels in the trailing metadata as well: an error without it was made
by gRPC itself, as the other side never answered.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

import grpc

from mesh import errors
from mesh.errors import ERROR_MESSAGE_CHARACTERS_MAX, MeshError

MESSAGE_BYTES_MAX = 32 * 1024 * 1024  # a long conversation with an image; larger is refused
BODY_INLINE_BYTES_MAX = 64 * 1024  # one 5 MB command kills a whole Attach stream (measured)

STATUS_OF: dict[type[MeshError], grpc.StatusCode] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ModelNotFound: grpc.StatusCode.NOT_FOUND,
    errors.ContextOverflow: grpc.StatusCode.OUT_OF_RANGE,
    errors.Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    errors.ContentRefused: grpc.StatusCode.UNKNOWN,  # the last one left; see ``from_rpc``
    errors.RequestExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.NotAuthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    errors.NodeLost: grpc.StatusCode.UNAVAILABLE,
    errors.AnswerLost: grpc.StatusCode.DATA_LOSS,
    errors.NoCapableNode: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Cancelled: grpc.StatusCode.CANCELLED,
    errors.Superseded: grpc.StatusCode.ABORTED,
    errors.InternalError: grpc.StatusCode.INTERNAL,
}
ERROR_OF: dict[grpc.StatusCode, type[MeshError]] = {
    status: error for error, status in STATUS_OF.items()
}
ERROR_BY_CODE: dict[str, type[MeshError]] = {error("").code: error for error in STATUS_OF}

Context = grpc.aio.ServicerContext[Any, Any]

_ERROR = "deskmesh-error"
_HINT = "deskmesh-hint"
_HINT_BYTES_MAX = 1024  # metadata is limited to 8 KB in all by default

# Keepalive with both times still took 60.3 s to notice a stopped peer; with the ping timeout, 4 s.
_KEEPALIVE: tuple[tuple[str, int | str], ...] = (
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.http2.ping_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
_SIZES: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
)
CHANNEL_OPTIONS: Sequence[tuple[str, int | str]] = (
    *_SIZES,
    *_KEEPALIVE,
    ("grpc.initial_reconnect_backoff_ms", 200),
    # How long a connection may take, handshake and all: a busy machine needs some 100 ms.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection
    ("grpc.enable_http_proxy", 0),  # a company's proxy is no way to the next desk
)
SERVER_OPTIONS: Sequence[tuple[str, int | str]] = (
    *_SIZES,
    *_KEEPALIVE,
    # The name that works on the server; without it idle pings get GOAWAY too_many_pings.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.so_reuseport", 0),  # a port in use is an error, not a coin toss
    ("grpc.max_concurrent_streams", 4096),
    # Else a fast peer makes gRPC take in megabytes of each stream before anybody reads it. What is
    # being read has a window of its own size all the same.
    ("grpc.http2.bdp_probe", 0),
)


def from_rpc(failure: grpc.RpcError) -> MeshError:
    """Translate at the boundary, so that callers never catch a gRPC type."""
    assert isinstance(failure, grpc.aio.AioRpcError), repr(failure)
    error = ERROR_OF.get(failure.code(), errors.InternalError)
    details = failure.details() or failure.code().name.lower().replace("_", " ")
    if broke_off(failure):  # gRPC's own words are long
        return unreachable()
    if failure.code() is grpc.StatusCode.UNKNOWN and not _told(failure):
        error = errors.InternalError  # gRPC's own word for what a service let slip
    hints = [value for key, value in failure.trailing_metadata() or () if key == _HINT]
    return error(details, hint=str(hints[0]) if hints else "")


def unreachable() -> errors.NodeLost:
    """Return what to tell where no coordinator answers."""
    return errors.NodeLost(
        "the coordinator cannot be reached",
        hint="is it running, and is this the right address and port? see `deskmesh status`",
    )


def broke_off(failure: grpc.aio.AioRpcError) -> bool:
    """Did the connection end the call, or was there none? False: the other side has answered."""
    return failure.code() is grpc.StatusCode.UNAVAILABLE and not _told(failure)


def _told(failure: grpc.aio.AioRpcError) -> bool:
    """Is the status one of ours, rather than gRPC's own?"""
    return any(key == _ERROR for key, _ in failure.trailing_metadata() or ())


async def abort(context: Context, failure: MeshError) -> NoReturn:
    """End a call on the server with the status of ``failure``."""
    await context.abort(*_status_of(failure))
    raise AssertionError("abort returned")


def end(context: Context, failure: MeshError) -> None:
    """Let a call that streams its answer end with the status of ``failure`` as it returns.

    What ``abort`` raises, gRPC keeps in a circle with the call until the garbage is collected; and
    with it all that the call held, such as a prompt of 32 MiB.
    """
    status, details, metadata = _status_of(failure)
    context.set_code(status)
    context.set_details(details)
    context.set_trailing_metadata(metadata)


def _status_of(
    failure: MeshError,
) -> tuple[grpc.StatusCode, str, tuple[tuple[str, str], ...]]:
    hint = failure.hint.encode("ascii", "replace").decode()[:_HINT_BYTES_MAX]
    # Details travel in a header: a longer one would be lost, and the status with it.
    details = failure.message[:ERROR_MESSAGE_CHARACTERS_MAX]
    status = STATUS_OF.get(type(failure), grpc.StatusCode.INTERNAL)
    metadata = ((_ERROR, failure.code), *(((_HINT, hint),) if hint else ()))
    return status, details, metadata
