"""What is told of the slots: every block that is held, none that is not, seldom enough."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.blocks import BLOCK_BYTES, canonical_bytes
from mesh.core.chat import Message, Role
from mesh.core.generation import Generation, Sampling
from mesh.core.types import PREFIXES_MAX, PrefixHeld
from node_agent.engine.held_prefixes import NOTHING, TELL_EVERY_S, Chain, HeldPrefixes
from node_agent.engine.prefixes import Slot, Slots

CHAIN = Chain((11, 12, 13), (100, 200, 300))


def place(held: HeldPrefixes, slots: Slots, prompt: list[int], chain: Chain = NOTHING) -> Slot:
    """Take a slot for a prompt, and let it be read whole."""
    taken = slots.take(prompt)
    assert taken is not None
    taken.slot.held[:] = prompt
    held.placed(taken.slot, chain, kept=taken.kept, source=taken.copy_from)
    return taken.slot


def test_a_blocks_end_lies_where_the_same_share_of_the_tokens_does() -> None:
    message = Message(Role.USER, "x" * 2000)
    work = Generation((message,), Sampling(), 1, block_hashes=(1, 2, 3))
    chain = Chain.of(work, 500)
    size_bytes = canonical_bytes((), (message,))
    assert chain.hashes == (1, 2, 3)
    assert chain.tokens == tuple(500 * BLOCK_BYTES * end // size_bytes for end in (1, 2, 3))
    assert Chain.of(Generation((message,), Sampling(), 1), 500) == NOTHING


@given(st.integers(0, 3000), st.integers(0, 20), st.integers(1, 9000))
def test_no_block_ends_beyond_the_prompt(characters: int, hashes: int, tokens: int) -> None:
    work = Generation(
        (Message(Role.USER, "x" * characters),), Sampling(), 1, block_hashes=tuple(range(hashes))
    )
    chain = Chain.of(work, tokens)
    assert len(chain.hashes) == len(chain.tokens) <= hashes
    assert list(chain.tokens) == sorted(chain.tokens)
    assert all(0 <= each <= tokens for each in chain.tokens)


def test_blocks_are_told_from_the_last_one_and_the_slot_used_last() -> None:
    slots = Slots(2)
    held = HeldPrefixes(slots)
    place(held, slots, [1] * 320, CHAIN)
    place(held, slots, [2] * 120, Chain((21,), (110,)))
    assert held.held() == (
        PrefixHeld(21, 110),
        *(PrefixHeld(13, 300), PrefixHeld(12, 200), PrefixHeld(11, 100)),
    )


def test_a_block_is_held_once_its_tokens_are_read_and_until_they_are_cut() -> None:
    slots = Slots(1)
    held = HeldPrefixes(slots)
    slot = place(held, slots, [1] * 320, CHAIN)
    for tokens, blocks in ((99, ()), (100, (11,)), (299, (12, 11)), (320, (13, 12, 11))):
        slot.held[:] = [1] * tokens
        assert tuple(each.block_hash for each in held.held()) == blocks


def test_a_prompt_without_hashes_leaves_those_of_what_it_shares() -> None:
    slots = Slots(1)
    held = HeldPrefixes(slots)
    slots.free(place(held, slots, [1] * 320, CHAIN))
    place(held, slots, [1] * 250 + [9] * 500)
    assert [each.block_hash for each in held.held()] == [12, 11]


def test_a_copied_beginning_brings_its_blocks_along() -> None:
    slots = Slots(2)
    held = HeldPrefixes(slots)
    source = place(held, slots, [1] * 320, CHAIN)
    target = place(held, slots, [1] * 250 + [9] * 50)
    assert target is not source
    assert held.chain(target).hashes == (11, 12)
    assert [each.block_hash for each in held.held()] == [12, 11, 13], "each is told once"


def test_as_much_is_told_as_may_be_and_each_slots_last_block_always() -> None:
    slots = Slots(3)
    held = HeldPrefixes(slots)
    for number in range(3):
        chain = Chain(tuple(range(1000 * number, 1000 * number + 500)), tuple(range(1, 501)))
        place(held, slots, [number] * 501, chain)
    told = held.held()
    assert len(told) == PREFIXES_MAX
    assert {499, 1499, 2499} <= {each.block_hash for each in told}
    gaps = sorted(each.block_hash for each in told if each.block_hash < 500)
    assert max(b - a for a, b in zip([-1, *gaps], gaps, strict=False)) <= 500 // (64 // 3) + 1


def test_news_are_told_once_and_no_sooner_than_allowed() -> None:
    slots = Slots(1)
    held = HeldPrefixes(slots)
    assert held.news(0.0, idle=True) is None
    slot = place(held, slots, [1] * 320, CHAIN)
    slot.held[:] = [1] * 100
    assert held.news(1.0, idle=False) == (PrefixHeld(11, 100),)
    slot.held[:] = [1] * 320
    assert held.news(1.0 + TELL_EVERY_S / 2, idle=True) is None
    assert held.wait_s(1.0 + TELL_EVERY_S / 2) == TELL_EVERY_S / 2
    assert len(held.news(1.0 + TELL_EVERY_S, idle=True) or ()) == 3
    assert held.news(9.0, idle=True) is None


def test_an_idle_engine_that_has_told_everything_waits_for_a_prompt() -> None:
    slots = Slots(1)
    held = HeldPrefixes(slots)
    assert held.wait_s(0.0) is None
    place(held, slots, [1] * 320, CHAIN)
    held.news(1.0, idle=False)
    assert held.wait_s(2.0) == 0.0, "its prompt may be read further"
    held.news(2.0, idle=True)
    assert held.wait_s(2.0) is None
