"""What each slot's memory holds, and which slot a prompt goes to. Pure.

A slot that has answered keeps its tokens until another prompt needs it, so that the next turn of a
conversation reads only what is new. Memory is per slot: what one holds may be copied whole into
another and then cut, which costs less than reading it again.

A prompt goes where it goes on with most of what a slot holds. Where it only begins alike, as all
prompts of one template do, it takes the slot that was used longest ago: a beginning that is shared
for some tokens is no reason to forget a whole conversation.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

# A copy moves a whole slot's memory, some 20 ms for a small model; reading so many tokens again
# takes as long on a fast machine.
COPY_TOKENS_MIN = 64
# Fewer would be one alone, which ggml computes by other code than a chunk: see ``chunks``.
FRESH_TOKENS_MIN = 2


@dataclass(slots=True)
class Slot:
    """One sequence's place in the context's memory."""

    index: int
    held: list[int] = field(default_factory=list)  # exactly what the memory holds, from position 0
    busy: bool = False
    used: int = 0  # rises with each use of any slot: who was used longest ago has the least


@dataclass(frozen=True, slots=True)
class Place:
    """Where a prompt goes, and how much of it is there already."""

    slot: Slot
    kept: int  # tokens of the prompt that stay
    copy_from: Slot | None = None  # first copy this one's memory over


class Slots:
    """Every slot of an engine."""

    def __init__(self, count: int) -> None:
        self._slots = [Slot(index) for index in range(count)]
        self._uses = 0

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def __getitem__(self, index: int) -> Slot:
        return self._slots[index]

    def __len__(self) -> int:
        return len(self._slots)

    def take(self, prompt: Sequence[int]) -> Place | None:
        """Take a free slot for ``prompt``; None if all are busy."""
        free = [slot for slot in self._slots if not slot.busy]
        if not free:
            return None
        shared = [shared_tokens(slot.held, prompt) for slot in self._slots]
        nearest = max(free, key=lambda slot: (shared[slot.index], -slot.used))
        oldest = min(free, key=lambda slot: (bool(slot.held), slot.used))
        goes_on = 2 * shared[nearest.index] >= len(nearest.held) > 0
        place = self._filled(nearest if goes_on else oldest, oldest, shared)
        place.slot.busy = True
        self._touch(place.slot)
        return place

    def _filled(self, target: Slot, oldest: Slot, shared: Sequence[int]) -> Place:
        """Let a prompt go to ``target``, or to the oldest one if a copy gives it much more."""
        source = max(self._slots, key=lambda slot: shared[slot.index])
        if shared[source.index] - shared[target.index] < COPY_TOKENS_MIN:
            return Place(target, shared[target.index])
        if source is oldest:
            return Place(source, shared[source.index])
        return Place(oldest, shared[source.index], source)

    def free(self, slot: Slot) -> None:
        """Nobody works in it any more. It keeps what it holds."""
        slot.busy = False
        self._touch(slot)

    def _touch(self, slot: Slot) -> None:
        self._uses += 1
        slot.used = self._uses


def shared_tokens(held: Sequence[int], prompt: Sequence[int]) -> int:
    """Return how many tokens of ``prompt`` need not be read, as ``held`` begins with them.

    At least ``FRESH_TOKENS_MIN`` of the prompt are left to read (all, if it is no longer than
    that): the last one's logits are needed.
    """
    most = min(len(held), len(prompt) - FRESH_TOKENS_MIN)
    if most <= 0:
        return 0
    if list(held[:most]) == list(prompt[:most]):
        return most
    return next(at for at in range(most) if held[at] != prompt[at])
