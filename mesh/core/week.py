"""Times of the week, as people write them: ``22:00-06:00`` on ``mon-fri``.

A window that ends before it begins goes on past midnight, and belongs to the day on which it began:
Friday's night ends on Saturday morning.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from mesh.core.facts import MINUTES_A_DAY, MINUTES_A_WEEK

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS: Final = re.compile(
    r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*(?:([01]?\d|2[0-3]):([0-5]\d)|(24):(00))"
)


class Windows:
    """Some times of the week. Asking takes one search among their beginnings and ends."""

    def __init__(self, hours: Iterable[str], weekdays: Iterable[str]) -> None:
        """No hours are the whole day, no weekdays all of them.

        Raises:
            ValueError: one of them is no time or no day; says which.
        """
        days = days_of(weekdays)
        spans = [_span(text) for text in hours] or [(0, MINUTES_A_DAY)]
        inside = bytearray(MINUTES_A_WEEK)
        for day in days:
            for start, minutes in spans:
                for minute in range(start, start + minutes):
                    inside[(day * MINUTES_A_DAY + minute) % MINUTES_A_WEEK] = 1
        before = inside[:1] + inside[:-1]  # the first minute turns nothing
        self._first = bool(inside[0])
        self._turns = [each for each in range(MINUTES_A_WEEK) if inside[each] != before[each]]

    def has(self, minute_of_week: int) -> bool:
        """Is it one of those times? A time that nobody told is not."""
        if minute_of_week < 0:
            return False
        return self._first ^ bool(bisect_right(self._turns, minute_of_week) & 1)


def days_of(weekdays: Iterable[str]) -> list[int]:
    """Return the numbers of days such as ``mon`` or ``mon-fri``, Monday's is 0; none are all."""
    days: dict[int, None] = {}
    for text in weekdays:
        first, dash, last = (part.strip().lower()[:3] for part in text.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{text[:40]!r} is no weekday: use {', '.join(DAYS)}, or mon-fri")
        begin, end = DAYS.index(first), DAYS.index(last if dash else first)
        for day in range(begin, end + 1 if end >= begin else end + 8):
            days[day % 7] = None
    return sorted(days) or list(range(7))


def _span(text: str) -> tuple[int, int]:
    """Return the minute of the day at which a window begins, and its length."""
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:40]!r} are no hours: write 09:00-17:30, or 22:00-06:00")
    begin_h, begin_min, end_h, end_min, whole_h, whole_min = found.groups()
    begin = 60 * int(begin_h) + int(begin_min)
    end = 60 * int(end_h or whole_h) + int(end_min or whole_min)
    if begin == end:
        raise ValueError(f"{text[:40]!r} begins when it ends: write 00:00-24:00 for a whole day")
    return begin, (end - begin) if end > begin else (end - begin + MINUTES_A_DAY)
