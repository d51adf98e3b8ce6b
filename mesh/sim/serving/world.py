"""Machines and askers around whatever decides: our ``Fleet``, or a rival that picks otherwise.

The same code drives all of them, with the same arrivals: events go in, actions come out, and what a
client sees is noted from the actions alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from mesh.core import actions, events
from mesh.core.actions import Action
from mesh.core.events import Event
from mesh.core.types import AttemptId, NodeId, RequestKey
from mesh.sim.profiles import Desk
from mesh.sim.serving.arrivals import Ask
from mesh.sim.serving.machine import Machine
from mesh.sim.timeline import Timeline

ATTACH_WITHIN_S = 1.0


class Decider(Protocol):
    """What stands in the middle."""

    @property
    def next_due_s(self) -> float | None: ...

    def handle(self, event: Event, now_s: float) -> list[Action]: ...


@dataclass(slots=True)
class Outcome:
    """What a client saw of its request. Seconds on the world's clock."""

    ask: Ask
    began_s: float | None = None  # when it left the line
    first_s: float | None = None
    last_s: float | None = None
    failed: str = ""
    node_id: NodeId | None = None  # that was given it last

    @property
    def answered(self) -> bool:
        return self.last_s is not None and not self.failed


class ServingWorld:
    """The same desks, asks and actions make the same events."""

    def __init__(self, desks: Sequence[Desk], asks: Sequence[Ask], rng: Random) -> None:
        self._timeline = Timeline()
        self._asks = iter(asks)
        self.now_s = 0.0
        self.open = 0  # asked and not ended
        self.asking = True  # more will come
        self.handled = 0  # events
        self.machines: dict[NodeId, Machine] = {}
        self._by_connection: dict[int, Machine] = {}
        self._attempts: dict[AttemptId, Machine] = {}
        self.outcomes: dict[RequestKey, Outcome] = {}
        for number, desk in enumerate(desks, 1):
            machine = Machine(desk, number, self._timeline, rng)
            self.machines[desk.node_id] = machine
            self._by_connection[number] = machine
            self._timeline.at(rng.random() * ATTACH_WITHIN_S, machine.attach)
        self._next_ask()

    def play(self, decider: Decider, until_s: float) -> bool:
        """Play until ``until_s``; False once all that was asked has ended."""
        while self.asking or self.open:
            own_s, decider_s = self._timeline.next_due_s, decider.next_due_s
            assert own_s is not None, "machines beat for ever"
            due_s = own_s if decider_s is None else min(own_s, max(decider_s, self.now_s))
            if due_s > until_s:
                return True
            self.now_s = due_s
            if decider_s is not None and decider_s <= due_s:
                self._happen(decider, events.TimePassed())
            for event in self._timeline.pop_due(due_s):
                self._happen(decider, event)
        return False

    def _happen(self, decider: Decider, event: Event) -> None:
        self.handled += 1
        for action in decider.handle(event, self.now_s):
            self._carry_out(action)

    def _next_ask(self) -> None:
        ask = next(self._asks, None)
        if ask is None:
            self.asking = False
        else:
            self._timeline.at(ask.at_s, lambda _: self._ask(ask))

    def _ask(self, ask: Ask) -> Iterable[Event]:
        self._next_ask()
        self.outcomes[ask.request.key] = Outcome(ask)
        self.open += 1
        yield events.RequestArrived(ask.request)

    def _carry_out(self, action: Action) -> None:
        match action:
            case actions.SendDelta():
                outcome = self.outcomes[action.key]
                if outcome.first_s is None:
                    outcome.first_s = self.now_s
            case actions.StartAttempt():
                machine = self._by_connection[action.connection_id]
                self._attempts[action.attempt_id] = machine
                outcome = self.outcomes[action.key]
                outcome.node_id = machine.desk.node_id
                if outcome.began_s is None:
                    outcome.began_s = self.now_s
                machine.told_to_start(action, outcome.ask, self.now_s)
            case actions.FinishRequest():
                self._end(action.key)
            case actions.FailRequest():
                self._end(action.key).failed = action.failure.message
            case actions.AdmitNode():
                self.machines[action.node_id].admitted(action, self.now_s)
            case actions.CancelAttempt() | actions.EndDelivery() | actions.RejectDelivery():
                self._attempts[action.attempt_id].told_to_stop(action.attempt_id, self.now_s)

    def _end(self, key: RequestKey) -> Outcome:
        self.open -= 1
        outcome = self.outcomes[key]
        outcome.last_s = self.now_s
        return outcome
