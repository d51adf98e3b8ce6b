"""What is told of a model that is not in memory changes when something lasts, and not before."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from node_agent.foreseen import HOLD_S, LOOK_EVERY_S, Foreseen, Seen

LONG, SHORT = Seen(32_768), Seen(8_192)
NONE = Seen(32_768, "it needs 9 GB of memory")


def test_a_moment_changes_nothing() -> None:
    foreseen = Foreseen(LONG)
    assert not foreseen.seen(SHORT, 0.0)
    assert foreseen.wavers
    assert not foreseen.seen(LONG, LOOK_EVERY_S)
    assert not foreseen.wavers
    assert not foreseen.seen(SHORT, HOLD_S + 1), "it is counted from the last change on"
    assert foreseen.told == LONG


def test_what_lasts_is_told_once() -> None:
    foreseen = Foreseen(LONG)
    assert not foreseen.seen(SHORT, 0.0)
    assert not foreseen.seen(SHORT, HOLD_S - 1)
    assert foreseen.seen(SHORT, HOLD_S)
    assert foreseen.told == SHORT
    assert not foreseen.seen(SHORT, HOLD_S + 10)


def test_another_difference_begins_anew() -> None:
    foreseen = Foreseen(LONG)
    foreseen.seen(SHORT, 0.0)
    assert not foreseen.seen(NONE, HOLD_S)
    assert foreseen.seen(NONE, 2 * HOLD_S)
    assert foreseen.told.lacks


@given(st.lists(st.sampled_from([LONG, SHORT, NONE]), max_size=60))
def test_however_memory_comes_and_goes_changes_are_rarer_than_the_hold(looks: list[Seen]) -> None:
    foreseen = Foreseen(LONG)
    changes = [
        number * LOOK_EVERY_S
        for number, look in enumerate(looks)
        if foreseen.seen(look, number * LOOK_EVERY_S)
    ]
    assert all(later - earlier >= HOLD_S for earlier, later in pairwise(changes))
