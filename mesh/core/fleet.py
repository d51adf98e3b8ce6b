"""The heart: ``Fleet.handle(event, now_s) -> list[Action]`` decides everything a coordinator does.

Rules:

1. Only ``handle`` changes the fleet, and only its one owner calls it. It never waits.
2. Time is what the caller says; it never runs backwards (monotonic seconds). Where it jumps, the
   caller was away, and no node is blamed for that (``mesh.core.doubt``).
3. A request ends exactly once: by ``FinishRequest`` or by ``FailRequest``. One that comes with a
   key in use is no request of its own: its ``FailRequest`` says ``REQUEST_EXISTS`` and nothing
   else does, so that the edge can tell whose it is.
4. A node is heard only in its current epoch; each attach is a new one. An attempt is heard only
   while it is its request's current attempt.
5. Before its first token a request moves to another node at once, so ``SendStarted`` may come
   again. After it, another node goes on with the answer from the very next token, if the edge
   holds what it needs (``mesh.core.given``); else the request fails with ``ANSWER_LOST``. No token
   is lost, none comes twice.

A request's life::

    RequestArrived -> [waiting] -> running -> DeliveryOpened -> AttemptStarted
                          ^           |            -> AttemptProgressed* -> AttemptFinished
                          +-----------+ refused, failed, lost, or at a standstill

``Arrivals`` and ``Membership`` (who comes, who is there) and ``Requests`` (what is asked) hold the
two halves of the state.
"""

from itertools import islice
from random import Random

from mesh.core import events
from mesh.core.actions import Action
from mesh.core.arrivals import Arrivals
from mesh.core.directory import Directory
from mesh.core.doubt import Doubt
from mesh.core.events import Event
from mesh.core.limits import FleetLimits
from mesh.core.membership import Membership
from mesh.core.requests import Requests
from mesh.core.timers import BLAMING, Due, Timers
from mesh.core.trust import Trust
from mesh.core.types import AttemptId, NodeId, RequestKey


class Fleet:
    """All nodes and requests of one coordinator."""

    def __init__(self, limits: FleetLimits, rng: Random) -> None:
        self._timers = Timers()
        self._doubt = Doubt(self._timers)
        self.directory = Directory()
        trust = Trust(self.directory, self._timers)
        self.requests = Requests(limits, trust, rng)
        self.arrivals = Arrivals(limits, trust, self._doubt, self.requests)
        self.membership = Membership(limits, trust, self._doubt, self.requests)

    def __repr__(self) -> str:
        nodes = self.directory.nodes
        shown = [
            f"{node.name}:{node.state}/{len(node.attempts)}"
            for node in islice(nodes.values(), 8)  # a line, however large the mesh
        ]
        states = " ".join(shown) + (f" of {len(nodes)}" if len(nodes) > 8 else "")
        return f"<Fleet {states or 'no nodes'}; {self.requests!r}>"

    @property
    def next_due_s(self) -> float | None:
        """Before this ``TimePassed`` changes nothing, on the caller's clock; None: never."""
        return self._timers.next_due_s

    def handle(self, event: Event, now_s: float) -> list[Action]:
        """Take in one event and say what must be done.

        Events of the past (an old epoch, an ended attempt) are expected and change nothing.
        """
        told = self._was_away(now_s) if now_s > self._doubt.late_from_s else []
        actions = told + self._decide(event, now_s)
        for node_id in self.directory.take_pardoned():
            actions += self.requests.slots_freed(node_id, now_s)
        return actions

    def _decide(self, event: Event, now_s: float) -> list[Action]:  # noqa: PLR0912 - one arm each
        members, requests = self.membership, self.requests
        match event:  # the most frequent first
            case events.AttemptProgressed():
                return requests.progressed(event, now_s)
            case events.NodeReported():
                return members.reported(event, now_s)
            case events.RequestArrived():
                return requests.arrived(event.request, now_s)
            case events.DeliveryOpened():
                return requests.delivery_opened(event, now_s)
            case events.AttemptStarted():
                return requests.started(event, now_s)
            case events.AttemptFinished():
                return requests.finished(event, now_s)
            case events.AttemptFailed():
                return requests.attempt_failed(event, now_s)
            case events.AttemptRefused():
                return requests.refused(event, now_s)
            case events.RequestCancelled():
                return requests.cancelled(event, now_s)
            case events.RoundTripMeasured():
                return members.measured(event)
            case events.NodeAttached():
                return self.arrivals.attached(event, now_s)
            case events.InventoryReported():
                return members.inventory(event, now_s)
            case events.NodeLeft():
                return members.left(event, now_s)
            case events.NodeDrained():
                return members.drained(event, now_s)
            case events.ConnectionLost():
                return members.connection_lost(event, now_s)
            case events.AttemptCharged():
                return requests.charged(event)
            case events.CloudOffered():
                return requests.cloud_offered(event)
            case events.LadderConfigured():
                return requests.ladder_configured(event)
            case events.AnswersJudged():
                return requests.answers_judged(event, now_s)
            case events.CoordinatorReturned():
                return requests.coordinator_returned(event)
            case events.TimePassed():
                return self._time_passed(now_s)

    def _was_away(self, now_s: float) -> list[Action]:
        """We did not listen for a while: no node is to blame for what was not heard."""
        away_s = self._doubt.woke(now_s)
        self._timers.postpone(BLAMING, away_s)
        self.membership.excuse(away_s, now_s)
        self.requests.excuse(away_s, now_s)
        return self._doubt.tell(away_s, now_s)

    def _time_passed(self, now_s: float) -> list[Action]:
        due = []
        while (each := self._timers.pop_due(now_s)) is not None:
            due.append(each)
        silent = [NodeId(str(owner)) for kind, owner in due if kind is Due.SILENCE]
        actions = self.membership.silences(silent, now_s)
        for kind, owner in due:
            match kind:
                case Due.SILENCE:
                    pass  # judged above, all together
                case Due.DEADLINE:
                    assert isinstance(owner, RequestKey)
                    actions += self.requests.deadline_passed(owner, now_s)
                case Due.DELIVERY:
                    assert isinstance(owner, int)
                    actions += self.requests.delivery_overdue(AttemptId(owner), now_s)
                case Due.STANDSTILL:
                    assert isinstance(owner, int)
                    actions += self.requests.standstill_due(AttemptId(owner), now_s)
                case Due.LINE:
                    actions += self.requests.line_checked(now_s)
                case Due.EJECTION:
                    actions += self.membership.ejection_over(NodeId(str(owner)), now_s)
                case Due.PULSE:
                    self.membership.felt_pulse(now_s)
        return actions
