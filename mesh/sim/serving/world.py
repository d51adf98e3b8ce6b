"""Machines and askers around whatever decides: our ``Fleet``, or a rival that picks otherwise.

The same code drives all of them, with the same arrivals: events go in, actions come out, and what a
client sees is noted from the actions alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
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
    def first_token_s(self) -> float:
        assert self.first_s is not None
        return self.first_s - self.ask.at_s

    @property
    def waited_s(self) -> float:
        """In the line, for a free slot."""
        assert self.began_s is not None
        return self.began_s - self.ask.at_s

    @property
    def completion_s(self) -> float:
        assert self.last_s is not None
        return self.last_s - self.ask.at_s


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
            due_s = self._next(decider)
            if due_s > until_s:
                return True
            self.now_s = due_s
            for event in chain(_timed(decider, due_s), self._timeline.pop_due(due_s)):
                self.handled += 1
                for action in decider.handle(event, due_s):
                    self._carry_out(action)
        return False

    def _next(self, decider: Decider) -> float:
        due = [each for each in (self._timeline.next_due_s, decider.next_due_s) if each is not None]
        return min(due)

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


def _timed(decider: Decider, now_s: float) -> Iterable[Event]:
    if decider.next_due_s is not None and decider.next_due_s <= now_s:
        yield events.TimePassed()


def answered(outcomes: Mapping[RequestKey, Outcome], from_s: float) -> list[Outcome]:
    """Return those asked since ``from_s`` that were answered to the end."""
    return [
        each
        for each in outcomes.values()
        if each.ask.at_s >= from_s and each.last_s is not None and not each.failed
    ]
