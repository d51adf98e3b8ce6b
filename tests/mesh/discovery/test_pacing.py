"""Adverts change six times a minute at most, and the newest wins."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.discovery.pacing import GAP_S, Pacer

UNTIMED = settings(deadline=None, max_examples=30)  # busy machines are slow at random


def test_nothing_is_due_until_something_changes() -> None:
    pacer = Pacer("a", now_s=0.0)
    pacer.offer("a")
    assert pacer.wait_s(1000.0) is None
    assert pacer.take(1000.0) is None


def test_a_change_after_a_quiet_time_is_due_at_once() -> None:
    pacer = Pacer("a", now_s=0.0)
    pacer.offer("b")
    assert pacer.wait_s(60.0) == 0.0
    assert pacer.take(60.0) == "b"


def test_a_change_waits_until_the_gap_has_passed() -> None:
    pacer = Pacer("a", now_s=100.0)
    pacer.offer("b")
    assert pacer.take(109.9) is None
    assert pacer.wait_s(104.0) == 6.0
    assert pacer.take(110.0) == "b"


def test_of_several_changes_only_the_newest_is_sent() -> None:
    pacer = Pacer("a", now_s=0.0)
    for value in "bcd":
        pacer.offer(value)
    assert pacer.take(10.0) == "d"
    assert pacer.take(30.0) is None


def test_a_value_that_went_and_came_back_is_not_sent() -> None:
    pacer = Pacer("a", now_s=0.0)
    pacer.offer("b")
    pacer.offer("a")
    assert pacer.take(10.0) is None


@UNTIMED
@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 3)), max_size=200))
def test_any_minute_has_at_most_six_updates(offers: list[tuple[float, int]]) -> None:
    now_s, sent_at_s = 0.0, [0.0]
    pacer = Pacer(0, now_s=now_s)
    for wait_s, value in offers:
        now_s += wait_s
        pacer.offer(value)
        if pacer.take(now_s) is not None:
            sent_at_s.append(now_s)
    gaps = [later - earlier for earlier, later in pairwise(sent_at_s)]
    assert all(gap >= GAP_S for gap in gaps)
    assert all(
        later - first >= 60.0 for first, later in zip(sent_at_s, sent_at_s[6:], strict=False)
    )


@UNTIMED
@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_the_last_value_is_sent_in_the_end(values: list[int]) -> None:
    pacer = Pacer(0, now_s=0.0)
    sent = 0
    for now_s, value in enumerate(values):
        pacer.offer(value)
        sent = taken if (taken := pacer.take(float(now_s))) is not None else sent
    taken = pacer.take(1000.0)
    assert (sent if taken is None else taken) == values[-1]
