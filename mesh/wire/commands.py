"""Commands to nodes, written from the fleet's actions."""

from collections.abc import Iterable

from mesh.core.actions import AdmitNode, CancelAttempt, StartAttempt
from mesh.rpc import BODY_INLINE_BYTES_MAX
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference


def body_follows(request: inference.GenerateRequest) -> bool:
    """Is ``request`` too large for the control stream, so that it comes down Deliver?"""
    return request.ByteSize() > BODY_INLINE_BYTES_MAX


def write_welcome(
    action: AdmitNode, *, coordinator_id: str, protocol: int, beat_every_ms: int
) -> fleet.CoordinatorMessage:
    welcome = fleet.Welcome(
        epoch=action.epoch,
        coordinator_id=coordinator_id,
        protocol=protocol,
        beat_every_ms=beat_every_ms,
    )
    return fleet.CoordinatorMessage(welcome=welcome)


def write_start(
    action: StartAttempt,
    request: inference.GenerateRequest,
    *,
    batch_interval_ms: int,
    batch_tokens_max: int,
    block_hashes: Iterable[int] = (),
) -> fleet.CoordinatorMessage:
    """Write a start, with the request in it unless its body follows."""
    start = fleet.StartAttempt(
        epoch=action.epoch,
        attempt_id=action.attempt_id,
        model_id=action.model_id,
        body_follows=body_follows(request),
        deadline_ms=max(1, int(action.remaining_s * 1000)),
        batch_interval_ms=batch_interval_ms,
        batch_tokens_max=batch_tokens_max,
        block_hashes=block_hashes,
        signs=action.signs,
    )
    if not start.body_follows:
        start.request.CopyFrom(request)
    return fleet.CoordinatorMessage(start=start)


def write_cancel(action: CancelAttempt) -> fleet.CoordinatorMessage:
    cancel = fleet.CancelAttempt(
        epoch=action.epoch, attempt_id=action.attempt_id, reason=action.reason
    )
    return fleet.CoordinatorMessage(cancel=cancel)
