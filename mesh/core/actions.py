"""What must be done: the only output of ``Fleet.handle``. Imperative, frozen.

The edge carries them out in order and without waiting; whatever comes of it is another event.
"""

from dataclasses import dataclass

from mesh.core.receipt import Candidate, Receipt
from mesh.core.types import (
    AttemptId,
    CloudModel,
    Epoch,
    Failure,
    ModelId,
    NodeId,
    RequestKey,
    Tier,
)


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
class TellOperator:
    """Say something that a person should know of. Rare: its rate is bounded where it is decided."""

    line: str


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Tell a node to begin."""

    attempt_id: AttemptId
    connection_id: int
    epoch: Epoch
    key: RequestKey
    model_id: ModelId
    remaining_s: float
    resumed_tokens: int = 0  # of the answer that were given before: the node goes on from there
    signs: bool = False  # let it tell with each token how sure the model was of it


@dataclass(frozen=True, slots=True)
class CancelAttempt:
    """Tell a node to stop, and end the answer stream if it is open."""

    attempt_id: AttemptId
    connection_id: int
    epoch: Epoch
    reason: str


@dataclass(frozen=True, slots=True)
class StartCloudAttempt:
    """Ask the upstream. Its answer comes back as the events of any attempt."""

    attempt_id: AttemptId
    key: RequestKey
    model: CloudModel
    tier: Tier  # of the request, for the gate before the socket, which trusts nobody
    remaining_s: float
    spent_microusd: int = 0  # by the request's attempts before this one
    others: bool = False  # another upstream may answer, so that a busy one need not be waited for


@dataclass(frozen=True, slots=True)
class StopCloudAttempt:
    """End the call to the upstream, if it is still open."""

    attempt_id: AttemptId


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
    candidate: Candidate  # who answers
    tier: Tier  # how far the prompt has travelled
    why: str
    payload: object


@dataclass(frozen=True, slots=True)
class SendMoved:
    """Another node goes on with an answer of which the client has a part."""

    key: RequestKey
    attempt_id: AttemptId
    candidate: Candidate  # who goes on
    tier: Tier
    token: int  # the first one that it gives, counted from the answer's start
    why: str


@dataclass(frozen=True, slots=True)
class SendRestarted:
    """What the client has is void: its answer begins anew, or the request fails."""

    key: RequestKey
    attempt_id: AttemptId  # whose answer it was
    reason: str


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
    | TellOperator
    | StartAttempt
    | CancelAttempt
    | StartCloudAttempt
    | StopCloudAttempt
    | AcceptDelivery
    | RejectDelivery
    | EndDelivery
    | SendStarted
    | SendRestarted
    | SendMoved
    | SendDelta
    | FinishRequest
    | FailRequest
)
