"""The coordinator's edge and its loop around the real fleet.

The loop tells the fleet of events and of time, and carries out what it decides. It may stall: then
whatever arrives waits, and is heard late, in a burst, all at one time.
"""

from collections.abc import Iterable
from functools import partial

from mesh.core import actions, events
from mesh.core.actions import Action
from mesh.core.events import Event, TimePassed
from mesh.core.fleet import Fleet
from mesh.core.types import AttemptId, Failure, FailureCode
from mesh.sim.chaos.connection import Connection, Ended, Said
from mesh.sim.chaos.fate import Fate
from mesh.sim.chaos.promises import Promises
from mesh.sim.chaos.story import Story

BROKE_OFF = Failure(FailureCode.NODE_LOST, "its answer stream broke off")
HANDLER_ENDS_S = 0.005  # a stream's handler runs once more after its end, within this
WOKEN_MAX = 100  # times at one instant: a fleet that wants to be told again at once spins


class Coordinator:
    """Mutable. ``hear`` and ``wake`` are its steps."""

    def __init__(self, fleet: Fleet, promises: Promises, story: Story, fate: Fate) -> None:
        self.fleet = fleet
        self._promises, self._story = promises, story
        self._fate, self._rng = fate, fate.rng
        self._connections: dict[int, Connection] = {}
        self._opening: dict[AttemptId, Connection] = {}  # answer streams not yet accepted
        self._deliveries: dict[AttemptId, Connection] = {}  # accepted, and not at their end
        self._stalled_until_s = self._away_s = 0.0
        self._backlog: list[Event] = []
        self._woken = 0
        self.handled = 0

    def add(self, connection: Connection) -> None:
        self._connections[connection.connection_id] = connection

    def stall(self, seconds: float, now_s: float) -> None:
        """Do nothing for so long; one stall does not lengthen another."""
        if now_s > self._stalled_until_s:
            self._stalled_until_s = now_s + seconds
            self._away_s = seconds

    @property
    def next_due_s(self) -> float | None:
        """When ``wake`` is called for; None: never."""
        if self._backlog:
            return self._stalled_until_s
        due_s = self.fleet.next_due_s
        return None if due_s is None else max(due_s, self._stalled_until_s)

    def wake(self, now_s: float) -> None:
        """Time has come. After a stall the loop may look at its clock first, or at its streams."""
        if now_s < self._stalled_until_s:
            return  # it has stalled since it was called for
        if self._away_s:
            self._promises.attendance.excuse(self._away_s, now_s)
            self._away_s = 0.0
        late, self._backlog = self._backlog, []
        looks_first = not late or self._rng.random() < 0.5
        if looks_first:
            self._tell(TimePassed(), now_s)
        for event in late:
            self._tell(event, now_s)
        due_s = self.fleet.next_due_s
        self._woken = self._woken + 1 if due_s is not None and due_s <= now_s else 0
        assert self._woken < WOKEN_MAX, "the fleet wants to be told of time again and again"

    def hear(self, event: Event, now_s: float) -> None:
        """Something happened."""
        if self._backlog or now_s < self._stalled_until_s:
            self._backlog.append(event)
        else:
            self._tell(event, now_s)

    def arrived(self, connection: Connection, said: Said, now_s: float) -> Iterable[Event]:
        """A machine said something; return what the fleet is to hear of it."""
        match said:
            case events.NodeReported():
                pass  # the most of all
            case Ended():
                connection.open_above = False
                return self._closed(connection, "connection reset by peer", now_s)
            case events.DeliveryOpened():
                self._opening[said.attempt_id] = connection
            case events.AttemptFinished() | events.AttemptFailed():
                self._deliveries.pop(said.attempt_id, None)
        return (said,)

    # -- below -------------------------------------------------------------------------------------

    def _tell(self, event: Event, now_s: float) -> None:
        self.handled += 1
        decided = self.fleet.handle(event, now_s)
        if decided:
            for action in decided:
                self._carry_out(action, now_s)
        self._story.tell(event, decided, now_s)
        self._promises.check(event, decided, now_s)

    def _carry_out(self, action: Action, now_s: float) -> None:
        match action:
            case actions.StartAttempt() | actions.AdmitNode():
                if (to := self._connections.get(action.connection_id)) is not None:
                    to.tell(action, now_s)  # else its end is an event under way
            case actions.AcceptDelivery():
                self._accept(action.attempt_id, now_s)
            case actions.RejectDelivery():
                connection = self._opening.pop(action.attempt_id, None)
                if connection is not None:
                    connection.tell(actions.EndDelivery(action.attempt_id), now_s)
            case actions.CancelAttempt():
                connection = self._deliveries.pop(action.attempt_id, None)
                if connection is not None:
                    connection.tell(actions.EndDelivery(action.attempt_id), now_s)
                elif (connection := self._connections.get(action.connection_id)) is not None:
                    connection.tell(action, now_s)
            case actions.EndDelivery():
                connection = self._deliveries.pop(action.attempt_id, None)
                if connection is not None:
                    connection.tell(action, now_s)
            case actions.CloseConnection():
                connection = self._connections.get(action.connection_id)
                if connection is not None and connection.open_above:
                    connection.close_above(action, now_s)
                    at_s = now_s + self._rng.random() * HANDLER_ENDS_S
                    reason = "its connection ended"
                    self._fate.at(at_s, partial(self._closed, connection, reason))

    def _accept(self, attempt_id: AttemptId, now_s: float) -> None:
        connection = self._opening.pop(attempt_id)
        if connection.open_above:
            self._deliveries[attempt_id] = connection
            return
        failed = events.AttemptFailed(attempt_id, BROKE_OFF)
        self._fate.at(now_s + HANDLER_ENDS_S, lambda _: (failed,))

    def _closed(self, connection: Connection, reason: str, now_s: float) -> Iterable[Event]:
        """All streams of a connection end with it, in any order."""
        del self._connections[connection.connection_id]
        cut = [each for each, by in self._deliveries.items() if by is connection]
        ended: list[Event] = []
        for attempt_id in cut:
            del self._deliveries[attempt_id]
            ended.append(events.AttemptFailed(attempt_id, BROKE_OFF))
        connection_id, node_id = connection.connection_id, connection.node_id
        ended.append(events.ConnectionLost(connection_id, node_id, reason))
        self._rng.shuffle(ended)
        return ended
