"""Whose tokens each step takes: tested by a played model that only remembers."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_agent.engine.chunks import CHUNK_TOKENS_MAX, CHUNK_TOKENS_MIN, TARGET_S, ChunkSizer
from node_agent.engine.prefixes import COPY_TOKENS_MIN, FRESH_TOKENS_MIN, Slots, shared_tokens
from node_agent.engine.scheduler import Chunk, Decode, Held, Scheduler, Step

TOKEN_S = 0.01


class PlayedModel:
    """Carries steps out on memory of its own, and draws tokens that tell who drew them."""

    def __init__(self, slots: int, *, pair_rows: bool = False) -> None:
        self.scheduler = Scheduler(slots, ChunkSizer(), pair_rows=pair_rows)
        self.memory: list[list[int]] = [[] for _ in range(slots)]
        self.prompts: dict[int, list[int]] = {}
        self.answers: dict[int, list[int]] = {}
        self.steps: list[Step] = []

    def ask(self, number: int, prompt: list[int], said: int = 0, *, singly: bool = False) -> None:
        """The last ``said`` tokens are of its answer, which was cut."""
        self.prompts[number] = prompt
        self.answers[number] = []
        self.scheduler.add(number, Held(prompt, len(prompt) - (said if singly else 0)))

    def make_room(self, *, singly: bool = False) -> int | None:
        """Let the one that came last wait; return its number, None if there is but one."""
        last = self.scheduler.last_admitted()
        if last is None:
            return None
        self.memory[last.slot.index].clear()
        prompt, answer = self.prompts[last.number], self.answers[last.number]
        held = Held([*prompt, *answer], len(prompt) + (0 if singly else len(answer)))
        self.scheduler.preempt(last.number, held)
        return last.number

    def admit(self) -> None:
        while (admitted := self.scheduler.admit()) is not None:
            place = admitted.place
            if place.copy_from is not None:
                self.memory[place.slot.index] = list(self.memory[place.copy_from.index])
            del self.memory[place.slot.index][place.kept :]

    def step(self) -> Step | None:
        self.admit()
        step = self.scheduler.next_step()
        if step is None:
            return None
        self.steps.append(step)
        for row in step.rows:
            assert row.position == len(self.memory[row.slot])
            self.memory[row.slot].append(row.token)
        self.scheduler.done(step, len(step.rows) * TOKEN_S)
        owners = step.sequences if isinstance(step, Decode) else (step.sequence,) * len(step.rows)
        for row, owner in zip(step.rows, owners, strict=True):
            if owner is None:
                self.memory[row.slot].pop()
        ready = owners if isinstance(step, Decode) else (step.sequence,) * step.last
        for sequence in (each for each in ready if each is not None and each.drawn is None):
            said = self.prompts[sequence.number] + self.answers[sequence.number]
            assert self.memory[sequence.slot.index] == said, "it forgot, or heard another"
            token = 1000 * sequence.number + len(said)
            self.answers[sequence.number].append(token)
            self.scheduler.draw(sequence, token)
        self._check()
        return step

    def _check(self) -> None:
        for slot in self.scheduler.slots:
            assert slot.held == self.memory[slot.index]


def prompt_of(size: int, seed: int = 0) -> list[int]:
    return [Random(seed).randrange(100) for _ in range(size)]


def test_those_who_decode_share_each_step() -> None:
    model = PlayedModel(4)
    for number in range(3):
        model.ask(number, prompt_of(10, number))
    for _ in range(10):
        model.step()
    last = model.steps[-1]
    assert isinstance(last, Decode)
    assert [each.number for each in last.sequences if each is not None] == [0, 1, 2]
    assert [row.slot for row in last.rows] == sorted(row.slot for row in last.rows)


def test_a_long_prompt_holds_a_stream_up_by_one_chunk_at_a_time() -> None:
    model = PlayedModel(2)
    model.ask(1, prompt_of(10))
    model.step()
    model.ask(2, prompt_of(2000))
    while not model.answers[2]:
        model.step()
    kinds = [type(step) for step in model.steps[1:]]
    assert kinds.count(Chunk) > 10
    assert (Chunk, Chunk) not in set(pairwise(kinds))
    assert max(len(step.rows) for step in model.steps[2:]) * TOKEN_S <= 2 * TARGET_S


def test_a_short_prompt_passes_a_long_one() -> None:
    model = PlayedModel(2)
    model.ask(1, prompt_of(3000))
    model.step()
    model.ask(2, prompt_of(20, 1))
    for _ in range(4):
        model.step()
    assert model.answers[2]
    assert not model.answers[1]


def test_who_finds_no_slot_waits_in_line() -> None:
    model = PlayedModel(1)
    for number in (1, 2, 3):
        model.ask(number, prompt_of(5, number))
    model.step()
    assert (model.answers[1], model.answers[2]) != ([], [])
    model.scheduler.remove(2)
    assert 2 not in model.scheduler
    model.scheduler.remove(1)
    model.step()
    assert model.answers[3]


def test_the_next_turn_of_a_conversation_finds_its_slot() -> None:
    slots = Slots(3)
    taken = [slots.take(prompt_of(40, seed)) for seed in range(3)]
    for place, seed in zip(taken, range(3), strict=True):
        assert place is not None
        place.slot.held[:] = prompt_of(40, seed)
        slots.free(place.slot)
    again = slots.take([*prompt_of(40, 1), 7, 8, 9])
    assert again is not None
    assert (again.slot.index, again.kept, again.copy_from) == (1, 40, None)


def test_a_new_conversation_takes_the_slot_that_was_used_longest_ago() -> None:
    slots = Slots(3)
    for seed in range(3):
        place = slots.take(prompt_of(40, seed))
        assert place is not None
        place.slot.held[:] = prompt_of(40, seed)
        slots.free(place.slot)
    new = slots.take([500, 501, 502])
    assert new is not None
    assert (new.slot.index, new.kept) == (0, 0)


def test_what_a_busy_slot_holds_is_copied_if_that_is_worth_it() -> None:
    long, short = prompt_of(COPY_TOKENS_MIN + 50), prompt_of(COPY_TOKENS_MIN - 1)
    for shared, copied in ((long, True), (short, False)):
        slots = Slots(2)
        first = slots.take(shared)
        assert first is not None
        first.slot.held[:] = shared
        second = slots.take([*shared, 500, 501])
        assert second is not None
        assert (second.copy_from is first.slot) is copied
        assert second.slot is not first.slot
        assert second.kept == (len(shared) if copied else 0)
        assert slots.take([1, 2]) is None


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_the_end_of_a_prompt_is_always_read(size: int) -> None:
    prompt = prompt_of(size)
    assert shared_tokens(prompt, prompt) == max(0, size - FRESH_TOKENS_MIN)
    assert shared_tokens([], prompt) == 0


@given(st.integers(1, 5000), st.floats(1e-5, 1.0))
def test_no_token_of_a_prompt_is_left_alone(size: int, token_s: float) -> None:
    sizer = ChunkSizer()
    remaining = size
    while remaining:
        count = sizer.size(remaining)
        assert 1 <= count <= min(remaining, CHUNK_TOKENS_MAX)
        assert count > 1 or size == 1
        sizer.learn(count, count * token_s)
        remaining -= count


def test_a_chunk_follows_what_the_machine_has_left() -> None:
    sizer = ChunkSizer()
    assert sizer.size(1000) == CHUNK_TOKENS_MIN  # nothing is known: take little
    sizer.learn(16, 16 * 0.0001)
    assert sizer.size(1000) == CHUNK_TOKENS_MAX
    for _ in range(20):
        sizer.learn(100, 100 * 0.002)
    assert sizer.size(1000) == round(TARGET_S / 0.002)
    for _ in range(20):
        sizer.learn(50, 50 * 1.0)
    assert sizer.size(1000) == CHUNK_TOKENS_MIN


def no_row_is_alone(step: Step) -> bool:
    slots = {row.slot for row in step.rows}
    return isinstance(step, Chunk) or all({each - 1, each + 1} & slots for each in slots)


def test_what_was_said_before_is_decoded_with_the_others_and_not_drawn() -> None:
    model = PlayedModel(2)
    model.ask(1, prompt_of(10, 1))
    model.ask(2, prompt_of(30, 2), said=5, singly=True)
    while not model.answers[2]:
        model.step()
    read = [step for step in model.steps if isinstance(step, Chunk) and step.sequence.number == 2]
    assert sum(len(step.rows) for step in read) == 25
    assert not any(step.last for step in read)
    decoded = [step for step in model.steps if isinstance(step, Decode)]
    assert sum(2 in {each.number for each in step.sequences if each} for step in decoded) == 5
    assert len(model.answers[1]) >= 5, "it waited for the other"


def test_who_came_last_makes_room_and_comes_back_with_what_it_said() -> None:
    model = PlayedModel(3)
    for number in range(3):
        model.ask(number, prompt_of(10, number))
    while len(model.answers[2]) < 4:
        model.step()
    said = list(model.answers[2])
    assert model.make_room() == 2
    model.ask(3, prompt_of(10, 3))
    for _ in range(10):
        model.step()
    assert model.answers[2] == said, "there is still no room"
    assert not model.answers[3], "it passed the one that waited before it"
    model.scheduler.remove(0)
    for _ in range(10):
        model.step()
    assert model.answers[2][:4] == said
    assert len(model.answers[2]) > 4


def test_the_only_one_makes_no_room() -> None:
    model = PlayedModel(2)
    model.ask(1, prompt_of(10))
    model.step()
    assert model.make_room() is None


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    slots=st.integers(1, 5),
    pair_rows=st.booleans(),
    singly=st.booleans(),
)
def test_nobody_hears_another_and_everybody_ends(
    seed: int, slots: int, *, pair_rows: bool, singly: bool
) -> None:
    """Random arrivals, lengths, shared beginnings, cut answers, departures and lack of room."""
    random = Random(seed)
    model = PlayedModel(slots, pair_rows=pair_rows)
    shared = prompt_of(200, seed)
    left = set()
    for number in range(12):
        own = prompt_of(random.randrange(1, 200), seed + number)
        prompt = shared[: random.randrange(200)] + own
        said = random.choice((0, random.randrange(len(prompt))))
        model.ask(number, prompt, said, singly=singly)
        for _ in range(random.randrange(12)):
            model.step()
            if random.random() < 0.05:
                model.make_room(singly=singly)
        for other in range(number + 1):
            ended = len(model.answers[other]) >= 10 or random.random() < 0.03
            if other not in left and ended:
                left.add(other)
                model.scheduler.remove(other)
    for _ in range(2000):
        if len(left) == 12:
            break
        model.step()
        for other in set(range(12)) - left:
            if len(model.answers[other]) >= 10:
                left.add(other)
                model.scheduler.remove(other)
    assert len(left) == 12, "somebody starves"
    if pair_rows and slots > 1:
        assert all(no_row_is_alone(step) for step in model.steps)
    assert len(model.scheduler) == 0
    assert not any(slot.busy for slot in model.scheduler.slots)
