"""Makes small embedding models that llama.cpp runs for real: encoders, one letter a token."""

import string
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from gguf import PoolingType

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# A word's first letter is another token than one inside it: llama.cpp marks the first with "▁".
LETTERS = string.ascii_lowercase + string.digits
_TOKENS = [*_SPECIAL, *(f"▁{letter}" for letter in LETTERS), *LETTERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderModel:
    """A BERT of random weights: every token sees every other one."""

    pooling: PoolingType | None = PoolingType.MEAN
    layers: int = 2
    width: int = 64
    heads: int = 2
    feed_forward: int = 96
    context_tokens: int = 256
    seed: int = 0
    broken: bool = False  # its numbers are none

    def write(self, path: Path) -> Path:
        """Write the file and return its path."""
        writer = gguf.GGUFWriter(path, "bert")
        writer.add_context_length(self.context_tokens)
        writer.add_embedding_length(self.width)
        writer.add_block_count(self.layers)
        writer.add_feed_forward_length(self.feed_forward)
        writer.add_head_count(self.heads)
        writer.add_layer_norm_eps(1e-5)
        writer.add_causal_attention(False)
        if self.pooling is not None:
            writer.add_pooling_type(self.pooling)
        _write_tokenizer(writer)
        self._write_tensors(writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def _write_tensors(self, writer: gguf.GGUFWriter) -> None:
        random = np.random.default_rng(self.seed)

        def matrix(name: str, rows: int, columns: int) -> None:
            values = random.standard_normal((rows, columns)) * 0.3
            if self.broken:
                values[:] = np.nan
            writer.add_tensor(f"{name}.weight", values.astype(np.float32))

        def bias(name: str, count: int) -> None:
            values = random.standard_normal(count) * 0.1
            writer.add_tensor(f"{name}.bias", values.astype(np.float32))

        def norm(name: str) -> None:
            writer.add_tensor(f"{name}.weight", np.ones(self.width, np.float32))
            bias(name, self.width)

        matrix("token_embd", len(_TOKENS), self.width)
        matrix("token_types", 2, self.width)
        matrix("position_embd", self.context_tokens, self.width)
        norm("token_embd_norm")
        for layer in range(self.layers):
            for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
                matrix(f"blk.{layer}.{name}", self.width, self.width)
                bias(f"blk.{layer}.{name}", self.width)
            norm(f"blk.{layer}.attn_output_norm")
            matrix(f"blk.{layer}.ffn_up", self.feed_forward, self.width)
            bias(f"blk.{layer}.ffn_up", self.feed_forward)
            matrix(f"blk.{layer}.ffn_down", self.width, self.feed_forward)
            bias(f"blk.{layer}.ffn_down", self.width)
            norm(f"blk.{layer}.layer_output_norm")


def _write_tokenizer(writer: gguf.GGUFWriter) -> None:
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("bert")
    writer.add_token_list(_TOKENS)
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_token_types([control] * len(_SPECIAL) + [normal] * (2 * len(LETTERS)))
    writer.add_token_type_count(2)
    for add, token in (
        (writer.add_pad_token_id, "[PAD]"),
        (writer.add_unk_token_id, "[UNK]"),
        (writer.add_bos_token_id, "[CLS]"),
        (writer.add_sep_token_id, "[SEP]"),
        (writer.add_mask_token_id, "[MASK]"),
    ):
        add(_TOKENS.index(token))
