"""What of a GGUF header decides how much memory a model takes. Only for the reader child.

Keys are those of ``gguf.constants.Keys``, each for all layers or a list with one for each; tensors
tell which layers attend, and which are recurrent. What a header does not tell counts as nothing:
the first load measures it (``node_agent.reckoning``).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gguf.constants import GGUFValueType, Keys
from gguf.gguf_reader import GGUFReader, ReaderTensor

from mesh.core.footprint import Shape
from node_agent.repacking import processor_features, repacks

LAYERS_MAX = 1_024  # that are counted; the largest models have 126
HALF_BYTES, FLOAT_BYTES = 2, 4
_NUMBER_MAX = 1 << 40  # a header's lies must stay numbers that add up


def read_shape(
    reader: GGUFReader, architecture: str, tensors: Sequence[ReaderTensor], *, encoder: bool
) -> Shape:
    """Return the shape; zeros where the header tells nothing, or something absurd.

    Args:
        tensors: of all files, where the model is split and ``reader`` that of the first.
    """
    keys = _Keys(reader, architecture)
    blocks = _Blocks.of(tensors)
    weights = _Weights.of(tensors)
    heads = keys.numbers(Keys.Attention.HEAD_COUNT)
    width = keys.number(Keys.LLM.EMBEDDING_LENGTH)
    key_width = keys.number(Keys.Attention.KEY_LENGTH) or (width // max(heads) if any(heads) else 0)
    queries = keys.number(Keys.Attention.KEY_LENGTH_MLA) or key_width
    return Shape(
        weights_bytes=weights.all_bytes,
        repacked_bytes=weights.repacked_bytes,
        replaced_bytes=weights.replaced_bytes,
        cache_bytes_per_token=0 if encoder else _cache_bytes(keys, blocks, key_width),
        state_bytes=_state_bytes(keys, blocks, width),
        width=width,
        layers=keys.number(Keys.LLM.BLOCK_COUNT),
        heads=max(heads, default=0) if blocks.attending else 0,
        head_width=max(key_width, queries),
        feed_forward=max(keys.numbers(Keys.LLM.FEED_FORWARD_LENGTH), default=0),
        experts_used=keys.number(Keys.LLM.EXPERT_USED_COUNT),
        expert_width=keys.number(Keys.LLM.EXPERT_FEED_FORWARD_LENGTH),
        windowed=keys.number(Keys.Attention.SLIDING_WINDOW) > 0,
        inner=keys.number(Keys.SSM.INNER_SIZE) if blocks.recurrent else 0,
        words=_items(reader, Keys.Tokenizer.LIST),
        merges=_items(reader, Keys.Tokenizer.MERGES),
        encoder=encoder,
    )


class _Keys:
    """The numbers of one architecture in a header."""

    def __init__(self, reader: GGUFReader, architecture: str) -> None:
        self._reader = reader
        self._architecture = architecture

    def numbers(self, key: str) -> list[int]:
        """Return what a key says: one number, or one for each layer; none if it says neither."""
        field = self._reader.get_field(key.format(arch=self._architecture))
        if field is None or not field.types or "INT" not in field.types[-1].name:
            return []
        said = [int(field.parts[index][0]) for index in field.data]
        return [number for number in said[:LAYERS_MAX] if 0 <= number < _NUMBER_MAX]

    def number(self, key: str) -> int:
        return max(self.numbers(key), default=0)


@dataclass(frozen=True, slots=True)
class _Blocks:
    """What layers are there, by number."""

    attending: frozenset[int]
    recurrent: frozenset[int]

    @classmethod
    def of(cls, tensors: Iterable[ReaderTensor]) -> "_Blocks":
        attending, recurrent = set(), set()
        for tensor in tensors:
            block, number, *rest = (*tensor.name.split("."), "", "")
            if block != "blk" or not number.isdigit():
                continue
            if rest[0] in ("attn_k", "attn_qkv", "attn_kv_a_mqa"):
                attending.add(int(number))
            if rest[0] in ("ssm_conv1d", "shortconv", "time_mix_w1"):
                recurrent.add(int(number))
                if rest[0] == "ssm_conv1d":  # its fused projection is called attn_qkv in some
                    attending.discard(int(number))
        return cls(frozenset(attending), frozenset(recurrent))


def _cache_bytes(keys: _Keys, blocks: _Blocks, key_width: int) -> int:
    """Return what a token's keys and values take in the layers that keep them.

    Latent attention (DeepSeek's) keeps one row for all heads, and makes values of it.
    """
    value_width = keys.number(Keys.Attention.VALUE_LENGTH) or key_width
    latent = keys.number(Keys.Attention.KEY_LENGTH_MLA) > 0
    layers = min(keys.number(Keys.LLM.BLOCK_COUNT), LAYERS_MAX)
    own = layers - min(layers, keys.number(Keys.Attention.SHARED_KV_LAYERS))
    heads = keys.numbers(Keys.Attention.HEAD_COUNT)
    heads_kv = keys.numbers(Keys.Attention.HEAD_COUNT_KV) or heads
    floats = 0
    for layer in range(own):
        if layer in blocks.recurrent and layer not in blocks.attending:
            continue
        if latent:
            floats += key_width
        elif heads_kv:
            floats += heads_kv[min(layer, len(heads_kv) - 1)] * (key_width + value_width)
    return floats * HALF_BYTES


def _state_bytes(keys: _Keys, blocks: _Blocks, width: int) -> int:
    """Return a sequence's state in recurrent layers (``llama-hparams.cpp``: n_embd_r, n_embd_s)."""
    inner, state = keys.number(Keys.SSM.INNER_SIZE), keys.number(Keys.SSM.STATE_SIZE)
    groups, kernel = keys.number(Keys.SSM.GROUP_COUNT), keys.number(Keys.SSM.CONV_KERNEL)
    floats = max(0, kernel - 1) * (inner + 2 * groups * state) + state * inner
    head = keys.number("{arch}.wkv.head_size")
    if head:
        floats = width * (head + max(1, keys.number("{arch}.token_shift_count")))
    short = keys.number("{arch}.shortconv.l_cache")
    if short:
        floats = width * (short - 1)
    return floats * FLOAT_BYTES * len(blocks.recurrent)


@dataclass(frozen=True, slots=True)
class _Weights:
    """How many bytes the tensors have, and which of them the processor holds anew."""

    all_bytes: int
    repacked_bytes: int
    replaced_bytes: int

    @classmethod
    def of(cls, tensors: Iterable[ReaderTensor]) -> "_Weights":
        tensors = list(tensors)
        tied = all(tensor.name != "output.weight" for tensor in tensors)
        every, repacked, replaced = 0, 0, 0
        for tensor in tensors:
            size = int(tensor.n_bytes)
            every += size
            looked_up = "embd" in tensor.name  # a row at a time, never multiplied
            if len(tensor.shape) < 2 or (looked_up and not (tied and _is_words(tensor))):
                continue
            if repacks(tensor.tensor_type.name, int(tensor.shape[1]), processor_features()):
                repacked += size
                replaced += 0 if looked_up else size
        return cls(every, repacked, replaced)


def _is_words(tensor: ReaderTensor) -> bool:
    """It is the output, too, where there is none: ggml holds it anew beside the first."""
    return bool(tensor.name == "token_embd.weight")


def _items(reader: GGUFReader, key: str) -> int:
    """Return how many items an array has, read or stepped over."""
    field = reader.get_field(key)
    if field is None or not field.types or field.types[0] != GGUFValueType.ARRAY:
        return 0
    return len(field.data) or int(field.parts[-1][0])  # see ``header._Reader``
