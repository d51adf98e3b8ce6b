"""How busy a machine says it is: four levels, with hysteresis.

A level and not a number, for two reasons: strangers learn nothing exact, and an advert that
followed every per cent would be sent every time it may. The exact load goes to the coordinator.
"""

from enum import IntEnum


class LoadBucket(IntEnum):
    """How much of a machine is in use, ordered."""

    IDLE = 0
    LIGHT = 1
    BUSY = 2
    FULL = 3


# The level rises at the upper edge and falls below the lower one. The 0.1 between them is twice
# the scatter of a one-second CPU average on a quiet desktop, so that noise changes nothing.
_RISES_AT = (0.30, 0.60, 0.90)  # out of IDLE, LIGHT, BUSY
_FALLS_BELOW = (0.20, 0.50, 0.80)  # out of LIGHT, BUSY, FULL


def next_bucket(previous: LoadBucket, load_share: float) -> LoadBucket:
    """Return the level after ``load_share``, which is in [0, 1] and clamped to it."""
    level = int(previous)
    while level < LoadBucket.FULL and load_share >= _RISES_AT[level]:
        level += 1
    while level > LoadBucket.IDLE and load_share < _FALLS_BELOW[level - 1]:
        level -= 1
    return LoadBucket(level)
