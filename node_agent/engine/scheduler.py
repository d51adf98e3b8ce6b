"""Who decodes what in the next step. Pure: it knows token ids, no model and no clock.

A sequence reads its prompt in chunks, then decodes one token a step, together with all others that
do. Rules:

1. A step is either one chunk of one prompt, or one token of every sequence that has one drawn.
   llama.cpp would cut a mixed batch in two itself, and round the chunk's first token otherwise.
2. While somebody decodes, chunks and decodes take turns: a prompt of any length holds a stream up
   by one chunk at a time.
3. Prompts take turns, chunk by chunk, so a short one passes a long one.
4. Who finds no room in the memory makes room: the sequence that came last leaves its slot, and
   comes back, with all that it has said, once another one has ended.
"""

from collections import deque
from collections.abc import Sequence as Ids
from dataclasses import dataclass, field, replace

from node_agent.engine.chunks import ALONE, ChunkSizer
from node_agent.engine.prefixes import Place, Slot, Slots


@dataclass(slots=True, eq=False)
class Sequence:
    """One request that has a slot. Mutable; only the scheduler changes it."""

    number: int
    slot: Slot
    unread: deque[int] = field(default_factory=deque)  # of the prompt
    said: deque[int] = field(default_factory=deque)  # before it was cut: decoded again, then drawn
    drawn: int | None = None  # the token to decode next


@dataclass(frozen=True, slots=True)
class Row:
    """One token of a step."""

    slot: int
    token: int
    position: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """A step that reads some of a prompt. ``last``: the next token can be drawn after it."""

    sequence: Sequence
    rows: tuple[Row, ...]
    last: bool


@dataclass(frozen=True, slots=True)
class Decode:
    """A step in which every sequence with a drawn token takes it in: a row each, by slot.

    A token that was said before counts as drawn; afterwards whoever has none draws the next.

    A row of nobody's is there only so that none is alone; its slot forgets it again.
    """

    rows: tuple[Row, ...]
    sequences: tuple[Sequence | None, ...]  # whose each row is


Step = Chunk | Decode


@dataclass(frozen=True, slots=True)
class Held:
    """What a request must have in its slot before a token is drawn."""

    ids: Ids[int]  # the prompt, and what was said already of an answer that goes on
    read_tokens: int  # so many of them may be read in chunks; the others are decoded one by one


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that has a slot now. Whoever runs the model makes its memory as ``place`` says."""

    sequence: Sequence
    held: Held
    place: Place


class Scheduler:
    """Sequences and slots of one engine."""

    def __init__(self, slots: int, sizer: ChunkSizer, *, pair_rows: bool = False) -> None:
        """``pair_rows``: the model rounds a row otherwise where it is alone, so none may be."""
        self.slots = Slots(slots)
        self._pair_rows = pair_rows
        self._sizer = sizer
        self._waiting: dict[int, Held] = {}  # for a slot, in the order they came
        self._most = slots  # sequences at a time; fewer while the memory has no room for more
        self._sequences: dict[int, Sequence] = {}  # with a slot
        self._reading: deque[Sequence] = deque()  # whose turn it is comes first
        self._read_last = False  # whether the last step was a chunk

    def __len__(self) -> int:
        return len(self._sequences) + len(self._waiting)

    def __contains__(self, number: int) -> bool:
        return number in self._sequences or number in self._waiting

    def add(self, number: int, held: Held) -> None:
        """Let a request wait for a slot; ``admit`` gives it one."""
        self._waiting[number] = held

    def admit(self) -> Admitted | None:
        """Give the next one that waits a slot; None if nobody waits or none is free."""
        if not self._waiting or len(self._sequences) >= self._most:
            return None
        number, held = next(iter(self._waiting.items()))
        place = self.slots.take(held.ids)
        if place is None:
            return None
        del self._waiting[number]
        if held.read_tokens - place.kept == ALONE and place.kept:  # none is read alone
            place = replace(place, kept=place.kept - 1)
        sequence = self._sequences[number] = Sequence(number, place.slot)
        self.keep(sequence, held, place.kept)
        return Admitted(sequence, held, place)

    def keep(self, sequence: Sequence, held: Held, tokens: int) -> None:
        """The slot's memory holds so many of the tokens; the others are read, or decoded."""
        sequence.slot.held[:] = held.ids[:tokens]
        sequence.unread = deque(held.ids[tokens : held.read_tokens])
        sequence.said = deque(held.ids[max(tokens, held.read_tokens) :])
        sequence.drawn = None
        if sequence in self._reading:
            self._reading.remove(sequence)
        if sequence.unread:
            self._reading.append(sequence)
        else:
            sequence.drawn = sequence.said.popleft()  # ``Slots`` leaves some

    def last_admitted(self) -> Sequence | None:
        """Return who is to leave if there is no room for all; None if there is but one."""
        return next(reversed(self._sequences.values())) if len(self._sequences) > 1 else None

    def preempt(self, number: int, held: Held) -> None:
        """Take its slot and what that holds; it waits for another, before all that do."""
        slot = self._sequences[number].slot
        self.remove(number)
        slot.held.clear()
        self._most = max(1, len(self._sequences))
        self._waiting = {number: held, **self._waiting}

    def draw(self, sequence: Sequence, token: int) -> None:
        """Decode ``token`` in the next step."""
        assert not sequence.unread, "its prompt is not read yet"
        sequence.drawn = token

    def remove(self, number: int) -> None:
        """It has ended, however; its slot is free, and keeps what it holds."""
        if self._waiting.pop(number, None) is not None:
            return
        sequence = self._sequences.pop(number)
        if sequence in self._reading:
            self._reading.remove(sequence)
        self.slots.free(sequence.slot)
        self._most = min(self._most + 1, len(self.slots))

    def next_step(self) -> Step | None:
        """Return what to do now; None if there is nothing.

        ``done`` follows before anything else, unless the step was broken off.
        """
        decoding = [each for each in self._sequences.values() if each.drawn is not None]
        if self._reading and not (decoding and self._read_last):
            return self._chunk(self._reading[0])
        if decoding:
            return self._decode(decoding)
        return self._chunk(self._reading[0]) if self._reading else None

    def done(self, step: Step, duration_s: float) -> None:
        """The memory holds the tokens of the step now."""
        self._read_last = isinstance(step, Chunk)
        if isinstance(step, Decode):
            for row, sequence in zip(step.rows, step.sequences, strict=True):
                if sequence is not None:
                    sequence.slot.held.append(row.token)
                    sequence.drawn = sequence.said.popleft() if sequence.said else None
            return
        self._sizer.learn(len(step.rows), duration_s)
        step.sequence.slot.held.extend(step.sequence.unread.popleft() for _ in step.rows)
        self._reading.popleft()
        if step.sequence.unread:
            self._reading.append(step.sequence)
        elif step.sequence.said:
            step.sequence.drawn = step.sequence.said.popleft()

    def _chunk(self, sequence: Sequence) -> Chunk:
        count = self._sizer.size(len(sequence.unread))
        at = len(sequence.slot.held)
        index = sequence.slot.index
        rows = tuple(Row(index, sequence.unread[offset], at + offset) for offset in range(count))
        return Chunk(sequence, rows, last=count == len(sequence.unread) and not sequence.said)

    def _decode(self, sequences: list[Sequence]) -> Decode:
        """By slot: llama.cpp decodes neighbours together, and others one after the other."""
        whose: dict[int, Sequence | None] = {each.slot.index: each for each in sequences}
        if self._pair_rows:
            whose |= dict.fromkeys(_companions(set(whose), len(self.slots)))
        rows, indexes = [], sorted(whose)
        for index in indexes:
            sequence = whose[index]
            token = 0 if sequence is None else sequence.drawn
            assert token is not None
            rows.append(Row(index, token, len(self.slots[index].held)))
        return Decode(tuple(rows), tuple(whose[index] for index in indexes))


def _companions(slots: set[int], count: int) -> set[int]:
    """Return slots that join those of ``slots`` that have no neighbour among them."""
    alone = (each for each in slots if not {each - 1, each + 1} & slots)
    return {each + 1 if each + 1 < count else each - 1 for each in alone} & set(range(count))
