"""A fleet that breaks a promise is found out, whichever promise it is."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from mesh.core import actions
from mesh.core.actions import Action
from mesh.core.events import Event, NodeDrained, NodeLeft
from mesh.core.fleet import Fleet
from mesh.core.limits import FleetLimits
from mesh.sim.chaos.trial import Broken, Setting, Trial

BRIEF = Setting(seconds=200.0)
Lie = Callable[[Random, list[Action]], list[Action]]


class Liar(Fleet):
    """The real fleet, but for what it says."""

    def __init__(self, limits: FleetLimits, rng: Random, lie: Lie) -> None:
        super().__init__(limits, rng)
        self._lie, self._rng = lie, Random(1)

    def handle(self, event: Event, now_s: float) -> list[Action]:
        return self._lie(self._rng, super().handle(event, now_s))


class Deaf(Fleet):
    """The real fleet, but it does not hear what nodes say of their going."""

    def __init__(self, limits: FleetLimits, rng: Random, kind: type[Event]) -> None:
        super().__init__(limits, rng)
        self._kind = kind

    def handle(self, event: Event, now_s: float) -> list[Action]:
        return [] if isinstance(event, self._kind) else super().handle(event, now_s)


def trusting(limits: FleetLimits, rng: Random) -> Fleet:
    """The real fleet, but for its patience: it suspects nobody."""
    return Fleet(replace(limits, suspect_after_s=1e6, lost_after_s=2e6), rng)


def doubled(kind: type[Action]) -> Lie:
    return lambda rng, decided: [
        each
        for action in decided
        for each in ([action, action] if isinstance(action, kind) else [action])
    ]


def left_out(kind: type[Action], share: float) -> Lie:
    return lambda rng, decided: [
        action for action in decided if not (isinstance(action, kind) and rng.random() < share)
    ]


def from_the_start(rng: Random, decided: list[Action]) -> list[Action]:
    """Tell whoever goes on with an answer nothing of what was given."""
    for action in decided:
        if isinstance(action, actions.StartAttempt):
            object.__setattr__(action, "resumed_tokens", 0)
    return decided


@pytest.mark.parametrize(
    ("lie", "found"),
    [
        (doubled(actions.SendDelta), "is lost or repeated"),
        (left_out(actions.SendDelta, 0.01), "is lost or repeated|its end is missing"),
        (doubled(actions.FinishRequest), "KeyError"),
        (doubled(actions.FailRequest), "KeyError"),
        (left_out(actions.FinishRequest, 0.02), "who neither waits nor runs is stuck"),
        (doubled(actions.StartAttempt), "more retries than the budget allows"),
        (from_the_start, "it would repeat or lose"),
        (left_out(actions.CancelAttempt, 0.2), "attempts run for"),
    ],
)
def test_a_fleet_that_says_the_wrong_thing_is_found_out(lie: Lie, found: str) -> None:
    with pytest.raises(Broken, match=found):
        Trial(1, BRIEF, lambda limits, rng: Liar(limits, rng, lie)).play()


@pytest.mark.parametrize(
    ("new_fleet", "found"),
    [
        (trusting, "is silent for"),
        (lambda limits, rng: Deaf(limits, rng, NodeLeft), "is gone: it said goodbye"),
        (lambda limits, rng: Deaf(limits, rng, NodeDrained), "is drained"),
    ],
)
def test_a_fleet_that_is_wrong_about_its_nodes_is_found_out(
    new_fleet: Callable[[FleetLimits, Random], Fleet], found: str
) -> None:
    def play_some() -> None:  # what it believes wrongly must matter to some request
        for seed in range(8):
            Trial(seed, BRIEF, new_fleet).play()

    with pytest.raises(Broken, match=found):
        play_some()


def test_a_failure_tells_its_seed_and_how_to_see_it_again() -> None:
    lie = doubled(actions.SendDelta)
    with pytest.raises(Broken) as broken:
        Trial(1, BRIEF, lambda limits, rng: Liar(limits, rng, lie)).play()
    told = str(broken.value)
    assert told.startswith("seed 1 at ")
    assert "python -m bench.replay --seed 1\n" in told
    assert told.splitlines()[-1].lstrip().startswith("-> SendDelta(")
