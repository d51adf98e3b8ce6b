"""A model's own process says better than any formula what it takes."""

from hypothesis import given
from hypothesis import strategies as st

from node_agent.reckoning import OFF_MAX, OFF_MIN, corrected, words

GB = 10**9


def off(taken: int, *, before: float = 1.0, untouched: int = 0) -> float:
    return corrected(before, foretold_bytes=GB, untouched_bytes=untouched, taken_bytes=taken)


def test_more_than_was_foretold_is_believed_at_once() -> None:
    assert off(int(1.3 * GB)) == 1.3
    assert off(int(1.3 * GB), untouched=GB) == 1.3


def test_less_is_believed_as_far_as_nothing_can_still_come() -> None:
    assert off(int(0.6 * GB), untouched=GB // 5) == 0.8
    assert off(int(0.9 * GB), untouched=GB // 5) == 1.0
    assert off(int(0.1 * GB), untouched=GB) == 1.0, "it has not answered yet"


def test_a_correction_stays_when_the_next_load_is_used_for_less() -> None:
    assert off(int(1.1 * GB), before=1.3, untouched=GB // 2) == 1.3
    assert off(int(1.1 * GB), before=1.3, untouched=GB // 10) == 1.2


def test_no_measurement_rules_a_machine_out() -> None:
    assert off(50 * GB) == OFF_MAX
    assert off(0) == OFF_MIN


@given(st.integers(0, 10**12), st.floats(OFF_MIN, OFF_MAX), st.integers(0, 10**10))
def test_what_was_seen_fits_into_what_is_foretold_next(
    taken: int, before: float, untouched: int
) -> None:
    wanted = off(taken, before=before, untouched=untouched)
    assert OFF_MIN <= wanted <= OFF_MAX
    assert wanted * GB >= min(taken, OFF_MAX * GB) - 1


def test_the_owner_is_told_beyond_a_tenth_and_no_sooner() -> None:
    assert words(total_bytes=10 * GB, off_bytes=GB) == ""
    assert words(total_bytes=10 * GB, off_bytes=2 * GB).startswith(
        "takes 2.0 GB more memory than the 10.0 GB that were foretold"
    )
    assert "2.0 GB less" in words(total_bytes=10 * GB, off_bytes=-2 * GB)
