"""Whether one more model fits into memory, and who leaves for it. Pure.

1. What all models hold together never exceeds the budget, nor what the machine has free.
2. A busy model never leaves. Of the idle ones the least recently used leaves first, and no more of
   them than must.
3. Where only busy ones are in the way, it fits later: once those that are named here have ended.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from node_agent.memory import MARGIN_BYTES, Footprint, in_words


@dataclass(frozen=True, slots=True)
class Held:
    """A model that is in memory, or on its way there."""

    key: int
    claim_bytes: int  # what it was granted, or holds by measurement if that is more
    busy: bool  # somebody uses it, or waits for its load
    used_s: float  # when somebody took it last, or gave it back


@dataclass(frozen=True, slots=True)
class Room:
    """What there is to share out."""

    unclaimed_bytes: int  # free now, and promised to none of those that are held
    budget_bytes: int  # for all models together


@dataclass(frozen=True, slots=True)
class Fits:
    """It may be loaded once ``leave`` has left, with as many slots."""

    leave: tuple[int, ...]  # in this order
    slots: int


@dataclass(frozen=True, slots=True)
class Later:
    """It fits once these busy ones have ended."""

    leave: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Never:
    """It does not fit, whoever ends; as long as other programs hold what they do."""

    needed_bytes: int
    most_bytes: int  # that it could have
    budget: bool  # it is the budget that is too small, not what is free

    def __str__(self) -> str:
        room = in_words(max(0, self.most_bytes))
        if self.budget:
            return f"{in_words(self.needed_bytes)} of memory, and models may take {room} here"
        return f"{in_words(self.needed_bytes)} of memory, {room} are free"

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.budget:
            return "raise node.memory_share_max on that machine, or use a smaller model"
        return "close a program on that machine, or use a smaller model"


Verdict = Fits | Later | Never


def verdict(footprint: Footprint, slots_max: int, held: Iterable[Held], room: Room) -> Verdict:
    """Decide for one model, which is not among those that are ``held``."""
    held = list(held)
    needed_bytes = footprint.taken_bytes(1)
    free_bytes = room.unclaimed_bytes - MARGIN_BYTES
    left_bytes = room.budget_bytes - sum(each.claim_bytes for each in held)
    spare_bytes = min(free_bytes, left_bytes)
    leave: list[Held] = []
    for each in sorted(held, key=lambda each: (each.busy, each.used_s, each.key)):
        if spare_bytes >= needed_bytes:
            break
        leave.append(each)
        spare_bytes += each.claim_bytes
    busy = tuple(each.key for each in leave if each.busy)
    if spare_bytes < needed_bytes:
        return Never(needed_bytes, spare_bytes, budget=left_bytes <= free_bytes)
    if busy:
        return Later(busy)
    slots = footprint.slots_in(spare_bytes, slots_max)
    return Fits(tuple(each.key for each in leave), slots)
