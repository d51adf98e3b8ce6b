"""What must be true after every event, whatever happened before. Raises ``AssertionError``.

1. A request ends exactly once, and by its deadline; whoever worked on it is told to stop.
2. Its client sees the one true answer: no token lost, none repeated, none of another model, across
   any number of nodes; and all of it, if the request ends well.
3. Attempts stay within the budget of retries. What was refused is none, nor what its node wanted to
   be relieved of, nor an answer that goes on elsewhere, nor the next rung after an answer that was
   not good enough: of these there are few for each request.
4. Nothing is sent to a node that the fleet has heard to be gone, asleep, silent or drained, and
   nothing beyond its slots.
5. Whatever waits or is remembered is bounded, and nothing is left when all requests have ended.

It keeps an account of its own of what went in and what came out, beside the fleet's books.
"""

from collections import Counter
from dataclasses import dataclass

from mesh.core import actions, events
from mesh.core.actions import Action
from mesh.core.choosing import MODELS_MAX
from mesh.core.events import Event
from mesh.core.fleet import Fleet
from mesh.core.limits import FleetLimits
from mesh.core.progress import ESCALATED, RELIEVED
from mesh.core.retry import RATIO, RESERVE
from mesh.core.timers import Due
from mesh.core.types import (
    AttemptId,
    FailureCode,
    ModelId,
    NodeId,
    Request,
    RequestKey,
)
from mesh.sim.chaos.answers import Tokens, true_length, true_tokens
from mesh.sim.chaos.attendance import Attendance

STALE_MIN = 64  # entries that timers may keep beyond those that hold, see ``mesh.core.timers``
ROUNDING = 1e-6  # the budget is a sum of many fifths
ATTEMPTS_AT_ONCE = 2  # of one request: a second one while the first is late
TIMERS_OF_NODE_MAX = 6  # its silence, and what its replicas are held for
OF_REQUESTS = (Due.DEADLINE, Due.DELIVERY, Due.STANDSTILL, Due.LINE)
DEADLINE_SLACK_S = 0.01  # a request may outlive its deadline by a stall, and by this


@dataclass(slots=True)
class Asked:
    """A request that has not ended, as its client sees it."""

    request: Request
    tokens: int  # that the client has
    model_id: ModelId | None = None  # whose they are
    told: ModelId | None = None  # whose answer began last
    resumable: bool = False  # whether another machine could go on with it
    starts: int = 0
    relieved: bool = False  # its node wanted its machine back
    climbs: bool = False  # its last answer was not good enough
    rungs: int = 0  # that were climbed


class Promises:
    """Mutable; ``check`` follows each event."""

    def __init__(self, fleet: Fleet, limits: FleetLimits) -> None:
        self._fleet, self._limits = fleet, limits
        self._asked: dict[RequestKey, Asked] = {}
        self._running: dict[AttemptId, actions.StartAttempt] = {}
        self.attendance = Attendance(limits)
        self._resumable: set[AttemptId] = set()
        self.arrived = self.attempts = self.refused = self.finished = 0
        self.handovers = self.relieved = self.climbed = self.restarted = 0
        self.failed: Counter[FailureCode] = Counter()
        self.late_s = 0.0  # the longest that the coordinator was ever late

    @property
    def open(self) -> int:
        return len(self._asked)

    def request(self, key: RequestKey) -> Request | None:
        """What was asked, until it has ended."""
        asked = self._asked.get(key)
        return asked.request if asked else None

    def check(self, event: Event, decided: list[Action], now_s: float) -> None:
        """Does what was ``decided`` on ``event`` keep every promise?"""
        if not self._take_in(event, decided, now_s):
            return
        for action in decided:
            self._take(action, now_s)
        if decided:
            self._check_starts(decided)
            self._check_stops(decided)
        if ended := self.attendance.take_ended():
            self._check_ended(ended)
        self._check_bounds()

    def check_empty(self, now_s: float) -> None:
        """All requests have ended: nothing is left of them."""
        fleet = self._fleet
        assert not self._asked, f"still open at {now_s:.1f} s: {next(iter(self._asked))}"
        assert (fleet.requests.running, fleet.requests.waiting) == (0, 0)
        assert not self._running, "an attempt outlived its request"
        for node in fleet.directory.nodes.values():
            assert not node.attempts, f"{node} still holds attempts"
            assert not any(replica.ours for replica in node.replicas.values())
        for kind, owner in fleet._timers._holding:
            assert kind not in OF_REQUESTS, f"a timer is left: {kind!r} of {owner}"

    # -- what goes in and out ----------------------------------------------------------------------

    def _take_in(self, event: Event, decided: list[Action], now_s: float) -> bool:
        """Take note of an event. False: nothing is to be checked."""
        match event:
            case events.NodeReported():
                self.attendance.heard(event, now_s)
                return bool(decided)  # else nothing has come in or gone out
            case events.TimePassed():
                self.attendance.time_told(now_s)
                return bool(decided)
            case events.AttemptProgressed():
                pass  # what comes of it is seen below
            case events.AttemptStarted():
                self._started(event)
            case events.RequestArrived():
                return self._arrive(event.request, decided)
            case events.AttemptRefused():
                if self._running.pop(event.attempt_id, None) is not None:
                    self.refused += 1
            case events.AttemptFinished():
                finished = self._running.pop(event.attempt_id, None)
                if finished is not None:  # if its request goes on all the same
                    self._asked[finished.key].climbs = True
            case events.AttemptFailed():
                self._running.pop(event.attempt_id, None)
            case _:
                self.attendance.note(event, now_s)
        return True

    def _arrive(self, request: Request, decided: list[Action]) -> bool:
        """Take in a request. False: its key is in use, so it is none."""
        if request.key not in self._asked:
            self.arrived += 1
            self._asked[request.key] = Asked(request, request.resumed_tokens)
            return True
        (only,) = [each for each in decided if not isinstance(each, actions.TellOperator)]
        assert isinstance(only, actions.FailRequest)
        assert only.failure.code is FailureCode.REQUEST_EXISTS
        return False

    def _take(self, action: Action, now_s: float) -> None:
        match action:
            case actions.SendDelta():
                self._delta(action)
            case actions.StartAttempt():
                self._start(action)
            case actions.SendStarted():
                asked = self._asked[action.key]
                assert asked.model_id is None, "an answer that was seen began again"
                asked.told = action.candidate.model_id
                asked.resumable = action.attempt_id in self._resumable
            case actions.SendRestarted():
                asked = self._asked[action.key]
                assert asked.request.accept_restart, "nobody said that it may"
                assert asked.model_id is not None, "there is nothing to take back"
                asked.model_id, asked.told, asked.resumable = None, None, False
                asked.tokens = asked.request.resumed_tokens
                self.restarted += 1
            case actions.SendMoved():
                asked = self._asked[action.key]
                assert asked.model_id == action.candidate.model_id, "another model goes on"
                assert action.token == asked.tokens
            case actions.CancelAttempt() | actions.EndDelivery():
                stopped = self._running.pop(action.attempt_id, None)
                if stopped is not None and isinstance(action, actions.CancelAttempt):
                    asked = self._asked[stopped.key]
                    asked.relieved = action.reason == RELIEVED
                    asked.climbs = action.reason == ESCALATED
            case actions.AdmitNode():
                self.attendance.admitted(action)
            case actions.CloseConnection():
                self.attendance.closed(action)
            case actions.FinishRequest() | actions.FailRequest():
                self._end(action, now_s)

    def _start(self, start: actions.StartAttempt) -> None:
        self.attempts += 1
        asked = self._asked[start.key]
        self._running[start.attempt_id] = start
        assert start.remaining_s > 0
        assert start.resumed_tokens == asked.tokens, "it would repeat or lose"
        if asked.model_id is not None:
            assert start.model_id == asked.model_id, "another model may not go on"
            assert asked.resumable, "nobody can go on with this answer"
            self.handovers += 1
        elif asked.relieved:
            self.relieved += 1
        elif asked.climbs:
            self.climbed += 1
            asked.rungs += 1
            assert asked.rungs <= MODELS_MAX, "it climbs for ever"
        if asked.model_id is None and not asked.climbs:
            asked.starts += 1
            assert asked.starts <= self._limits.attempts_max
        asked.relieved = asked.climbs = False
        retried = self.attempts - self.refused - self.handovers - self.relieved - self.climbed
        allowed = (1 + RATIO) * self.arrived + RESERVE + ROUNDING
        assert retried <= allowed, "more retries than the budget allows"

    def _started(self, event: events.AttemptStarted) -> None:
        if event.resumable:
            self._resumable.add(event.attempt_id)

    def _delta(self, action: actions.SendDelta) -> None:
        asked, tokens = self._asked[action.key], action.payload
        assert isinstance(tokens, Tokens)
        if asked.model_id is None:
            assert asked.told is not None, "tokens before the answer began"
            asked.model_id = asked.told
        count = len(tokens.ids)
        due = true_tokens(action.key, asked.model_id, asked.tokens, count)
        assert tokens.ids == due, f"token {asked.tokens} of {action.key} is lost or repeated"
        asked.tokens += count

    def _end(self, action: actions.FinishRequest | actions.FailRequest, now_s: float) -> None:
        asked = self._asked.pop(action.key)  # KeyError: it ended before
        over_s = now_s - asked.request.deadline_s
        assert over_s <= self.late_s + DEADLINE_SLACK_S, f"{over_s:.3f} s beyond its deadline"
        if isinstance(action, actions.FailRequest):
            self.failed[action.failure.code] += 1
            return
        model_id = asked.model_id or asked.told
        assert model_id is not None, "an answer ended that never began"
        assert asked.tokens == true_length(asked.request, model_id), "its end is missing"
        self.finished += 1

    # -- the fleet's state -------------------------------------------------------------------------

    def _check_starts(self, decided: list[Action]) -> None:
        """What was started may run there, unless it was stopped in the same breath."""
        for start in decided:
            if not isinstance(start, actions.StartAttempt) or start.attempt_id not in self._running:
                continue
            node_id = self.attendance.check(start)
            self._check_slots(start, node_id)

    def _check_stops(self, decided: list[Action]) -> None:
        """Nothing runs on for a request that has ended, and no more than may at one time."""
        for action in decided:
            match action:
                case actions.StartAttempt():
                    most = ATTEMPTS_AT_ONCE
                case actions.FinishRequest() | actions.FailRequest():
                    most = 0
                case _:
                    continue
            if (running := sum(each.key == action.key for each in self._running.values())) > most:
                raise AssertionError(f"{running} attempts run for {action.key}")

    def _check_slots(self, start: actions.StartAttempt, node_id: NodeId) -> None:
        """As the fleet counts and as we count, no node has more than it has slots for."""
        replica = self._fleet.directory.nodes[node_id].replicas[start.model_id]
        running = sum(
            each.connection_id == start.connection_id and each.model_id == start.model_id
            for each in self._running.values()
        )
        free = replica.status.slots - replica.others
        assert running <= replica.ours <= free, f"{running} run on {free} slots of {node_id}"

    def _check_ended(self, connection_ids: list[int]) -> None:
        """The fleet agrees about who is there, and nothing is left with who is not."""
        self.attendance.compare(self._fleet.directory)
        for start in self._running.values():
            assert start.connection_id not in connection_ids, (
                f"attempt {start.attempt_id} is left with a node that is gone"
            )

    def _check_bounds(self) -> None:
        fleet, limits = self._fleet, self._limits
        requests, nodes, asked = fleet.requests, len(fleet.directory.nodes), len(self._asked)
        waiting, running = requests.waiting, requests.running
        assert waiting <= limits.waiting_max
        assert nodes <= limits.nodes_max
        assert asked <= waiting + running, "who neither waits nor runs is stuck"
        assert running <= ATTEMPTS_AT_ONCE * asked, "attempts run that nobody waits for"
        held = TIMERS_OF_NODE_MAX * nodes + asked + 2 * running + 2  # the line, and the fleet
        assert len(fleet._timers) <= STALE_MIN + 2 * held, "timers pile up"
