"""Which slot a prompt goes to: it loses nothing that it need not, and takes what others hold."""

from hypothesis import given
from hypothesis import strategies as st

from node_agent.engine.prefixes import COPY_TOKENS_MIN, Place, Slots, shared_tokens

TEMPLATE = list(range(20))  # all prompts of a model begin so


def talk(topic: int, tokens: int = 300) -> list[int]:
    return TEMPLATE + [1000 * topic + number for number in range(tokens)]


def ask(slots: Slots, prompt: list[int]) -> Place:
    """Take a slot for a prompt, read it, and give the slot back."""
    place = slots.take(prompt)
    assert place is not None
    place.slot.held[:] = prompt
    slots.free(place.slot)
    return place


def test_conversations_that_only_begin_alike_leave_each_others_slots() -> None:
    slots = Slots(3)
    taken = [ask(slots, talk(topic)).slot.index for topic in (1, 2, 3)]
    assert sorted(taken) == [0, 1, 2]
    for topic in (1, 2, 3):
        assert ask(slots, [*talk(topic), 7, 8, 9]).kept == len(talk(topic))


def test_the_one_used_longest_ago_leaves_first() -> None:
    slots = Slots(2)
    first, second = ask(slots, talk(1)), ask(slots, talk(2))
    ask(slots, [*talk(1), 7, 8, 9])
    assert ask(slots, talk(3)).slot is second.slot
    assert ask(slots, [*talk(1), 7, 8, 9, 10, 11]).slot is first.slot


def test_a_branch_takes_a_copy_where_its_trunk_would_be_lost() -> None:
    slots = Slots(2)
    trunk = ask(slots, talk(1, 1000))
    branch = [*talk(1, 200), 7, 8, 9]
    place = ask(slots, branch)
    assert (place.copy_from, place.kept) == (trunk.slot, len(talk(1, 200)))
    assert ask(slots, [*talk(1, 1000), 7, 8]).slot is trunk.slot


def test_a_turn_that_is_asked_again_stays_in_its_slot() -> None:
    slots = Slots(2)
    turn = ask(slots, [*talk(1, 500), *range(9000, 9100)])  # with its answer
    again = ask(slots, [*talk(1, 500), 7, 8, 9])
    assert (again.slot, again.kept, again.copy_from) == (turn.slot, len(talk(1, 500)), None)


def test_what_the_oldest_slot_holds_is_kept_without_a_copy() -> None:
    slots = Slots(1)
    ask(slots, talk(1, 1000))
    place = ask(slots, [*talk(1, 200), 7, 8, 9])
    assert (place.kept, place.copy_from) == (len(talk(1, 200)), None)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 400), st.booleans()), max_size=30))
def test_a_place_keeps_what_its_source_shares_and_never_far_less_than_the_best(
    asked: list[tuple[int, int, bool]],
) -> None:
    slots = Slots(3)
    for topic, tokens, stays in asked:
        prompt = talk(topic, tokens)
        best = max(shared_tokens(slot.held, prompt) for slot in slots)
        place = slots.take(prompt)
        if place is None:
            assert all(slot.busy for slot in slots)
            return
        source = place.copy_from or place.slot
        assert source is not place.slot or place.copy_from is None
        assert place.kept == shared_tokens(source.held, prompt) > best - COPY_TOKENS_MIN
        place.slot.held[:] = prompt
        if not stays:
            slots.free(place.slot)
