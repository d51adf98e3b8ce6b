"""What happened: the only input of ``Fleet.handle``. Past tense, frozen.

A ``payload`` is whatever the edge wants to see again in the action that follows; the core never
looks into it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mesh.core.calibration import ConfidenceHead
from mesh.core.catalogue import Catalogue
from mesh.core.outcomes import Label
from mesh.core.rules import Rules
from mesh.core.rung_cost import USD_PER_KWH
from mesh.core.signs import TokenSign
from mesh.core.types import (
    AttemptId,
    CloudModel,
    Epoch,
    Failure,
    Load,
    Machine,
    ModelId,
    NodeId,
    Offer,
    Refusal,
    ReplicaStatus,
    Request,
    RequestKey,
    Usage,
)


@dataclass(frozen=True, slots=True)
class NodeAttached:
    """A node opened its control stream and said hello."""

    connection_id: int  # made by the edge, never used twice
    node_id: NodeId
    machine: Machine
    offers: tuple[Offer, ...]
    statuses: tuple[tuple[ModelId, ReplicaStatus], ...]
    load: Load
    on_coordinator_host: bool = False
    address: str = ""


@dataclass(frozen=True, slots=True)
class NodeReported:
    """A beat: what changed since the last one."""

    node_id: NodeId
    epoch: Epoch
    sequence: int
    statuses: tuple[tuple[ModelId, ReplicaStatus], ...]
    load: Load


@dataclass(frozen=True, slots=True)
class InventoryReported:
    """The node's model list changed; this is the whole new one."""

    node_id: NodeId
    epoch: Epoch
    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True)
class RoundTripMeasured:
    """A ping came back."""

    node_id: NodeId
    epoch: Epoch
    rtt_s: float


@dataclass(frozen=True, slots=True)
class NodeLeft:
    """The node said goodbye."""

    node_id: NodeId
    epoch: Epoch
    asleep: bool = False


@dataclass(frozen=True, slots=True)
class NodeDrained:
    """An operator, or the owner, wants nothing new on the node; or wants that to end."""

    node_id: NodeId
    reason: str
    resumed: bool = False
    by_operator: bool = False  # then it holds until resumed, even if the node attaches again


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The control stream ended without a goodbye."""

    connection_id: int
    node_id: NodeId
    reason: str


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A client asks."""

    request: Request


@dataclass(frozen=True, slots=True)
class RequestCancelled:
    """The client left, or an operator ended the request."""

    key: RequestKey
    reason: str


@dataclass(frozen=True, slots=True)
class DeliveryOpened:
    """A node opened the answer stream of an attempt."""

    attempt_id: AttemptId
    epoch: Epoch
    delivery_id: int  # of that stream, made by the edge


@dataclass(frozen=True, slots=True)
class AttemptRefused:
    """The node did not begin; not a failure."""

    attempt_id: AttemptId
    epoch: Epoch
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """The node accepted and tokenised the prompt."""

    attempt_id: AttemptId
    prompt_tokens: int
    numerics: str
    payload: object
    resumable: bool = False  # the edge has what another node needs to go on with the answer


@dataclass(frozen=True, slots=True)
class AttemptProgressed:
    """Tokens came."""

    attempt_id: AttemptId
    token_offset: int
    token_count: int
    payload: object
    signs: tuple[TokenSign, ...] = ()  # one for each token, or none: not asked for, not believed
    calls: int = 0  # of tools, among these tokens
    broken_calls: int = 0  # those of them that do not fit their tool
    size_bytes: int = 0  # of the payload, where somebody may have to hold it


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    """The answer is whole."""

    attempt_id: AttemptId
    usage: Usage
    payload: object
    cost_microusd: int = 0
    price_version: str = ""  # where its price stands; "" for what costs nothing


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """The node, its engine, the upstream, or the answer stream failed."""

    attempt_id: AttemptId
    failure: Failure
    cost_microusd: int = 0
    price_version: str = ""


@dataclass(frozen=True, slots=True)
class AttemptCharged:
    """The prompt goes to an upstream now: the attempt cost this, unless its end says better."""

    attempt_id: AttemptId
    cost_microusd: int
    price_version: str


@dataclass(frozen=True, slots=True)
class CloudOffered:
    """These cloud models may answer what may leave the mesh, as its operator allows; or none."""

    models: tuple[CloudModel, ...]


@dataclass(frozen=True, slots=True)
class LadderConfigured:
    """What the coordinator knows of models, of its operator's wishes, and of how to judge answers.

    ``heads`` are by the model's name and the prompt's class.
    """

    catalogue: Catalogue = field(default_factory=Catalogue)
    rules: Rules = field(default_factory=Rules)
    usd_per_kwh: float = USD_PER_KWH  # what the machines' own work costs
    heads: Mapping[tuple[str, str], ConfidenceHead] = field(default_factory=dict)
    canary_share: float = 0.05  # of requests, that models which are new to `auto` are tried on


@dataclass(frozen=True, slots=True)
class AnswersJudged:
    """Somebody who is no part of the fleet has said how good answers were."""

    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class CoordinatorReturned:
    """Its nodes of a former life are on their way back: who asks meanwhile may wait for them."""

    settled_s: float  # when those that have not come will not, on the fleet's clock


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Something may be due."""


Event = (
    NodeAttached
    | NodeReported
    | InventoryReported
    | RoundTripMeasured
    | NodeLeft
    | NodeDrained
    | ConnectionLost
    | RequestArrived
    | RequestCancelled
    | DeliveryOpened
    | AttemptRefused
    | AttemptStarted
    | AttemptProgressed
    | AttemptFinished
    | AttemptFailed
    | AttemptCharged
    | CloudOffered
    | LadderConfigured
    | AnswersJudged
    | CoordinatorReturned
    | TimePassed
)
