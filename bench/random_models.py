"""Model files of realistic size with random weights: speed does not depend on what they say.

The shapes are those of two small models that people run (SmolLM2-135M, Qwen2.5-0.5B), as
published in their configurations, in llama.cpp's "llama" architecture. No answer of theirs ends by
itself: every side of a comparison gives as many tokens as it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import platformdirs
from numpy.typing import NDArray

from models.tokenizer import CHAT_TEMPLATE, END, SPECIAL, VOCABULARY_SIZE, vocabulary

CONTEXT_TOKENS = 8192
_FORM = 1  # of the files: whoever changes what is written below counts it up
_SCALE = 0.05  # of the weights: activations stay far from what a half-precision cache can hold
_DRAWN = 1 << 20  # random numbers, used again and again: making 500 million would take a minute


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the cost of a model."""

    name: str
    width: int
    layers: int
    heads: int
    heads_kv: int
    feed_forward: int
    words: int  # of its vocabulary


SMALL = Shape("135m", 576, 30, 9, 3, 1536, 49_152)
MEDIUM = Shape("0.5b", 896, 24, 14, 2, 4864, 151_936)
# Its logits are close: what rounds otherwise says something else.
CLOSE = Shape("close", 64, 4, 4, 2, 192, 512)
TYPES = {
    "f16": gguf.GGMLQuantizationType.F16,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
    "q4_0": gguf.GGMLQuantizationType.Q4_0,
}


def cached_model(shape: Shape, type_name: str) -> Path:
    """Return the path of such a file in this user's cache; made once, in 3 to 10 seconds."""
    folder = platformdirs.user_cache_path("deskmesh") / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return random_model(shape, type_name, folder)


def random_model(shape: Shape, type_name: str, folder: Path, *, seed: int = 0) -> Path:
    """Write the file unless it is there, and return its path."""
    path = folder / f"random-{_FORM}-{shape.name}-{type_name}-{seed}.gguf"
    if path.exists():
        return path
    print(f"making {path.name}, once", flush=True)
    partial = path.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "llama")
    _describe(writer, shape, path.stem)
    _fill(writer, shape, TYPES[type_name], seed)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return partial.replace(path)


def _describe(writer: gguf.GGUFWriter, shape: Shape, name: str) -> None:
    writer.add_name(name)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads_kv)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(100_000.0)
    writer.add_vocab_size(shape.words)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    spare = shape.words - VOCABULARY_SIZE
    writer.add_token_list([*vocabulary(), *(f"w{number:06}" for number in range(spare))])
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_token_types([normal] * 256 + [control] * len(SPECIAL) + [normal] * spare)
    writer.add_token_merges([f"{SPECIAL[0]} {SPECIAL[0]}"])  # llama.cpp insists on one
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _fill(
    writer: gguf.GGUFWriter, shape: Shape, type_: gguf.GGMLQuantizationType, seed: int
) -> None:
    random = np.random.default_rng(seed)
    drawn = (random.standard_normal(_DRAWN) * _SCALE).astype(np.float32)

    def matrix(name: str, rows: int, columns: int, *, without: Sequence[int] = ()) -> None:
        # Rolled by a random step for each matrix, so that no two layers are the same.
        values: NDArray[np.float32] = np.resize(
            np.roll(drawn, int(random.integers(_DRAWN))), (rows, columns)
        )
        values[list(without)] = 0.0
        writer.add_tensor(f"{name}.weight", gguf.quantize(values, type_), raw_dtype=type_)

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(shape.width, np.float32))

    width_kv = shape.width // shape.heads * shape.heads_kv
    # The last layer is the first one: a row of zeros gives a logit of 0, while those of thousands
    # of other tokens are above. So what would end an answer is never among the top 40.
    matrix("token_embd", shape.words, shape.width, without=range(256, VOCABULARY_SIZE))
    norm("output_norm")
    for layer in range(shape.layers):
        block = f"blk.{layer}"
        norm(f"{block}.attn_norm")
        norm(f"{block}.ffn_norm")
        matrix(f"{block}.attn_q", shape.width, shape.width)
        matrix(f"{block}.attn_k", width_kv, shape.width)
        matrix(f"{block}.attn_v", width_kv, shape.width)
        matrix(f"{block}.attn_output", shape.width, shape.width)
        matrix(f"{block}.ffn_gate", shape.feed_forward, shape.width)
        matrix(f"{block}.ffn_up", shape.feed_forward, shape.width)
        matrix(f"{block}.ffn_down", shape.width, shape.feed_forward)
