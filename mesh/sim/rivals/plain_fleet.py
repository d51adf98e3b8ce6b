"""A fleet in which only the pick is somebody else's.

It does for a rival what ``mesh.core.fleet`` does for our routing, and no more: it hears the same
events, starts attempts on machines that have a free slot only, counts what it gave out at once and
not with the next report, and lets others wait in one line, first come, first served. One model.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from mesh.core import events
from mesh.core.actions import Action, AdmitNode, FinishRequest, SendDelta, StartAttempt
from mesh.core.events import Event
from mesh.core.receipt import Receipt
from mesh.core.types import (
    AttemptId,
    Epoch,
    Load,
    ModelId,
    NodeId,
    ReplicaState,
    ReplicaStatus,
    Request,
)


@dataclass(slots=True, eq=False)
class View:
    """One machine as its reports show it. Mutable; only the fleet changes it."""

    number: int
    node_id: NodeId
    connection_id: int
    memory_bytes: int
    model_id: ModelId
    model_bytes: int
    status: ReplicaStatus
    load: Load
    in_flight: int = 0
    refused: bool = False  # since its last report
    durations_s: deque[float] = field(default_factory=lambda: deque(maxlen=64))  # of its answers
    line: deque[Request] = field(default_factory=deque)  # who waits for this machine and no other

    @property
    def free(self) -> bool:
        return self.in_flight < self.status.slots and not self.refused

    @property
    def warm(self) -> bool:
        return self.status.state is ReplicaState.WARM


class Pick(Protocol):
    """Chooses a machine. It hears of every change of every view."""

    def changed(self, view: View) -> None:
        """Take note: slots, reports or answers of ``view`` are not what they were."""

    def reported(self, view: View) -> None:
        """Take note of a report, before ``changed``."""

    def pick(self, request: Request) -> View | None:
        """Return a machine: a free one, or a full one to wait for. None: wait for any."""


@dataclass(slots=True)
class _Running:
    request: Request
    view: View
    began_s: float


class PlainFleet:
    """Decides where requests go by a rival's pick."""

    next_due_s: float | None = None  # it needs no time of its own

    def __init__(self, pick: Pick) -> None:
        self._pick = pick
        self.views: dict[NodeId, View] = {}
        self._running: dict[AttemptId, _Running] = {}
        self._line: deque[Request] = deque()
        self._attempts = 0

    @property
    def waiting(self) -> int:
        return len(self._line)

    def handle(self, event: Event, now_s: float) -> list[Action]:
        match event:
            case events.AttemptProgressed():
                running = self._running.get(event.attempt_id)
                return [SendDelta(running.request.key, None)] if running else []
            case events.NodeReported():
                return self._reported(event, now_s)
            case events.RequestArrived():
                self._line.append(event.request)
                return self._serve(now_s)
            case events.AttemptFinished():
                return self._finished(event, now_s)
            case events.AttemptRefused():
                running = self._running.pop(event.attempt_id)
                running.view.in_flight -= 1
                running.view.refused = True
                self._pick.changed(running.view)
                self._line.appendleft(running.request)
                return self._serve(now_s)
            case events.NodeAttached():
                return self._attached(event, now_s)
        return []

    def _attached(self, event: events.NodeAttached, now_s: float) -> list[Action]:
        ((model_id, status),) = event.statuses
        view = View(
            number=len(self.views),
            node_id=event.node_id,
            connection_id=event.connection_id,
            memory_bytes=event.machine.memory_bytes,
            model_id=model_id,
            model_bytes=event.offers[0].model.size_bytes,
            status=status,
            load=event.load,
        )
        self.views[event.node_id] = view
        self._pick.reported(view)
        self._pick.changed(view)
        return [AdmitNode(event.connection_id, event.node_id, Epoch(1)), *self._serve(now_s)]

    def _reported(self, event: events.NodeReported, now_s: float) -> list[Action]:
        view = self.views[event.node_id]
        view.load, view.refused = event.load, False
        for _, status in event.statuses:
            view.status = status
        self._pick.reported(view)
        begun = self._begin(view, now_s)
        return [*begun, *self._serve(now_s)]

    def _finished(self, event: events.AttemptFinished, now_s: float) -> list[Action]:
        running = self._running.pop(event.attempt_id)
        view = running.view
        view.in_flight -= 1
        view.durations_s.append(now_s - running.began_s)
        begun = self._begin(view, now_s)
        request = running.request
        receipt = Receipt(
            key=request.key,
            asked_model=request.model,
            tier=request.tier,
            policy=request.policy,
            attempts=(),
            candidates=(),
            ruled_out=(),
            why="",
            queued_s=0.0,
            first_token_s=0.0,
            total_s=0.0,
            tokens_per_s=0.0,
            test_model=False,
        )
        return [FinishRequest(request.key, receipt, None), *begun, *self._serve(now_s)]

    def _serve(self, now_s: float) -> list[Action]:
        """Begin what can begin, in order of arrival."""
        actions: list[Action] = []
        while self._line and (view := self._pick.pick(self._line[0])) is not None:
            view.line.append(self._line.popleft())
            actions += self._begin(view, now_s)
        return actions

    def _begin(self, view: View, now_s: float) -> list[Action]:
        """Begin what waits for this machine, as far as it is free."""
        actions: list[Action] = []
        while view.line and view.free:
            request = view.line.popleft()
            self._attempts += 1
            attempt_id = AttemptId(self._attempts)
            view.in_flight += 1
            self._running[attempt_id] = _Running(request, view, now_s)
            start = StartAttempt(
                attempt_id,
                view.connection_id,
                Epoch(1),
                request.key,
                view.model_id,
                request.deadline_s - now_s,
            )
            actions.append(start)
        self._pick.changed(view)
        return actions
