"""What is told of a model that is not in memory changes when something lasts, and not before."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from node_agent.foreseen import HOLD_S, LOOK_EVERY_S, RENEW_EVERY_S, Foreseen, Renewal, Seen

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


def renewals(renewal: Renewal, looks: Iterable[tuple[float, int, float]]) -> list[float]:
    """Return when it is to leave; each look has a time, what it could have, and its last use."""
    return [
        now_s
        for now_s, could, used_s in looks
        if renewal.seen(has_tokens=8_192, could_tokens=could, used_s=used_s, now_s=now_s)
    ]


def test_a_warm_model_leaves_for_twice_the_context_that_stays_possible() -> None:
    looks = [float(second) for second in range(0, 100, 10)]
    assert renewals(Renewal(), ((at, 16_384, 0.0) for at in looks)) == [HOLD_S]
    assert not renewals(Renewal(), ((at, 16_383, 0.0) for at in looks))
    assert not renewals(Renewal(), ((at, 32_768 * (at % 30 != 0), 0.0) for at in looks))
    assert not renewals(Renewal(), ((at, 16_384, at) for at in looks)), "it is used all the time"


def test_it_leaves_for_that_seldom() -> None:
    left = renewals(Renewal(), ((float(at), 16_384, 0.0) for at in range(0, 1_500, 10)))
    assert [later - sooner for sooner, later in pairwise(left)] == [RENEW_EVERY_S] * 2
