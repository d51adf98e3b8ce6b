"""A played machine keeps its slots, loads its model, and tells tokens in order."""

from collections.abc import Callable
from random import Random

import pytest

from mesh.core import actions, events
from mesh.core.actions import Action
from mesh.core.events import Event
from mesh.core.types import AttemptId, Epoch, ModelId, ReplicaState
from mesh.sim.profiles import KINDS, Desk
from mesh.sim.serving import fleets
from mesh.sim.serving.arrivals import Ask, poisson
from mesh.sim.serving.lengths import HABITS, draw
from mesh.sim.serving.world import ServingWorld

Answer = Callable[[Event], list[Action]]


class Scripted:
    """Stands where the fleet does: remembers what it heard, and says what a test wants."""

    next_due_s = None

    def __init__(self, answer: Answer = lambda event: []) -> None:
        self.heard: list[tuple[float, Event]] = []
        self._answer = answer

    def handle(self, event: Event, now_s: float) -> list[Action]:
        self.heard.append((now_s, event))
        if isinstance(event, events.NodeAttached):
            return [actions.AdmitNode(event.connection_id, event.node_id, Epoch(1))]
        return self._answer(event)

    def of(self, kind: type) -> list[Event]:
        return [event for _, event in self.heard if isinstance(event, kind)]


def asks(count: int) -> list[Ask]:
    drawn = poisson(fleets.MODEL_NAME, per_s=1.0, from_s=2.0, until_s=500.0, rng=Random(1))
    return drawn[:count]


def all_to_the_first(event: Event) -> list[Action]:
    if not isinstance(event, events.RequestArrived):
        return []
    key = event.request.key
    number = AttemptId(int(key.request_id[1:]) + 1)
    return [actions.StartAttempt(number, 1, Epoch(1), key, ModelId("m"), 60.0)]


def cold(made: tuple[Desk, ...]) -> tuple[Desk, ...]:
    return tuple(desk for desk in made if not desk.held[0].warm_at_first)


def test_it_refuses_what_is_more_than_its_slots() -> None:
    made = fleets.equal(1, Random(1))
    slots = made[0].kind.slots
    asked = [Ask(2.0, each.request, 5000, 500) for each in asks(slots + 1)]
    fleet = Scripted(all_to_the_first)
    world = ServingWorld(made, asked, Random(1))
    world.play(fleet, 4.0)
    assert len(fleet.of(events.AttemptRefused)) == 1
    assert len(fleet.of(events.AttemptStarted)) == slots


def test_a_cold_model_is_loaded_for_the_first_and_once() -> None:
    made = cold(fleets.unequal(60, Random(1)))[:1]
    held = made[0].held[0]
    asked = [Ask(2.0, each.request, 50, 5) for each in asks(1)]
    fleet = Scripted(all_to_the_first)
    world = ServingWorld(made, asked, Random(1))
    world.play(fleet, 300.0)
    opened, started = (
        next(at_s for at_s, event in fleet.heard if isinstance(event, kind))
        for kind in (events.DeliveryOpened, events.AttemptStarted)
    )
    assert started - opened == pytest.approx(held.load_s, abs=0.05)
    told = [
        status.state
        for event in fleet.of(events.NodeReported)
        if isinstance(event, events.NodeReported)
        for _, status in event.statuses
    ]
    assert told[:2] == [ReplicaState.LOADING, ReplicaState.WARM]


def test_every_token_is_told_once_and_in_order() -> None:
    asked = asks(20)
    fleet = Scripted(all_to_the_first)
    world = ServingWorld(fleets.equal(1, Random(1)), asked, Random(1))
    world.play(fleet, 300.0)
    told: dict[AttemptId, int] = {}
    finished = 0
    for event in [event for _, event in fleet.heard]:
        if isinstance(event, events.AttemptProgressed):
            assert event.token_offset == told.get(event.attempt_id, 0)
            told[event.attempt_id] = event.token_offset + event.token_count
        if isinstance(event, events.AttemptFinished):
            finished += 1
            assert told[event.attempt_id] == event.usage.completion_tokens
    assert finished > 5


def test_a_cancelled_attempt_leaves_its_slot_and_says_no_more() -> None:
    (ask,) = asks(1)

    def start_and_stop(event: Event) -> list[Action]:
        if isinstance(event, events.AttemptProgressed):
            return [actions.CancelAttempt(event.attempt_id, 1, Epoch(1), "the client left")]
        return all_to_the_first(event)

    asked = [Ask(2.0, ask.request, 100, 5000)]
    fleet = Scripted(start_and_stop)
    world = ServingWorld(fleets.equal(1, Random(1)), asked, Random(1))
    world.play(fleet, 30.0)
    assert len(fleet.of(events.AttemptProgressed)) == 1
    assert not fleet.of(events.AttemptFinished)
    (machine,) = world.machines.values()
    assert machine.slots_free == machine.held.warm.slots


def test_the_same_shares_of_kinds_stand_in_a_mesh_of_any_size() -> None:
    for count in (1, 7, 50, 1000):
        apportioned = {kind.name: share for kind, share in fleets.apportioned(count)}
        assert sum(apportioned.values()) == count
        for kind in KINDS:
            assert abs(apportioned[kind.name] - count * kind.share) < 1
    assert sum(kind.share for kind in KINDS) == pytest.approx(1.0)


def test_lengths_have_the_medians_that_their_habits_say_and_fit_the_context() -> None:
    rng = Random(1)
    for habit in HABITS:
        drawn = sorted((draw(habit, rng) for _ in range(4000)), key=lambda each: each.prompt_tokens)
        assert drawn[2000].prompt_tokens == pytest.approx(habit.prompt_tokens, rel=0.1)
        assert all(1 <= each.output_tokens <= habit.tokens_max for each in drawn)
        assert all(each.prompt_tokens + habit.tokens_max <= 8192 for each in drawn)
