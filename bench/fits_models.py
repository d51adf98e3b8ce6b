"""Model files of several architectures whose weights say nothing: only their shapes matter here.

Shapes are scaled from those of models that people run, so that each fits a desk and loads fast.
Tensors are named as ``gguf.constants`` names them. All weights of a kind are the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

from models.tokenizer import CHAT_TEMPLATE, END, SPECIAL, VOCABULARY_SIZE, vocabulary

CONTEXT_TOKENS = 32_768
_SCALE = 0.05
_TYPES = {kind.name: kind for kind in gguf.GGMLQuantizationType}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What decides how much memory a model takes, and how it is written."""

    name: str
    architecture: str = "llama"
    type_name: str = "Q8_0"
    width: int = 512
    layers: int = 8
    heads: int = 8
    heads_kv: int = 2
    head_width: int = 64
    feed_forward: int = 1536
    words: int = 32_000
    merges: int = 1
    window: int = 0
    experts: int = 0
    experts_used: int = 0
    inner: int = 0  # of a recurrent layer
    state: int = 16
    tied: bool = True


def write(made: Made, folder: Path) -> Path:
    """Write the file and return its path."""
    path = folder / f"{made.name}.gguf"
    writer = gguf.GGUFWriter(path, made.architecture)
    _describe(writer, made)
    _tokenise(writer, made)
    tensors = _Tensors(writer, made)
    tensors.matrix("token_embd", made.words, made.width)
    if not made.tied:
        tensors.matrix("output", made.words, made.width)
    if made.architecture == "bert":
        tensors.around_encoder()
    else:
        tensors.norm("output_norm", made.width)
    for layer in range(made.layers):
        tensors.layer(f"blk.{layer}")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(writer: gguf.GGUFWriter, made: Made) -> None:
    writer.add_context_length(CONTEXT_TOKENS if made.architecture != "bert" else 512)
    writer.add_embedding_length(made.width)
    writer.add_block_count(made.layers)
    writer.add_feed_forward_length(0 if made.inner else made.feed_forward)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(made.words)
    if made.inner:
        writer.add_ssm_conv_kernel(4)
        writer.add_ssm_inner_size(made.inner)
        writer.add_ssm_state_size(made.state)
        writer.add_ssm_time_step_rank(made.width // 16)
        return
    writer.add_head_count(made.heads)
    writer.add_head_count_kv(made.heads_kv)
    if made.architecture == "bert":
        writer.add_layer_norm_eps(1e-5)
        writer.add_causal_attention(False)
        writer.add_pooling_type(gguf.PoolingType.MEAN)
        return
    writer.add_key_length(made.head_width)
    writer.add_value_length(made.head_width)
    writer.add_rope_dimension_count(made.head_width)
    if made.window:
        writer.add_sliding_window(made.window)
    if made.experts:
        writer.add_expert_count(made.experts)
        writer.add_expert_used_count(made.experts_used)
        writer.add_expert_feed_forward_length(made.feed_forward)


def _tokenise(writer: gguf.GGUFWriter, made: Made) -> None:
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    if made.architecture == "bert":
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        spare = [f"\u2581w{number}" for number in range(made.words - len(special))]
        writer.add_tokenizer_model("bert")
        writer.add_tokenizer_pre("bert")
        writer.add_token_list([*special, *spare])
        writer.add_token_types([control] * len(special) + [normal] * len(spare))
        writer.add_token_type_count(2)
        for number, add in enumerate(
            (
                writer.add_pad_token_id,
                writer.add_unk_token_id,
                writer.add_bos_token_id,
                writer.add_sep_token_id,
                writer.add_mask_token_id,
            )
        ):
            add(number)
        return
    spare_words = made.words - VOCABULARY_SIZE
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*vocabulary(), *(f"w{number:06}" for number in range(spare_words))])
    writer.add_token_types([normal] * 256 + [control] * len(SPECIAL) + [normal] * spare_words)
    writer.add_token_merges([f"w{number:06} x" for number in range(made.merges)])
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


class _Tensors:
    """Adds tensors to a file."""

    def __init__(self, writer: gguf.GGUFWriter, made: Made) -> None:
        self._writer = writer
        self._made = made
        self._drawn = np.random.default_rng(0).standard_normal(1 << 18).astype(np.float32) * _SCALE
        self._same: dict[tuple[int, ...], np.ndarray] = {}

    def matrix(self, name: str, *shape: int) -> None:
        """Add weights of the model's type; the last number is the width of a row."""
        type_ = _TYPES[self._made.type_name]
        if shape not in self._same:
            self._same[shape] = self._weights(type_, shape)
        self._writer.add_tensor(f"{name}.weight", self._same[shape], raw_dtype=type_)

    def plain(self, name: str, *shape: int, all_are: float | None = None) -> None:
        drawn = all_are is None
        values = np.resize(self._drawn, shape) if drawn else np.full(shape, all_are)
        self._writer.add_tensor(name, values.astype(np.float32))

    def norm(self, name: str, width: int) -> None:
        self.plain(f"{name}.weight", width, all_are=1.0)

    def layer(self, block: str) -> None:
        made = self._made
        if made.architecture == "bert":
            self._encoder_layer(block)
        elif made.inner:
            self._recurrent_layer(block)
        else:
            self._attention(block)
            self._experts(block) if made.experts else self._feed_forward(block)

    def around_encoder(self) -> None:
        self.plain("token_types.weight", 2, self._made.width)
        self.plain("position_embd.weight", 512, self._made.width)
        self._norm_with_bias("token_embd_norm")

    def _weights(self, type_: gguf.GGMLQuantizationType, shape: Sequence[int]) -> np.ndarray:
        block, size_bytes = gguf.GGML_QUANT_SIZES[type_]
        if type_.name.endswith("_K"):  # the package cannot quantise to these; zeros are as heavy
            return np.zeros((*shape[:-1], shape[-1] // block * size_bytes), np.uint8)
        return gguf.quantize(np.resize(self._drawn, shape), type_)

    def _attention(self, block: str) -> None:
        made = self._made
        self.norm(f"{block}.attn_norm", made.width)
        self.norm(f"{block}.ffn_norm", made.width)
        if made.architecture != "llama":
            self.norm(f"{block}.attn_q_norm", made.head_width)
            self.norm(f"{block}.attn_k_norm", made.head_width)
        if made.architecture == "gemma3":
            self.norm(f"{block}.post_attention_norm", made.width)
            self.norm(f"{block}.post_ffw_norm", made.width)
        queries, keys = made.heads * made.head_width, made.heads_kv * made.head_width
        self.matrix(f"{block}.attn_q", queries, made.width)
        self.matrix(f"{block}.attn_k", keys, made.width)
        self.matrix(f"{block}.attn_v", keys, made.width)
        self.matrix(f"{block}.attn_output", made.width, queries)

    def _feed_forward(self, block: str) -> None:
        made = self._made
        self.matrix(f"{block}.ffn_gate", made.feed_forward, made.width)
        self.matrix(f"{block}.ffn_up", made.feed_forward, made.width)
        self.matrix(f"{block}.ffn_down", made.width, made.feed_forward)

    def _experts(self, block: str) -> None:
        made = self._made
        self.plain(f"{block}.ffn_gate_inp.weight", made.experts, made.width)
        self.matrix(f"{block}.ffn_gate_exps", made.experts, made.feed_forward, made.width)
        self.matrix(f"{block}.ffn_up_exps", made.experts, made.feed_forward, made.width)
        self.matrix(f"{block}.ffn_down_exps", made.experts, made.width, made.feed_forward)

    def _recurrent_layer(self, block: str) -> None:
        made = self._made
        rank = made.width // 16
        self.norm(f"{block}.attn_norm", made.width)
        self.matrix(f"{block}.ssm_in", 2 * made.inner, made.width)
        self.plain(f"{block}.ssm_conv1d.weight", made.inner, 4)
        self.plain(f"{block}.ssm_conv1d.bias", made.inner)
        self.matrix(f"{block}.ssm_x", rank + 2 * made.state, made.inner)
        self.plain(f"{block}.ssm_dt.weight", made.inner, rank)
        self.plain(f"{block}.ssm_dt.bias", made.inner)
        self.plain(f"{block}.ssm_a", made.inner, made.state, all_are=-1.0)  # it must decay
        self.plain(f"{block}.ssm_d", made.inner)
        self.matrix(f"{block}.ssm_out", made.width, made.inner)

    def _encoder_layer(self, block: str) -> None:
        made = self._made
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            self.matrix(f"{block}.{name}", made.width, made.width)
            self.plain(f"{block}.{name}.bias", made.width)
        self._norm_with_bias(f"{block}.attn_output_norm")
        self.matrix(f"{block}.ffn_up", made.feed_forward, made.width)
        self.plain(f"{block}.ffn_up.bias", made.feed_forward)
        self.matrix(f"{block}.ffn_down", made.width, made.feed_forward)
        self.plain(f"{block}.ffn_down.bias", made.width)
        self._norm_with_bias(f"{block}.layer_output_norm")

    def _norm_with_bias(self, name: str) -> None:
        self.norm(name, self._made.width)
        self.plain(f"{name}.bias", self._made.width)
