"""Model files that lie: whole but for one number."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from tests.node_agent.engine.gguf_files import RandomModel

_U32 = 4  # GGUF's number for the type
_STRING = 8
_ARRAY = 9


def number(key: str, value: int, model: bytes) -> bytes:
    """Let ``key``, a whole number of 32 bits, be another one."""
    at = _after_key(model, key)
    assert struct.unpack_from("<I", model, at) == (_U32,), key
    return _patched(model, at + 4, struct.pack("<I", value))


def items(key: str, count: int, model: bytes) -> bytes:
    """Let the list at ``key`` say that it has so many items."""
    at = _after_key(model, key)
    assert struct.unpack_from("<I", model, at) == (_ARRAY,), key
    return _patched(model, at + 8, struct.pack("<Q", count))


def first_text(key: str, length: int, model: bytes) -> bytes:
    """Let the first text of the list at ``key`` say that it has so many bytes."""
    at = _after_key(model, key)
    assert struct.unpack_from("<II", model, at) == (_ARRAY, _STRING), key
    return _patched(model, at + 16, struct.pack("<Q", length))


def sizes(tensor: str, dimensions: tuple[int, ...], model: bytes) -> bytes:
    """Let a tensor say that it is of these dimensions."""
    at = _after_key(model, tensor)
    (count,) = struct.unpack_from("<I", model, at)
    assert count == len(dimensions), tensor
    return _patched(model, at + 4, struct.pack(f"<{count}Q", *dimensions))


def place(tensor: str, offset: int, model: bytes) -> bytes:
    """Let a tensor say that it begins there."""
    at = _after_key(model, tensor)
    (count,) = struct.unpack_from("<I", model, at)
    return _patched(model, at + 4 + 8 * count + 4, struct.pack("<Q", offset))


def counts(tensors: int, keys: int, model: bytes) -> bytes:
    """Let the file say that it has so many tensors and keys."""
    return _patched(model, 8, struct.pack("<QQ", tensors, keys))


Lie = Callable[[bytes], bytes]

LIES: dict[str, Lie] = {
    "context of 2**31": partial(number, "llama.context_length", 2**31),
    "context of 2**32 - 1": partial(number, "llama.context_length", 2**32 - 1),
    "no context": partial(number, "llama.context_length", 0),
    "no heads": partial(number, "llama.attention.head_count", 0),
    "more heads than width": partial(number, "llama.attention.head_count", 10**6),
    "no heads for keys": partial(number, "llama.attention.head_count_kv", 0),
    "too many heads for keys": partial(number, "llama.attention.head_count_kv", 2**31),
    "no layers": partial(number, "llama.block_count", 0),
    "2**31 layers": partial(number, "llama.block_count", 2**31),
    "one layer too many": partial(number, "llama.block_count", 3),
    "no width": partial(number, "llama.embedding_length", 0),
    "width of 2**31": partial(number, "llama.embedding_length", 2**31),
    "vast rope": partial(number, "llama.rope.dimension_count", 2**31),
    "end that is no token": partial(number, "tokenizer.ggml.eos_token_id", 10**9),
    "2**40 tokens": partial(items, "tokenizer.ggml.tokens", 2**40),
    "2**63 tokens": partial(items, "tokenizer.ggml.tokens", 2**63),
    "fewer tokens than there are": partial(items, "tokenizer.ggml.tokens", 10),
    "token of 2**62 bytes": partial(first_text, "tokenizer.ggml.tokens", 2**62),
    "2**40 token types": partial(items, "tokenizer.ggml.token_type", 2**40),
    "vast tensor": partial(sizes, "token_embd.weight", (64, 2**40)),
    "tensor that overflows": partial(sizes, "token_embd.weight", (2**33, 2**33)),
    "tensor of no rows": partial(sizes, "token_embd.weight", (64, 0)),
    "tensor of negative rows": partial(sizes, "token_embd.weight", (64, 2**64 - 1)),
    "tensor of another shape": partial(sizes, "token_embd.weight", (65, 260)),
    "tensor beyond the file": partial(place, "output.weight", 2**40),
    "tensor that begins askew": partial(place, "output.weight", 7),
    "2**60 keys": partial(counts, 21, 2**60),
    "2**60 tensors": partial(counts, 2**60, 20),
    "no tensors": partial(counts, 0, 20),
    "keys that are missing": partial(counts, 21, 200),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LyingVocabulary(RandomModel):
    """Has more rows of embeddings than it has words, or fewer."""

    rows_more: int

    def weights(self, name: str, rows: int, columns: int) -> np.ndarray:
        if name in {"token_embd", "output"}:
            rows += self.rows_more
        return super(LyingVocabulary, self).weights(name, rows, columns)


def _after_key(model: bytes, key: str) -> int:
    encoded = struct.pack("<Q", len(key)) + key.encode()
    at = model.index(encoded)
    return at + len(encoded)


def _patched(model: bytes, at: int, patch: bytes) -> bytes:
    return model[:at] + patch + model[at + len(patch) :]
