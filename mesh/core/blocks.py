"""The hashes of a prompt's beginnings, by which a coordinator knows what a node still holds. Pure.

A coordinator has no tokenizer, so beginnings are counted in bytes of the canonical request: its
tools, then its messages, each field with a byte behind it that no text has. Whatever is appended,
to a conversation or to its last message, extends these bytes and changes none before. They are cut
into blocks; a block's hash covers the model and every byte up to the block's end, so two requests
that share a hash share all that comes before it. What follows the last whole block has no hash.

Keyed, because whoever sees hashes without the key (a log, a page, another mesh) could otherwise try
likely prompts until one fits. A node learns the hashes of the prompts that it is sent, and no more.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from mesh.core.chat import Message, Tool
from mesh.core.types import ModelId

BLOCK_BYTES: Final = 512
# The first 512 KiB of a prompt: contexts of 131,072 tokens at four bytes each, the longest that
# desks serve. What lies beyond is read in minutes, and hashing up to here takes milliseconds. The
# hashes of one prompt take 8 KiB of a command whose request may have 64 KiB.
BLOCKS_MAX: Final = 1024
HASHED_BYTES_MAX: Final = BLOCKS_MAX * BLOCK_BYTES
_END = b"\xff"  # of a field: in no UTF-8, so no two requests are written alike
_HASH_BYTES = 8  # a million blocks held in a mesh: two are alike with a chance of 1 in 37 million


def block_hashes(model_id: ModelId, pieces: Iterable[bytes], *, key: bytes) -> tuple[int, ...]:
    """Return the hash of each whole block, at most ``BLOCKS_MAX``.

    Args:
        model_id: whose prompt it is.
        pieces: the canonical request, as the functions below write it; read as far as needed.
        key: at most 64 bytes.
    """
    hashed = memoryview(_beginning(pieces))
    state = blake2b(_piece(b"", model_id), digest_size=_HASH_BYTES, key=key)
    hashes = []
    for end in range(BLOCK_BYTES, len(hashed) + 1, BLOCK_BYTES):
        state.update(hashed[end - BLOCK_BYTES : end])
        hashes.append(int.from_bytes(state.digest(), "big"))
    return tuple(hashes)


def canonical_bytes(tools: Iterable[Tool], messages: Iterable[Message]) -> int:
    """Return how long a canonical request is, whatever part of it has hashes."""
    written = [tool_piece(each.name, each.description, each.parameters_json) for each in tools]
    for message in messages:
        told = (message.role, message.name, message.tool_call_id, message.text)
        written.append(message_piece(*told, most=None))
        calls = ((call.id, call.name, call.arguments_json) for call in message.tool_calls)
        written += (call_piece(*call) for call in calls)
    return sum(map(len, written))


def tool_piece(name: str, description: str, parameters_json: str) -> bytes:
    """Write a tool that the model may call. Tools come first, in their order."""
    return _piece(b"T", name, description, parameters_json)


def message_piece(
    role: str, name: str, tool_call_id: str, text: str, *, most: int | None = HASHED_BYTES_MAX
) -> bytes:
    """Write a message but for its calls, which follow. ``most``: characters of text needed.

    In one go, as there may be many of them before a first token. Its text comes last, so that one
    that goes on otherwise shares what it begins with.
    """
    sizes = f"M{role}:{len(name)}:{len(tool_call_id)}:"
    written = f"{sizes}{name}{tool_call_id}{text[:most]}"
    return written.encode("utf-8", "surrogatepass") + _END


def call_piece(call_id: str, name: str, arguments_json: str) -> bytes:
    """Write a call that the message before has made."""
    return _piece(b"C", call_id, name, arguments_json)


def _piece(kind: bytes, *fields: str) -> bytes:
    return kind + b"".join([field.encode("utf-8", "surrogatepass") + _END for field in fields])


def _beginning(pieces: Iterable[bytes]) -> bytes:
    """Return at most ``HASHED_BYTES_MAX`` bytes."""
    taken: list[bytes] = []
    room = HASHED_BYTES_MAX
    for piece in pieces:
        taken.append(piece)
        room -= len(piece)
        if room <= 0:
            break
    return b"".join(taken)[:HASHED_BYTES_MAX]
