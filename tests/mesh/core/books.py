"""What must be true of a fleet after every event, whatever happened before.

``Books`` keeps its own account of what went in and what came out, and compares it with the fleet.
"""

from dataclasses import dataclass, field
from random import Random

from mesh.core import actions as act
from mesh.core import events
from mesh.core.actions import Action
from mesh.core.admission import in_time
from mesh.core.breaker import Standing
from mesh.core.fleet import Fleet
from mesh.core.limits import FleetLimits
from mesh.core.progress import Progress
from mesh.core.receipt import Receipt
from mesh.core.retry import RATIO, RESERVE
from mesh.core.routing import place_now
from mesh.core.types import (
    AUTO,
    AttemptId,
    FailureCode,
    ModelId,
    NodeId,
    NodeState,
    Request,
    RequestKey,
    Tier,
)


@dataclass(frozen=True)
class Tokens:
    """The payload of a progress event: which tokens these are."""

    attempt_id: AttemptId
    offset: int
    count: int


@dataclass
class Asked:
    """One open request, as its client sees it."""

    request: Request
    attempts: set[AttemptId] = field(default_factory=set)  # under way: two while one is late
    shown: AttemptId | None = None  # whose beginning the client was told
    tokens: int = 0
    seen: bool = False
    resumable: bool = False
    seen_by: ModelId | None = None


@dataclass
class Books:
    """Checks every event and its actions; raises AssertionError."""

    fleet: Fleet
    limits: FleetLimits
    open: dict[RequestKey, Asked] = field(default_factory=dict)
    running: dict[AttemptId, act.StartAttempt | act.StartCloudAttempt] = field(default_factory=dict)
    ended: int = 0
    arrived: int = 0
    starts: int = 0
    refusals: int = 0
    handoffs: int = 0
    resumable: dict[AttemptId, bool] = field(default_factory=dict)  # by the first word of each
    deliveries: set[AttemptId] = field(default_factory=set)
    passed_over: dict[RequestKey, float] = field(default_factory=dict)  # since when
    over: set[AttemptId] = field(default_factory=set)  # told to end, or said so themselves

    def check(self, event: events.Event, actions: list[Action], now_s: float) -> None:
        actions = [each for each in actions if not isinstance(each, act.TellOperator)]
        replied = [each for each in actions if isinstance(each, act.FailRequest)]
        match event:
            case events.RequestArrived(request=request) if request.key in self.open:
                assert len(actions) == len(replied) == 1, "a duplicate id gets one answer"
                assert replied[0].failure.code is FailureCode.REQUEST_EXISTS
                return
            case events.RequestArrived(request=request):
                self.arrived += 1
                self.open[request.key] = Asked(request)
            case events.AttemptRefused(attempt_id=attempt_id):
                self.refusals += 1
                self.over.add(attempt_id)
            case events.AttemptFailed(attempt_id=attempt_id):
                self.over.add(attempt_id)
            case events.DeliveryOpened():
                answered = (act.AcceptDelivery, act.RejectDelivery)
                assert [type(each) in answered for each in actions] == [True]
            case events.NodeAttached(connection_id=connection_id):
                self._check_attached(connection_id, actions)
            case events.AttemptStarted(attempt_id=attempt_id) if attempt_id in self.running:
                self.resumable.setdefault(attempt_id, event.resumable)
            case _:
                pass
        for action in actions:
            self._take(action)
        self._check_starts(actions, now_s)
        self._check_state(now_s)

    def check_empty(self) -> None:
        """Every request has ended and every node is forgotten: nothing is left behind."""
        requests = self.fleet.requests
        assert self.open == {}
        assert self.running == {}
        assert (requests.running, requests.waiting) == (0, 0)
        assert self.ended == self.arrived
        assert self.fleet.directory.nodes == {}
        assert self.fleet.directory.names() == []
        assert self.fleet.next_due_s is None

    # -- actions -----------------------------------------------------------------------------------

    def _take(self, action: Action) -> None:
        match action:
            case act.StartAttempt() | act.StartCloudAttempt():
                self._take_start(action)
            case act.SendStarted(key=key, attempt_id=attempt_id):
                assert attempt_id in self.open[key].attempts
                assert not self.open[key].seen, "an answer begins once"
                self.open[key].shown = attempt_id
                self.open[key].resumable = self.resumable.get(attempt_id, False)
                start = self.running[attempt_id]
                if isinstance(start, act.StartAttempt):
                    self.open[key].seen_by = start.model_id
            case act.SendRestarted(key=key):
                asked = self.open[key]
                assert asked.request.accept_restart, "nobody said that it may"
                assert asked.seen, "there is nothing to take back"
                asked.seen = asked.resumable = False
                asked.tokens, asked.shown, asked.seen_by = 0, None, None
            case act.SendMoved(key=key, attempt_id=attempt_id):
                assert attempt_id in self.open[key].attempts
                assert self.open[key].seen
                self.open[key].shown = attempt_id
                assert action.token == self.open[key].tokens
            case act.SendDelta(key=key, payload=Tokens() as tokens):
                asked = self.open[key]
                assert tokens.attempt_id in asked.attempts
                assert asked.attempts - self.over <= {tokens.attempt_id}, "it is heard alone"
                assert tokens.attempt_id == asked.shown, "the client knows who answers"
                assert tokens.offset == asked.tokens, "no token lost, none repeated"
                asked.tokens += tokens.count
                asked.seen = True
            case act.AcceptDelivery(attempt_id=attempt_id, key=key):
                assert attempt_id in self.open[key].attempts
                assert attempt_id not in self.deliveries, "one answer stream an attempt"
                self.deliveries.add(attempt_id)
            case act.CancelAttempt(attempt_id=attempt_id):
                start = self.running[attempt_id]
                assert isinstance(start, act.StartAttempt)
                assert start.connection_id == action.connection_id
                self.handoffs += action.reason == "relieved" and not self.open[start.key].seen
                self.over.add(attempt_id)
            case act.StopCloudAttempt(attempt_id=attempt_id):
                assert isinstance(self.running[attempt_id], act.StartCloudAttempt)
                self.over.add(attempt_id)
            case act.EndDelivery(attempt_id=attempt_id):
                self.over.add(attempt_id)
            case act.FinishRequest(key=key) | act.FailRequest(key=key):
                self._check_cost(action.receipt)
                self._ended(key)
            case _:
                pass

    def _take_start(self, action: act.StartAttempt | act.StartCloudAttempt) -> None:
        key, attempt_id = action.key, action.attempt_id
        self.starts += 1
        assert attempt_id == self.starts, "attempt ids count up"
        asked = self.open[key]
        live = self.fleet.requests._books.running  # who refuses what it began ends nothing
        for before in (asked.attempts & self.over) - live.keys():
            del self.running[before]
            asked.attempts.remove(before)
        assert len(asked.attempts) <= (not asked.seen), "one attempt at a time, and a hedge"
        if isinstance(action, act.StartCloudAttempt):
            assert not asked.seen, "the cloud goes on with nobody's answer"
        else:
            assert action.resumed_tokens == asked.tokens, "it goes on with the next token"
            assert not asked.seen or asked.resumable, "never spliced by guess"
            self.handoffs += asked.seen
            assert not asked.seen or action.model_id == asked.seen_by
        assert action.remaining_s > 0
        asked.attempts.add(attempt_id)
        self.running[attempt_id] = action
        if isinstance(action, act.StartCloudAttempt):
            assert asked.request.tier is Tier.CLOUD, "nothing else leaves the mesh"
            assert asked.request.model in (AUTO, action.model.name), "never a substitute"

    def _check_cost(self, receipt: Receipt) -> None:
        """What was paid for is what went to the cloud, and all of it is on the account."""
        assert receipt.cost_microusd == sum(each.cost_microusd for each in receipt.attempts)
        assert bool(receipt.cost_microusd) <= bool(receipt.price_version)
        for attempt in receipt.attempts:
            assert attempt.tier is Tier.CLOUD or not attempt.cost_microusd

    def _ended(self, key: RequestKey) -> None:
        asked = self.open.pop(key)  # KeyError: it ended before
        self.ended += 1
        for attempt_id in asked.attempts:
            self.running.pop(attempt_id, None)

    def _check_attached(self, connection_id: int, actions: list[Action]) -> None:
        admitted = [each for each in actions if isinstance(each, act.AdmitNode)]
        closed = [each for each in actions if isinstance(each, act.CloseConnection)]
        if admitted:
            assert [each.connection_id for each in admitted] == [connection_id]
            assert connection_id not in [each.connection_id for each in closed]
        else:
            assert [each.connection_id for each in closed] == [connection_id]

    def _check_starts(self, actions: list[Action], now_s: float) -> None:
        """What was started runs where it may, unless it was stopped in the same breath."""
        stopped = {each.attempt_id for each in actions if isinstance(each, act.CancelAttempt)}
        by_connection = {node.connection_id: node for node in self.fleet.directory.nodes.values()}
        for start in actions:
            if not isinstance(start, act.StartAttempt) or start.attempt_id in stopped:
                continue
            node = by_connection[start.connection_id]
            assert node.state is NodeState.ALIVE
            own = self.open[start.key].request.from_coordinator_host and node.on_coordinator_host
            assert own or not node.load.owner_busy
            assert node.epoch == start.epoch
            replica = node.replicas[start.model_id]
            assert 0 < replica.ours <= replica.status.slots - replica.others
        budget = RATIO * self.arrived + RESERVE + self.refusals + self.handoffs
        assert self.starts - self.arrived <= budget, "more retries than the budget allows"

    # -- the fleet's state -------------------------------------------------------------------------

    def _check_state(self, now_s: float) -> None:
        nodes, books = self.fleet.directory.nodes, self.fleet.requests._books
        assert set(books.open) == set(self.open)
        waiting = set(books.line.all())
        running = {progress.request.key for progress, _ in books.running.values()}
        assert waiting | running == set(self.open), "who neither waits nor runs is stuck"
        assert waiting & running == set()
        self._check_attempts()
        for key in waiting:
            self._check_waiting(books.open[key], now_s)
        self.passed_over = {key: s for key, s in self.passed_over.items() if key in waiting}
        assert len(waiting) <= self.limits.waiting_max
        assert len(nodes) <= self.limits.nodes_max
        # A node may be silent and on trial; beside them are the line and our pulse.
        holding = 2 * len(nodes) + len(books.open) + 2 * len(books.running) + 2
        assert len(self.fleet._timers) <= 64 + 2 * holding, "timers pile up"

    def _check_panic(self, model_id: ModelId) -> None:
        """Nobody is left out for failures where more than half would be."""
        every = list(self.fleet.directory.holders(model_id).every.walk())
        fit = [replica for replica in every if replica.fit]
        doubted = [replica for replica in fit if replica.standing is not Standing.TRUSTED]
        panics = 2 * len(doubted) > len(fit)
        assert self.fleet.directory.holders(model_id).panics is panics
        assert all(replica.pardoned is panics for replica in doubted)
        assert any(replica.able for replica in fit) or not fit

    def _check_waiting(self, progress: Progress, now_s: float) -> None:
        """Who waits has no free node, or waits for a quicker one; if that one has gone, the line is
        looked at within a time."""
        request, directory, avoid = progress.wanted, self.fleet.directory, progress.avoid
        found = None
        if request.model != AUTO and now_s < request.deadline_s:
            found = place_now(request, directory, avoid, Random(0), ahead=0)
        if found is None or not in_time(found.chosen.first_token_s, request, now_s):
            self.passed_over.pop(request.key, None)
            return
        since_s = self.passed_over.setdefault(request.key, now_s)
        due_s = self.fleet.next_due_s
        if due_s is None or due_s > now_s:
            assert now_s - since_s <= self.limits.line_checked_every_s, "who waits has no free node"

    def _check_attempts(self) -> None:
        """The nodes' books, the requests' books and ours tell the same."""
        nodes, books = self.fleet.directory.nodes, self.fleet.requests._books
        on_nodes: dict[AttemptId, NodeId] = {}
        for node in nodes.values():
            for attempt_id in node.attempts:
                assert attempt_id not in on_nodes
                on_nodes[attempt_id] = node.node_id
            assert node.connected or not node.attempts, "a node that is gone runs nothing"
            for model_id, replica in node.replicas.items():
                assert replica.ours == list(node.attempts.values()).count(model_id)
                holders = self.fleet.directory.holders(model_id)
                assert (node.node_id in holders.free) == replica.can_begin
                assert (node.node_id in holders.able) == replica.able
            for model_id in node.replicas:
                self._check_panic(model_id)
        assert on_nodes == {
            attempt_id: attempt.node_id
            for attempt_id, (_, attempt) in books.running.items()
            if not attempt.in_cloud
        }
        for progress, attempt in books.running.values():
            assert attempt in (progress.attempt, progress.second)
            assert progress.attempt is not None
            assert attempt.attempt_id in self.open[progress.request.key].attempts
            assert progress.second is None or not progress.given.seen
