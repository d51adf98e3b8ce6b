"""One node as the fleet knows it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf

from mesh.core.breaker import Breaker, Standing
from mesh.core.cost import Speed, speed_of
from mesh.core.takeover import Takeovers
from mesh.core.types import (
    AttemptId,
    Epoch,
    Load,
    Machine,
    Model,
    ModelId,
    NodeId,
    NodeState,
    Offer,
    Refusal,
    ReplicaState,
    ReplicaStatus,
)


@dataclass(slots=True, eq=False)
class Replica:
    """A model on a node: what it offers, how it stands, who uses it. Mutable, as Node is."""

    node: "Node" = field(repr=False)
    offer: Offer
    status: ReplicaStatus
    speed: Speed
    ours: int = 0  # attempts of ours that run on it
    others: int = 0  # slots taken by others when it last reported: its owner, other coordinators
    refused: Refusal | None = None  # why the node began nothing on it since its last report
    standing: Standing = Standing.TRUSTED  # the worse of its own and its node's
    pardoned: bool = False  # set by the directory: too many of its kind have failed to be choosy

    @property
    def model(self) -> Model:
        return self.offer.model

    @property
    def able(self) -> bool:
        """May it serve anything at all, once a slot is free? ``mesh.core.filter`` says why not."""
        return self.fit and (self.standing is not Standing.EJECTED or self.pardoned)

    @property
    def fit(self) -> bool:
        """``able``, but for what its failures say."""
        node, status = self.node, self.status
        return (
            node.state is NodeState.ALIVE
            and not node.closed
            and status.state is not ReplicaState.FAILED
            and status.slots > 0
            and self.refused is not Refusal.NO_MEMORY
        )

    @property
    def slots_free(self) -> int:
        """Slots free for a new attempt, counting those we gave or got back since the report."""
        if self.refused is not None:
            return 0
        if self.standing is not Standing.TRUSTED and not self.pardoned and self.ours:
            return 0  # one trial at a time
        return max(0, self.status.slots - self.others - self.ours)

    @property
    def can_begin(self) -> bool:
        """May one more attempt start here now, whatever is asked?"""
        return self.able and self.slots_free > 0


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """Mutable; only ``Fleet.handle`` changes it, and tells the directory what changed."""

    node_id: NodeId
    machine: Machine
    epoch: Epoch
    connection_id: int
    on_coordinator_host: bool
    address: str
    load: Load
    reported_s: float
    heard_s: float  # likewise, but for the time in which we did not listen
    state: NodeState
    state_since_s: float
    state_reason: str = ""
    sequence: int = 0
    rtt_s: float = 0.0  # measured by the coordinator, never taken from the node's word
    drained_by_operator: str = ""  # why; holds until resumed, even if the node attaches again
    attached_s: float = -inf
    losses: Breaker = field(default_factory=Breaker)  # of its connection
    breakers: dict[ModelId, Breaker] = field(default_factory=dict)  # of replicas that failed
    takeovers: Takeovers = field(default_factory=Takeovers)
    replicas: dict[ModelId, Replica] = field(default_factory=dict)
    attempts: dict[AttemptId, ModelId] = field(default_factory=dict)  # ours, running there
    _refusing: list[ModelId] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Node {self.name} {self.state}, epoch {self.epoch}, {len(self.attempts)} running>"

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def connected(self) -> bool:
        return self.state in (NodeState.ALIVE, NodeState.SUSPECT, NodeState.DRAINING)

    @property
    def closed(self) -> bool:
        """Does its owner keep it from all requests? Beside the coordinator it is not: there the
        owner's own programs ask through us, and ``mesh.core.filter`` lets no others pass."""
        return self.load.owner_busy and not self.on_coordinator_host

    @property
    def contested(self) -> bool:
        """Does another machine try to be this one?"""
        return self.takeovers.refused_s is not None

    def become(self, state: NodeState, now_s: float, reason: str = "") -> None:
        if state is not self.state:
            self.state_since_s = now_s
        self.state, self.state_reason = state, reason

    def hold(self, offers: Iterable[Offer]) -> None:
        """Take over a whole new model list; what is known of kept models stays known."""
        kept, self.replicas = self.replicas, {}
        running = list(self.attempts.values())
        for offer in offers:
            model_id = offer.model.model_id
            known = kept.get(model_id)
            status = known.status if known else ReplicaStatus()
            speed = speed_of(self.machine, offer.model, status)
            others = known.others if known else 0
            ours = running.count(model_id)
            self.replicas[model_id] = Replica(self, offer, status, speed, ours, others)
        self.breakers = {each: b for each, b in self.breakers.items() if each in self.replicas}
        self.weigh()

    def weigh(self) -> None:
        """Take note that a breaker of this node has moved."""
        for model_id, replica in self.replicas.items():
            breaker = self.breakers.get(model_id)
            own = breaker.standing if breaker is not None else Standing.TRUSTED
            replica.standing = max(own, self.losses.standing)

    def update(self, statuses: Iterable[tuple[ModelId, ReplicaStatus]]) -> list[ModelId]:
        """Take over a report: what changed, so what was refused before holds no longer.

        Returns the models that it is about; one that the node never offered is dropped.
        """
        about, self._refusing = self._refusing, []
        for model_id in about:
            if model_id in self.replicas:
                self.replicas[model_id].refused = None
        for model_id, status in statuses:
            replica = self.replicas.get(model_id)
            if replica is not None:
                replica.status = status
                replica.speed = speed_of(self.machine, replica.model, status)
                replica.others = max(0, status.slots_taken - replica.ours)
                about.append(model_id)
        return about

    def begin(self, attempt_id: AttemptId, model_id: ModelId) -> None:
        self.attempts[attempt_id] = model_id
        self.replicas[model_id].ours += 1

    def end(self, attempt_id: AttemptId) -> None:
        """Free the attempt's slot; one that is not running here changes nothing."""
        model_id = self.attempts.pop(attempt_id, None)
        if model_id is not None and model_id in self.replicas:
            self.replicas[model_id].ours -= 1

    def refuse(self, model_id: ModelId, refusal: Refusal) -> None:
        """Believe the node until its next report, which tells of changes only."""
        if refusal is Refusal.OWNER_BUSY:
            self.load = replace(self.load, owner_busy=True)
        if model_id in self.replicas:
            self.replicas[model_id].refused = refusal
            self._refusing.append(model_id)
