"""Whether one more model fits into memory, and who leaves for it. Pure.

1. What all models hold together never exceeds the budget, nor what the machine has free.
2. A busy model never leaves. Of the idle ones the least recently used leaves first, and no more of
   them than must.
3. Where only busy ones are in the way, it fits later: once those that are named here have ended.
4. What does not fit whole gets fewer slots first. Where not even one slot has room, whoever leaves,
   its context is halved, and halved again. Nobody waits or leaves for slots beyond the first.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from node_agent.memory import MARGIN_BYTES, Footprint, contexts, in_words


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
    """It may be loaded once ``leave`` has left, with as many slots of so many tokens."""

    leave: tuple[int, ...]  # in this order
    slots: int
    context_tokens: int


@dataclass(frozen=True, slots=True)
class Later:
    """It fits once these busy ones have ended."""

    leave: tuple[int, ...]
    context_tokens: int = 0  # of a slot, then; 0: not known just now


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
    def lasting(self) -> str:
        """The same without a figure that is another one at every look."""
        if self.budget:
            return str(self)
        return f"{in_words(self.needed_bytes)} of memory, and less than that is free"

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.budget:
            return "raise node.memory_share_max on that machine, or use a smaller model"
        return "close a program on that machine, or use a smaller model"


Verdict = Fits | Later | Never


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a model would be served if memory were no matter."""

    footprint: Footprint
    slots: int
    context_tokens: int  # of each


def verdict(wanted: Wanted, held: Iterable[Held], room: Room) -> Verdict:
    """Decide for one model, which is not among those that are ``held``.

    ``Never`` tells of the shortest context that there is.
    """
    held = list(held)
    for context_tokens in contexts(wanted.context_tokens):
        decided = _with(wanted, context_tokens, held, room)
        if not isinstance(decided, Never):
            break
    return decided


def _with(wanted: Wanted, context_tokens: int, held: list[Held], room: Room) -> Verdict:
    """Decide for one length of the context."""
    needed_bytes = wanted.footprint.taken_bytes(1, context_tokens)
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
        return Later(busy, context_tokens)
    slots = _slots_in(wanted, context_tokens, spare_bytes)
    return Fits(tuple(each.key for each in leave), slots, context_tokens)


def _slots_in(wanted: Wanted, context_tokens: int, spare_bytes: int) -> int:
    """Return how many slots fit into what is for us to take, at least one."""
    for slots in range(wanted.slots, 1, -1):
        if wanted.footprint.taken_bytes(slots, context_tokens) <= spare_bytes:
            return slots
    return 1
