"""Whatever happens, in whatever order: every promise of the fleet holds after every event.

A failure names its seed; ``History(seed).run(steps)`` replays it, and the seed stays here.
"""

from typing import get_args

import pytest

from mesh.core.actions import Action
from mesh.core.types import FailureCode
from tests.mesh.core.history import History

SEEDS = range(40)
SEEDS_THAT_FAILED: tuple[int, ...] = ()


@pytest.mark.parametrize("part", range(4))
def test_every_promise_holds_after_every_event(part: int) -> None:
    for seed in (*SEEDS, *SEEDS_THAT_FAILED)[part::4]:
        History(seed).run(200)


def test_a_history_is_the_same_for_the_same_seed() -> None:
    histories = [History(7), History(7)]
    for history in histories:
        history.run(300)
    assert [str(event) for event in histories[0].steps] == [
        str(event) for event in histories[1].steps
    ]


def test_a_history_comes_to_everything_a_fleet_can_do() -> None:
    """Else the promises above would hold for want of trying."""
    seen: set[str] = set()
    for seed in range(100, 125):
        history = History(seed)
        history.run(200)
        seen |= history.seen
    actions = {kind.__name__ for kind in get_args(Action)}
    codes = set(FailureCode) - {FailureCode.SUPERSEDED}  # said to nodes, never to clients
    assert seen == actions | codes


@pytest.mark.long
@pytest.mark.parametrize("part", range(20))
def test_every_promise_holds_through_long_histories(part: int) -> None:
    for seed in range(1000 + part, 2000, 20):
        History(seed).run(1000)
