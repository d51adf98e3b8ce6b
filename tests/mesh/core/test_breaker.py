"""Failures in a row eject, for longer each time; one success is enough to be trusted again."""

import pytest

from mesh.core.breaker import EJECTED_S_MAX, FAILURES_MIN, Breaker, Standing


def ejected(failures: int, now_s: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(failures):
        breaker.failed(began_s=now_s, now_s=now_s)
    return breaker


def test_the_third_failure_in_a_row_ejects() -> None:
    breaker = Breaker()
    told = [breaker.failed(began_s=0, now_s=0) for _ in range(FAILURES_MIN)]
    assert told == [False, False, True]
    assert breaker.standing is Standing.EJECTED


def test_an_ejection_ends_in_a_trial_and_not_before_its_time() -> None:
    breaker, standings = ejected(3), []
    for now_s in (4.99, 5.0):
        breaker.waited(now_s)
        standings.append(breaker.standing)
    assert standings == [Standing.EJECTED, Standing.ON_TRIAL]


def test_each_failed_trial_doubles_the_pause_up_to_five_minutes() -> None:
    breaker, now_s, pauses = ejected(3), 0.0, []
    for _ in range(12):
        pauses.append(breaker.until_s - now_s)
        now_s = breaker.until_s
        breaker.waited(now_s)
        assert breaker.failed(began_s=now_s, now_s=now_s)
    assert pauses[:7] == [5, 10, 20, 40, 80, 160, 300]
    assert set(pauses[6:]) == {EJECTED_S_MAX}


def test_what_began_before_an_ejection_tells_nothing_new() -> None:
    """One crash ends a thousand attempts: that is one pause of five seconds."""
    breaker = Breaker()
    for _ in range(1000):
        breaker.failed(began_s=1, now_s=2)
    assert breaker.until_s == 7
    breaker.waited(7)
    assert not breaker.failed(began_s=1, now_s=8)
    assert breaker.standing is Standing.ON_TRIAL


def test_who_is_forgiven_may_fail_twice_again() -> None:
    breaker = ejected(5)
    breaker.forgive()
    assert not breaker.failed(began_s=9, now_s=9)
    assert not breaker.failed(began_s=9, now_s=9)
    assert breaker.standing is Standing.TRUSTED


def test_who_is_trusted_after_a_trial_is_ejected_again_at_once() -> None:
    breaker = ejected(3)
    breaker.trust()
    assert breaker.failed(began_s=9, now_s=9)
    assert breaker.until_s == 19


@pytest.mark.parametrize("failures", [100, 10_000])
def test_no_number_of_failures_is_too_large_to_compute_with(failures: int) -> None:
    assert ejected(failures).until_s == EJECTED_S_MAX
