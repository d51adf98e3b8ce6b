"""One node as the fleet knows it."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf, log2

from mesh.core.breaker import Breaker, Standing
from mesh.core.cost import Strain, strain_of
from mesh.core.experience import Experience
from mesh.core.speed import Speed, speed_of
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
    engine_at,
)

# The request by which replicas are ranked: what is usual where people talk to a model.
USUAL_PROMPT_TOKENS, USUAL_OUTPUT_TOKENS = 512, 128
RANK_FIRST, RANK_LAST = -14, 33  # twice the power of two, in seconds


@dataclass(slots=True)
class Reservation:
    """What we gave a replica, for as long as the attempt runs."""

    reading_s: float  # that its prompt takes; 0 once its first token came
    ahead_s: float = 0.0  # that the prompts before it took when it began
    batch: int = 1  # answers under way when it began, itself included
    cold: bool = False  # the model had to be loaded first


@dataclass(slots=True, eq=False)
class Replica:
    """A model on a node: what it offers, how it stands, who uses it. Mutable, as Node is."""

    node: "Node" = field(repr=False)
    offer: Offer
    status: ReplicaStatus = field(default_factory=ReplicaStatus)
    ours: int = 0  # attempts of ours that run on it
    others: int = 0  # slots taken by others when it last reported: its owner, other coordinators
    refused: Refusal | None = None  # why the node began nothing on it since its last report
    standing: Standing = Standing.TRUSTED  # the worse of its own and its node's
    pardoned: bool = False  # set by the directory: too many of its kind have failed to be choosy
    experience: Experience = field(default_factory=Experience)
    reserved: dict[AttemptId, Reservation] = field(default_factory=dict)  # for attempts of ours
    model_id: ModelId = field(init=False)  # kept: to make it anew takes as long as a prediction
    # Worked out by ``reckon`` whenever one of the above changes.
    speed: Speed = field(init=False)  # for one more request
    ready_s: float = field(
        init=False
    )  # until its first token, but for the way there and its prompt
    rank: int = field(init=False)  # how quick it is, see ``mesh.core.pool.Ranked``
    _aged_s: float = field(init=False)
    works: int = 0  # 1 if it answers somebody

    def __post_init__(self) -> None:
        self.model_id = self.offer.model.model_id
        self._aged_s = self.node.reported_s
        self.reckon()

    @property
    def place(self) -> NodeId:
        """Return what a request avoids that fails here: its node, or only an engine there."""
        node_id = self.node.node_id
        return engine_at(node_id, self.model_id) if self.offer.engine else node_id

    def reckon(self) -> None:
        """Work out how fast it would be for one more request."""
        node, experience = self.node, self.experience
        if node.reported_s > self._aged_s:
            experience.age(node.reported_s - self._aged_s)
            self._aged_s = node.reported_s
        running = self.running
        works = 1 if running else 0
        node.working += works - self.works
        self.works = works
        batch = min(running + 1, max(1, self.status.slots))  # who waits takes the place of one
        speed = speed_of(node.machine, self.offer.model, self.status, experience, batch)
        self.speed = speed
        self.ready_s = speed.load_s + speed.overhead_s + self.ahead_s + speed.decode_s
        usual_s = node.rtt_s + self.ready_s + USUAL_PROMPT_TOKENS * speed.prefill_s
        usual_s += USUAL_OUTPUT_TOKENS * speed.decode_s / 8
        if self.slots_free < 1:
            usual_s += self.frees_s(USUAL_PROMPT_TOKENS, USUAL_OUTPUT_TOKENS)
        power = int(2 * log2(max(1e-3, usual_s)))
        self.rank = min(RANK_LAST, max(RANK_FIRST, power)) - RANK_FIRST

    def frees_s(self, prompt_tokens: float, output_tokens: float) -> float:
        """Return how long one of its slots stays taken, if it is for answers of that size.

        Answers that end at any time, one in each of ``slots``, free the first after that share.
        """
        speed = self.speed
        answer_s = prompt_tokens * speed.prefill_s + (output_tokens + 1) * speed.decode_s
        return answer_s / max(1, self.status.slots)

    def remember(self, experience: Experience | None) -> None:
        """It is one that we know from before."""
        if experience is not None and experience is not self.experience:
            self.experience = experience
            self.reckon()

    @property
    def model(self) -> Model:
        return self.offer.model

    @property
    def ahead_s(self) -> float:
        """Seconds for the prompts of ours that it has yet to read, before whatever is sent now."""
        return sum([each.reading_s for each in self.reserved.values()])

    @property
    def crowd(self) -> int:
        """Other models at work on its machine."""
        return self.node.working - self.works

    @property
    def warm(self) -> bool:
        return self.status.state is ReplicaState.WARM

    @property
    def running(self) -> int:
        """Answers that it works on, as far as anyone knows."""
        return self.ours + max(0, min(self.others, self.status.slots))

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
        return self.room

    @property
    def room(self) -> int:
        """``slots_free``, whatever is thought of the node."""
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
    working: int = 0  # of its replicas, that answer somebody
    strain: Strain | None = None  # what it costs its owner to work now, by its last report
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
        self.strain = strain_of(self.load)
        self.working = 0
        for offer in offers:
            model_id = offer.model.model_id
            known = kept.get(model_id)
            replica = Replica(
                self,
                offer,
                known.status if known else ReplicaStatus(),
                ours=running.count(model_id),
                others=known.others if known else 0,
            )
            if known is not None:
                replica.reserved = known.reserved
                replica.remember(known.experience)
            self.replicas[model_id] = replica
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
        self.strain = strain_of(self.load)
        for model_id in about:
            if model_id in self.replicas:
                self.replicas[model_id].refused = None
        for model_id, status in statuses:
            replica = self.replicas.get(model_id)
            if replica is not None:
                replica.status = status
                replica.others = max(0, status.slots_taken - replica.ours)
                replica.reckon()
                about.append(model_id)
        return about

    def begin(self, attempt_id: AttemptId, model_id: ModelId, reading_s: float = 0.0) -> None:
        """Take a slot for an attempt whose prompt is read in ``reading_s``."""
        replica = self.replicas[model_id]
        self.attempts[attempt_id] = model_id
        replica.ours += 1
        replica.reserved[attempt_id] = Reservation(
            reading_s, replica.ahead_s, replica.running, not replica.warm
        )
        replica.reckon()

    def has_read(self, attempt_id: AttemptId) -> ModelId | None:
        """The attempt's first token came. Returns the model whose replica is quicker for it."""
        model_id = self.attempts.get(attempt_id)
        replica = self.replicas.get(model_id) if model_id is not None else None
        if replica is None or attempt_id not in replica.reserved:
            return None
        replica.reserved[attempt_id].reading_s = 0.0
        replica.reckon()
        return model_id

    def end(self, attempt_id: AttemptId) -> None:
        """Free the attempt's slot; one that is not running here changes nothing."""
        model_id = self.attempts.pop(attempt_id, None)
        if model_id is not None and model_id in self.replicas:
            replica = self.replicas[model_id]
            replica.ours -= 1
            replica.reserved.pop(attempt_id, None)
            replica.reckon()

    def refuse(self, model_id: ModelId, refusal: Refusal) -> None:
        """Believe the node until its next report, which tells of changes only."""
        if refusal is Refusal.OWNER_BUSY:
            self.load = replace(self.load, owner_busy=True)
        if model_id in self.replicas:
            self.replicas[model_id].refused = refusal
            self._refusing.append(model_id)
