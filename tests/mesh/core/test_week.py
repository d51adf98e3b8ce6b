"""Times of the week."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.core.facts import MINUTES_A_WEEK
from mesh.core.week import DAYS, Windows, days_of


def minute(day: str, time: str) -> int:
    hours, minutes = time.split(":")
    return 1440 * DAYS.index(day) + 60 * int(hours) + int(minutes)


@pytest.mark.parametrize(
    ("hours", "weekdays", "day", "time", "inside"),
    [
        (["09:00-17:00"], [], "tue", "09:00", True),
        (["09:00-17:00"], [], "tue", "16:59", True),
        (["09:00-17:00"], [], "tue", "17:00", False),
        (["9:00-17:00"], ["mon-fri"], "sat", "12:00", False),
        (["22:00-06:00"], ["fri"], "fri", "23:00", True),
        (["22:00-06:00"], ["fri"], "sat", "05:59", True),
        (["22:00-06:00"], ["fri"], "fri", "05:59", False),
        (["22:00-06:00"], ["sun"], "mon", "01:00", True),
        ([], ["sat", "sun"], "sat", "00:00", True),
        ([], ["sat", "sun"], "mon", "00:00", False),
        ([], ["fri-mon"], "sun", "12:00", True),
        ([], ["fri-mon"], "tue", "00:00", False),
        ([], ["Monday"], "mon", "12:00", True),
        (["00:00-24:00"], [], "wed", "23:59", True),
        (["06:00-08:00", "20:00-22:00"], [], "wed", "21:00", True),
        (["06:00-08:00", "20:00-22:00"], [], "wed", "12:00", False),
    ],
)
def test_a_time_is_inside_or_not(
    hours: list[str], weekdays: list[str], day: str, time: str, inside: bool
) -> None:
    assert Windows(hours, weekdays).has(minute(day, time)) is inside


def test_a_time_that_nobody_told_is_never_inside() -> None:
    assert not Windows([], []).has(-1)


def test_all_the_week_is_inside_without_hours_and_days() -> None:
    always = Windows([], [])
    assert all(always.has(each) for each in range(MINUTES_A_WEEK))


@settings(max_examples=20)
@given(st.sampled_from(DAYS), st.integers(0, 1439), st.integers(1, 1439))
def test_a_window_has_exactly_its_minutes(day: str, start: int, minutes: int) -> None:
    end = (start + minutes) % 1440
    text = f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    window = Windows([text], [day])
    begin = 1440 * DAYS.index(day) + start
    expected = {(begin + each) % MINUTES_A_WEEK for each in range(minutes)}
    assert {each for each in range(MINUTES_A_WEEK) if window.has(each)} == expected


@pytest.mark.parametrize(
    ("hours", "weekdays", "says"),
    [
        ("25:00-26:00", "mon", "are no hours: write 09:00-17:30"),
        ("09:00", "mon", "are no hours"),
        ("9-17", "mon", "are no hours"),
        ("09:00-09:00", "mon", "begins when it ends"),
        ("09:00-17:00", "someday", "is no weekday: use mon"),
        ("09:00-17:00", "mon-xyz", "is no weekday"),
    ],
)
def test_what_is_no_time_is_refused(hours: str, weekdays: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Windows([hours], [weekdays])


def test_days_may_go_on_past_sunday() -> None:
    assert days_of(["sat-mon"]) == [0, 5, 6]
