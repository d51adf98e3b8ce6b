"""How many threads there are beside other work: samples in, threads out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.engine.thread_governor import (
    UP_AFTER_S,
    WAITING_MAX,
    OtherWork,
    ThreadGovernor,
)

QUIET = OtherWork(cores=0.05, waiting=0.0)
ONE_BUSY = OtherWork(cores=1.0, waiting=0.0)
EVERY_S = 0.25


def test_it_begins_with_all_threads() -> None:
    assert ThreadGovernor(4, cores=4).threads == 4


@pytest.mark.parametrize(
    ("cores", "others", "threads"),
    [
        (2, 0.0, 2),
        (2, 0.4, 2),  # less than half a core: a second thread is worth it
        (2, 0.6, 1),
        (2, 1.0, 1),
        (2, 2.0, 1),  # there is always one
        (8, 0.6, 7),
        (8, 3.0, 5),
        (8, 7.9, 1),
    ],
)
def test_what_others_use_is_left_to_them_at_once(cores: int, others: float, threads: int) -> None:
    governor = ThreadGovernor(cores, cores=cores)
    governor.saw(OtherWork(others, 0.0), 1.0)
    assert governor.threads == threads


def test_an_owner_who_lends_few_threads_keeps_the_other_cores() -> None:
    governor = ThreadGovernor(2, cores=8)
    governor.saw(OtherWork(6.0, 0.0), 1.0)
    assert governor.threads == 2
    governor.saw(OtherWork(7.0, 0.0), 2.0)
    assert governor.threads == 1


def test_room_must_last_before_it_is_taken() -> None:
    governor = ThreadGovernor(8, cores=8)
    governor.saw(OtherWork(6.0, 0.0), 0.0)
    now_s = 0.0
    while now_s < UP_AFTER_S - EVERY_S:
        now_s += EVERY_S
        governor.saw(QUIET, now_s)
        assert governor.threads == 2
    governor.saw(QUIET, UP_AFTER_S)
    assert governor.threads == 8  # all at once, so that a large machine is not slow for long


def test_a_burst_begins_the_wait_anew() -> None:
    governor = ThreadGovernor(2, cores=2)
    for now_s, seen in ((0.0, ONE_BUSY), (1.0, QUIET), (1.25, ONE_BUSY), (1.75, QUIET)):
        governor.saw(seen, now_s)
    assert governor.threads == 1
    governor.saw(QUIET, 1.25 + UP_AFTER_S)
    assert governor.threads == 2


def test_nothing_more_is_taken_while_somebody_waits_for_a_core() -> None:
    waiting = OtherWork(cores=0.0, waiting=WAITING_MAX + 0.01)
    governor = ThreadGovernor(2, cores=2)
    governor.saw(waiting, 0.0)
    assert governor.threads == 2  # it may be we who wait: no reason to take fewer
    governor.saw(ONE_BUSY, 1.0)
    for now_s in (5.0, 10.0):
        governor.saw(waiting, now_s)
        assert governor.threads == 1
    governor.saw(QUIET, 20.0)
    assert governor.threads == 2


def test_steps_that_take_seconds_do_not_keep_it_small() -> None:
    """One sample covers all of such a step."""
    governor = ThreadGovernor(2, cores=2)
    governor.saw(ONE_BUSY, 0.0)
    governor.saw(QUIET, 4.0)
    assert governor.threads == 2


work = st.builds(OtherWork, cores=st.floats(0.0, 16.0), waiting=st.floats(0.0, 1.0))


@given(
    most=st.integers(1, 16),
    cores=st.integers(1, 16),
    samples=st.lists(st.tuples(work, st.floats(0.25, 3.0)), max_size=40),
)
def test_it_stays_in_its_bounds_and_goes_up_only_after_lasting_room(
    most: int, cores: int, samples: list[tuple[OtherWork, float]]
) -> None:
    governor, now_s = ThreadGovernor(most, cores=cores), 0.0
    lately: list[tuple[float, float]] = []  # when, and what was left
    for seen, pause_s in samples:
        before, now_s = governor.threads, now_s + pause_s
        governor.saw(seen, now_s)
        lately = [each for each in lately if each[0] > now_s - UP_AFTER_S]
        lately.append((now_s, cores - seen.cores))
        assert 1 <= governor.threads <= most
        assert governor.threads <= max(1.0, min(left for _, left in lately) + 0.5)
        if seen.waiting > WAITING_MAX:
            assert governor.threads <= before
