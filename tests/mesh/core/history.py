"""A random history of a fleet: mostly sensible, sometimes hostile, the same for the same seed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from mesh.core import actions as act
from mesh.core import events
from mesh.core.fleet import Fleet
from mesh.core.limits import FleetLimits
from mesh.core.policies import BUILT_IN
from mesh.core.types import (
    AttemptId,
    Capability,
    CloudModel,
    Epoch,
    Failure,
    FailureCode,
    Load,
    Model,
    ModelId,
    NodeId,
    Offer,
    Refusal,
    ReplicaState,
    ReplicaStatus,
    Request,
    Tier,
    Usage,
)
from tests.mesh.core.books import Books, Tokens
from tests.mesh.core.script import a_machine, a_model, key, warm

LIMITS = FleetLimits(nodes_max=5, waiting_max=6, attempts_max=4)
NODES = [NodeId(f"n{i}") for i in range(7)]
MODELS = [
    a_model("llama", "chat"),
    a_model("qwen", "chat", parameters=10**9),
    a_model("tiny", test=True),
]
BIG = CloudModel("big", "upstream.example", frozenset({Capability.TOOLS}))
NAMES = ["llama", "qwen", "chat", "tiny", "big"]
ABSURD = [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300, 5e-324]
STEPS_S = [0.0] * 20 + [0.01, 0.01, 0.1, 0.1, 0.1, 0.3, 0.5, 1.0, 3.0]


@dataclass
class Stage:
    """How far an attempt has come, as its node sees it."""

    start: act.StartAttempt | act.StartCloudAttempt
    opened: bool = False
    started: bool = False
    tokens: int = 0

    @property
    def epoch(self) -> Epoch:
        return self.start.epoch if isinstance(self.start, act.StartAttempt) else Epoch(0)


@dataclass
class History:
    """Makes events, and has the books check what the fleet does about each."""

    seed: int
    now_s: float = 1000.0
    steps: list[events.Event] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)  # kinds of actions and codes of failures

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.fleet = Fleet(LIMITS, Random(self.seed))
        self.books = Books(self.fleet, LIMITS)
        self.stages: dict[AttemptId, Stage] = {}
        self.connections: dict[NodeId, int] = {}
        self.sequences = 0
        self.made = 0
        usual: dict[Callable[[], events.Event], float] = {
            self._attempt_goes_on: 40,
            self._request_arrives: 16,
            self._node_reports: 16,
            self._node_attaches: 5,
            self._time_passes: 4,
            self._attempt_errs: 4,
            self._attempt_fails: 4,
            self._attempt_is_refused: 4,
            self._request_is_cancelled: 4,
            self._node_errs: 4,
            self._node_goes: 2,
            self._cloud_changes: 1,
            self._coordinator_returns: 1,
        }
        # Each history has more of this and less of that, so that together they come to states
        # which an even mixture never would ("Swarm testing", Groce et al., ISSTA 2012).
        self._makers = list(usual)
        self._weights = [weight * self.rng.choice([0.1, 1, 3]) for weight in usual.values()]

    def run(self, steps: int) -> None:
        """Raises AssertionError with the seed and the last events."""
        self.step(self._cloud_changes())
        for _ in range(3):
            self.step(self._node_attaches())
        for _ in range(steps):
            later_s = self.now_s + self.rng.choice(STEPS_S)
            if self.rng.random() < 0.8:  # else its owner is away meanwhile
                self._be_awake_until(later_s)
            self.now_s = later_s
            if self.rng.random() < 0.001:
                self.now_s += 4000
            self.step(self._event())
        self._wind_up()

    def step(self, event: events.Event) -> None:
        self.steps.append(event)
        try:
            actions = self.fleet.handle(event, self.now_s)
            self.books.check(event, actions, self.now_s)
        except Exception as failure:
            last = "\n".join(map(str, self.steps[-5:]))
            raise AssertionError(
                f"History({self.seed}) at step {len(self.steps)}: {failure!r}\n{last}"
            ) from failure
        for action in actions:
            self.seen.add(type(action).__name__)
            if isinstance(action, act.StartAttempt):
                self.stages[action.attempt_id] = Stage(action, tokens=action.resumed_tokens)
            elif isinstance(action, act.StartCloudAttempt):
                self.stages[action.attempt_id] = Stage(action, opened=True)
            elif isinstance(action, act.FailRequest):
                self.seen.add(action.failure.code)

    def _wind_up(self) -> None:
        """All clients leave, and then everything is silent for hours."""
        for open_key in list(self.books.open):
            self.step(events.RequestCancelled(open_key, "the client left"))
        self._be_awake_until(self.now_s + 300_000)
        self.books.check_empty()

    def _be_awake_until(self, later_s: float) -> None:
        while (due_s := self.fleet.next_due_s) is not None and due_s <= later_s:
            self.now_s = max(self.now_s, due_s)
            self.step(events.TimePassed())

    def _event(self) -> events.Event:
        return self.rng.choices(self._makers, self._weights)[0]()

    # -- what sensible nodes and clients do --------------------------------------------------------

    def _request_arrives(self) -> events.Event:
        rng = self.rng
        self.made += 1
        fresh = key(f"r{self.made}")
        known = [*self.books.open, key(f"r{rng.randint(0, self.made)}")]
        patience_s = rng.choice([*[0.5, 5.0, 60.0, 600.0] * 6, 0.0, math.inf, math.nan, -1.0])
        return events.RequestArrived(
            Request(
                key=fresh if rng.random() < 0.95 else rng.choice(known),
                model=rng.choice([*NAMES, "llama", "auto", "nothing"]),
                tier=rng.choice([Tier.MESH] * 3 + [Tier.CLOUD] * 2 + [Tier.DEVICE]),
                policy=rng.choice(BUILT_IN),
                prompt_bytes=rng.choice([0, 100, 100, 4000, 10**6]),
                max_tokens=rng.choice([0, 10, 10**9]),
                deadline_s=self.now_s + patience_s,
                needs=frozenset(rng.sample([Capability.TOOLS], rng.choice([0, 0, 0, 1]))),
                from_coordinator_host=rng.random() < 0.5,
                explain=rng.random() < 0.2,
                accept_restart=self.made % 3 == 0,
            )
        )

    def _request_is_cancelled(self) -> events.Event:
        known = [*self.books.open, key("r1"), key("never")]
        return events.RequestCancelled(self.rng.choice(known), "the client left")

    def _time_passes(self) -> events.Event:
        due_s = self.fleet.next_due_s
        if due_s is not None and self.rng.random() < 0.7:
            self.now_s = max(self.now_s, due_s)
        return events.TimePassed()

    def _node_attaches(self) -> events.Event:
        rng = self.rng
        node_id = rng.choice(NODES)
        self.made += 1
        self.connections[node_id] = self.made
        models = rng.sample(MODELS, rng.choice([0, 1, 2, 3, 3]))
        offers = tuple(self._offer(model) for model in models)
        return events.NodeAttached(
            connection_id=self.made,
            node_id=node_id,
            machine=a_machine(str(node_id), cores=rng.choice([-1, 1, 8])),
            offers=offers,
            statuses=self._statuses(),
            load=self._load(),
            on_coordinator_host=rng.random() < 0.3,
        )

    def _node_reports(self) -> events.Event:
        node_id, epoch = self._node()
        self.sequences += 1
        return events.NodeReported(node_id, epoch, self.sequences, self._statuses(), self._load())

    def _node_goes(self) -> events.Event:
        rng = self.rng
        node_id, epoch = self._node()
        connection_id = self.connections.get(node_id, 0)
        offers = tuple(map(self._offer, rng.sample(MODELS, rng.choice([0, 1, 3]))))
        possible: list[events.Event] = [
            events.NodeLeft(node_id, epoch, asleep=rng.random() < 0.5),
            events.ConnectionLost(connection_id, node_id, "reset"),
            events.NodeDrained(node_id, "why", by_operator=rng.random() < 0.3),
            events.NodeDrained(node_id, "", resumed=True, by_operator=rng.random() < 0.6),
            events.InventoryReported(node_id, epoch, offers),
            events.RoundTripMeasured(node_id, epoch, rng.random()),
        ]
        return rng.choice(possible)

    def _cloud_changes(self) -> events.Event:
        return events.CloudOffered(self.rng.choice([(BIG,), (BIG,), ()]))

    def _coordinator_returns(self) -> events.Event:
        return events.CoordinatorReturned(self.now_s + 10)

    def _attempt_goes_on(self) -> events.Event:
        """The next thing an honest node would say of one of its attempts."""
        stage = self._stage()
        if stage is None:
            return self.rng.choice([*[self._request_arrives] * 3, self._node_attaches])()
        attempt_id = stage.start.attempt_id
        if not stage.opened:
            stage.opened = True
            self.made += 1
            return events.DeliveryOpened(attempt_id, stage.epoch, self.made)
        if not stage.started:
            stage.started = True
            resumable = self.rng.random() < 0.7 and isinstance(stage.start, act.StartAttempt)
            numerics = self.rng.choice(["", "n1", "n2"])
            return events.AttemptStarted(attempt_id, 10, numerics, None, resumable=resumable)
        paid = isinstance(stage.start, act.StartCloudAttempt)
        if paid and self.rng.random() < 0.2:
            return events.AttemptCharged(attempt_id, 100, "v1")
        if self.rng.random() < 0.3:
            cost = (7, "v1") if paid else (0, "")
            return events.AttemptFinished(attempt_id, Usage(10, 0, stage.tokens), None, *cost)
        count, offset = self.rng.choice([0, 1, 1, 5]), stage.tokens
        stage.tokens += count
        return events.AttemptProgressed(
            attempt_id, offset, count, Tokens(attempt_id, offset, count)
        )

    def _attempt_fails(self) -> events.Event:
        failure = Failure(self.rng.choice(list(FailureCode)), "broken")
        return events.AttemptFailed(self._attempt_id(), failure)

    def _attempt_is_refused(self) -> events.Event:
        stage = self._stage()
        epoch = stage.epoch if stage else Epoch(1)
        refusal = self.rng.choice(list(Refusal))
        return events.AttemptRefused(self._attempt_id(stage), epoch, refusal)

    # -- what hostile or broken ones do ------------------------------------------------------------

    def _attempt_errs(self) -> events.Event:
        """Late, foreign, out of order, twice."""
        rng, attempt_id = self.rng, self._attempt_id()
        self.made += 1
        offset, count = rng.choice([-1, 0, 1, 7, 10**12]), rng.choice([-5, -1, 0, 1, 10**9])
        tokens = Tokens(attempt_id, offset, count)
        possible: list[events.Event] = [
            events.DeliveryOpened(attempt_id, self._epoch(), self.made),
            events.AttemptStarted(attempt_id, rng.choice([-1, 0, 10]), "", None),
            events.AttemptCharged(AttemptId(10**9), 10**12, "never"),
            events.AttemptProgressed(attempt_id, offset, count, tokens),
            events.AttemptFinished(attempt_id, Usage(-1, -1, 10**12), None),
            events.AttemptRefused(attempt_id, self._epoch(), rng.choice(list(Refusal))),
        ]
        return rng.choice(possible)

    def _node_errs(self) -> events.Event:
        """Wrong epochs and numbers, unknown nodes, absurd measurements."""
        rng = self.rng
        node_id, epoch = rng.choice([*NODES, NodeId("ghost")]), self._epoch()
        sequence = rng.choice([0, -1, self.sequences, 10**15])
        possible: list[events.Event] = [
            events.NodeReported(node_id, epoch, sequence, self._statuses(), self._load()),
            events.RoundTripMeasured(node_id, epoch, rng.choice(ABSURD)),
            events.InventoryReported(node_id, epoch, ()),
            events.NodeLeft(node_id, epoch),
            events.ConnectionLost(rng.randint(0, self.made), node_id, "reset"),
        ]
        return rng.choice(possible)

    # -- parts -------------------------------------------------------------------------------------

    def _offer(self, model: Model) -> Offer:
        rng = self.rng
        able = [Capability.TOOLS, Capability.RESUME]
        capabilities = frozenset(rng.sample(able, rng.choice([0, 1, 2, 2])))
        return Offer(model, rng.choice([-1, 16, *[4096] * 8]), capabilities)

    def _statuses(self) -> tuple[tuple[ModelId, ReplicaStatus], ...]:
        rng = self.rng
        models = rng.sample(MODELS, rng.choice([0, 1, 3]))
        return tuple((model.model_id, self._status()) for model in models)

    def _status(self) -> ReplicaStatus:
        rng = self.rng
        if rng.random() < 0.8:
            return warm(rng.choice([1, 1, 2, 4]), rng.choice([0, 0, 0, 1]))
        return ReplicaStatus(
            state=rng.choice(list(ReplicaState)),
            slots=rng.choice([1, 2, 0, -1, 10**12]),
            slots_taken=rng.choice([0, 1, 2, -1, 10**12]),
            prefill_tokens_per_s=rng.choice([500.0, 100.0, *ABSURD]),
            decode_tokens_per_s=rng.choice([50.0, 10.0, *ABSURD]),
            load_s=rng.choice([1.0, *ABSURD]),
        )

    def _load(self) -> Load:
        absurd = self.rng.choice([0.5, *ABSURD])
        return Load(absurd, absurd, 10**9, owner_busy=self.rng.random() < 0.05)

    def _node(self) -> tuple[NodeId, Epoch]:
        nodes = list(self.fleet.directory.nodes.values())
        if not nodes:
            return NODES[0], Epoch(1)
        node = self.rng.choice(nodes)
        return node.node_id, node.epoch

    def _epoch(self) -> Epoch:
        return Epoch(self.rng.choice([-1, 0, self._node()[1], self._node()[1] - 1, 10**9]))

    def _stage(self) -> Stage | None:
        """Mostly of an attempt that runs; sometimes of one that ended long ago."""
        ids = list(self.books.running) if self.rng.random() < 0.95 else list(self.stages)
        return self.stages[self.rng.choice(ids)] if ids else None

    def _attempt_id(self, stage: Stage | None = None) -> AttemptId:
        stage = stage or self._stage()
        if stage is None or self.rng.random() < 0.1:
            return AttemptId(self.rng.choice([-1, 0, 10**9]))
        return stage.start.attempt_id
