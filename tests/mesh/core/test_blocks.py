"""Hashes of a prompt's beginnings: shared by what begins alike, and by nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.blocks import (
    BLOCK_BYTES,
    BLOCKS_MAX,
    block_hashes,
    call_piece,
    canonical_bytes,
    message_piece,
    tool_piece,
)
from mesh.core.chat import Message, Role, Tool, ToolCall
from mesh.core.types import ModelId

KEY, MODEL = b"k" * 32, ModelId("0123456789abcdef-01234567")
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
pieces = st.lists(st.builds(message_piece, st.sampled_from(Role), text, text, text), max_size=6)


def say(characters: int, role: Role = Role.USER) -> bytes:
    return message_piece(role, "", "", "ä" * characters)


@given(pieces, pieces)
def test_what_is_appended_extends_the_chain_and_changes_none_of_it(
    begun: list[bytes], more: list[bytes]
) -> None:
    before = block_hashes(MODEL, begun, key=KEY)
    assert block_hashes(MODEL, begun + more, key=KEY)[: len(before)] == before
    assert len(before) == len(b"".join(begun)) // BLOCK_BYTES


def test_a_change_changes_every_hash_from_its_block_on_and_none_before() -> None:
    chain = block_hashes(MODEL, [say(2000)], key=KEY)
    other = block_hashes(MODEL, [say(1500), say(500)], key=KEY)
    long = message_piece(Role.USER, "", "", "ä" * 1500 + "b" + "ä" * 499)
    changed = block_hashes(MODEL, [long], key=KEY)
    at = 3000 // BLOCK_BYTES
    for each in (changed, other):  # the same words in two messages are another prompt, too
        assert each[:at] == chain[:at]
        assert not set(each[at:]) & set(chain)


@given(text, text, text)
def test_a_message_that_goes_on_otherwise_shares_what_it_begins_with(
    shared: str, one: str, other: str
) -> None:
    shared *= 10
    chains = [
        block_hashes(MODEL, [message_piece("user", "", "", shared + end)], key=KEY)
        for end in (one, other)
    ]
    alike = len(shared.encode()) // BLOCK_BYTES
    assert chains[0][:alike] == chains[1][:alike]


def test_another_model_or_another_key_shares_no_hash() -> None:
    chain = set(block_hashes(MODEL, [say(2000)], key=KEY))
    assert not chain & set(block_hashes(ModelId("other"), [say(2000)], key=KEY))
    assert not chain & set(block_hashes(MODEL, [say(2000)], key=b"j" * 32))


def test_fields_that_join_to_the_same_words_are_told_apart() -> None:
    filler = say(300)
    chains = [
        block_hashes(MODEL, [*told, filler], key=KEY)
        for told in (
            [message_piece("user", "ab", "", "c")],
            [message_piece("user", "a", "b", "c")],
            [message_piece("user", "a", "", "bc")],
            [tool_piece("a", "b", "c")],
            [tool_piece("ab", "", "c")],
            [call_piece("a", "b", "c")],
        )
    ]
    assert len({chain[0] for chain in chains}) == len(chains)


def test_no_more_is_hashed_or_read_than_the_most() -> None:
    def endless() -> "list[bytes]":
        return [say(BLOCK_BYTES) for _ in range(3 * BLOCKS_MAX)]

    drawn = iter(endless())
    chain = block_hashes(MODEL, drawn, key=KEY)
    assert len(chain) == BLOCKS_MAX
    assert next(drawn, None) is not None, "it read on when it had enough"
    assert len(block_hashes(MODEL, [say(10_000_000)], key=KEY)) == BLOCKS_MAX


@given(st.lists(text, min_size=1, max_size=4))
def test_the_canonical_bytes_are_those_that_have_hashes(texts: list[str]) -> None:
    calls = tuple(ToolCall("1", "look", text) for text in texts)
    messages = [Message(Role.ASSISTANT, text, calls, "id", "name") for text in texts]
    tools = [Tool("look", text, "{}") for text in texts]
    written = [tool_piece(each.name, each.description, each.parameters_json) for each in tools]
    for message in messages:
        written.append(message_piece("assistant", "name", "id", message.text))
        written += [call_piece(call.id, call.name, call.arguments_json) for call in calls]
    assert canonical_bytes(tools, messages) == len(b"".join(written))
