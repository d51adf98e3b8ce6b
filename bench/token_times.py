"""What can be read from the moments at which tokens came. Pure.

A moment is seconds on any one clock; each token of a stream has its own, in rising order.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise

BACK_WINDOW_S = 1.0  # of the rate that says so: a shorter one says more about chance
BACK_STEP_S = 0.05


def rate(streams: Iterable[Sequence[float]], *, since_s: float, until_s: float) -> float:
    """Return tokens a second of all streams together, in [``since_s``, ``until_s``)."""
    counts = (bisect_left(each, until_s) - bisect_left(each, since_s) for each in streams)
    return sum(counts) / (until_s - since_s)


def gaps(streams: Iterable[Sequence[float]], *, since_s: float, until_s: float) -> Sequence[float]:
    """Return how long tokens came after the ones before them, in their streams.

    Every gap that is open at some moment of the bounds counts, and counts whole; one that never
    closed counts as far as ``until_s``, so that a stall can't hide behind the end.
    """
    found: list[float] = []
    for each in streams:
        found += (
            later - earlier
            for earlier, later in pairwise(each)
            if later > since_s and earlier < until_s
        )
        if each and each[-1] < until_s:
            found.append(until_s - each[-1])
    return found


def back_after_s(
    streams: Sequence[Sequence[float]], *, left_s: float, until_s: float, wanted: float
) -> float | None:
    """Return how long after ``left_s`` the rate was ``wanted`` again, None if not by ``until_s``.

    That is the start of the first window that has it, not its end.
    """
    since_s = left_s
    while since_s + BACK_WINDOW_S <= until_s:
        if rate(streams, since_s=since_s, until_s=since_s + BACK_WINDOW_S) >= wanted:
            return since_s - left_s
        since_s += BACK_STEP_S
    return None
