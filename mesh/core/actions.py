"""What must be done: the only output of ``Fleet.handle``. Imperative, frozen.

The edge carries them out in order and without waiting; whatever comes of it is another event.
"""

from dataclasses import dataclass

from mesh.core.receipt import Receipt
from mesh.core.types import AttemptId, Epoch, Failure, ModelId, NodeId, RequestKey


@dataclass(frozen=True, slots=True)
class AdmitNode:
    """Welcome the node with its epoch."""

    connection_id: int
    node_id: NodeId
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """End a control stream."""

    connection_id: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Tell a node to begin."""

    attempt_id: AttemptId
    connection_id: int
    epoch: Epoch
    key: RequestKey
    model_id: ModelId
    remaining_s: float


@dataclass(frozen=True, slots=True)
class CancelAttempt:
    """Tell a node to stop, and end the answer stream if it is open."""

    attempt_id: AttemptId
    connection_id: int
    epoch: Epoch
    reason: str


@dataclass(frozen=True, slots=True)
class AcceptDelivery:
    """The answer stream belongs to a living attempt: send the body if one is owed, and read."""

    delivery_id: int
    attempt_id: AttemptId
    key: RequestKey


@dataclass(frozen=True, slots=True)
class RejectDelivery:
    """The attempt is unknown or superseded: the node must stop."""

    delivery_id: int
    attempt_id: AttemptId


@dataclass(frozen=True, slots=True)
class EndDelivery:
    """The attempt broke the protocol, or is over: end its answer stream."""

    attempt_id: AttemptId


@dataclass(frozen=True, slots=True)
class SendStarted:
    """Tell the client that its answer begins."""

    key: RequestKey
    attempt_id: AttemptId
    model_id: ModelId
    payload: object


@dataclass(frozen=True, slots=True)
class SendDelta:
    """Pass tokens on to the client."""

    key: RequestKey
    payload: object


@dataclass(frozen=True, slots=True)
class FinishRequest:
    """The request ended well. Comes exactly once, or ``FailRequest`` does."""

    key: RequestKey
    receipt: Receipt
    payload: object


@dataclass(frozen=True, slots=True)
class FailRequest:
    """The request ended badly. Comes exactly once, or ``FinishRequest`` does."""

    key: RequestKey
    receipt: Receipt
    failure: Failure


Action = (
    AdmitNode
    | CloseConnection
    | StartAttempt
    | CancelAttempt
    | AcceptDelivery
    | RejectDelivery
    | EndDelivery
    | SendStarted
    | SendDelta
    | FinishRequest
    | FailRequest
)
