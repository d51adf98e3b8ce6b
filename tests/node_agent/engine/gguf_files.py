"""Makes small model files that llama.cpp runs for real: one byte of text is one token."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np

from models.tokenizer import CHAT_TEMPLATE, END, SPECIAL, VOCABULARY_SIZE, vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile(ABC):
    """What every test model has in common."""

    layers: int = 2
    width: int = 64
    heads: int = 2
    feed_forward: int = 96
    context_tokens: int = 1024
    template: str | None = CHAT_TEMPLATE
    special: tuple[str, ...] = SPECIAL  # the control tokens; the first ends a turn
    architecture: str = "llama"
    pooling: gguf.PoolingType | None = None  # set: it was trained to embed
    last_special: str = SPECIAL[-1]
    half: bool = False  # weights of 16 bits: ggml multiplies a lone row by other code than several
    name: str = ""
    split_max_tensors: int = 0  # set: it goes to STEM-00001-of-0000N.gguf and so on

    @abstractmethod
    def weights(self, name: str, rows: int, columns: int) -> np.ndarray:
        """Return the values of a matrix."""

    def write(self, path: Path) -> Path:
        """Write the file and return its path."""
        writer = gguf.GGUFWriter(path, self.architecture, split_max_tensors=self.split_max_tensors)
        self._write_metadata(writer)
        self._write_tensors(writer)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def _write_metadata(self, writer: gguf.GGUFWriter) -> None:
        if self.name:
            writer.add_name(self.name)
        writer.add_context_length(self.context_tokens)
        writer.add_embedding_length(self.width)
        writer.add_block_count(self.layers)
        writer.add_feed_forward_length(self.feed_forward)
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.heads)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_dimension_count(self.width // self.heads)
        writer.add_vocab_size(VOCABULARY_SIZE)
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list([*vocabulary()[:256], *self.special])
        normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
        writer.add_token_types([normal] * 256 + [control] * len(self.special))
        writer.add_token_merges(
            [f"{self.special[0]} {self.special[0]}"]
        )  # llama.cpp insists on one
        writer.add_eos_token_id(END)
        writer.add_add_bos_token(False)
        if self.pooling is not None:
            writer.add_pooling_type(self.pooling)
        if self.template is not None:
            writer.add_chat_template(self.template)

    def _write_tensors(self, writer: gguf.GGUFWriter) -> None:
        def matrix(name: str, rows: int, columns: int) -> None:
            values = self.weights(name, rows, columns)
            type_ = np.float16 if self.half else np.float32
            writer.add_tensor(f"{name}.weight", values.astype(type_))

        def norm(name: str) -> None:
            writer.add_tensor(f"{name}.weight", np.ones(self.width, np.float32))

        matrix("token_embd", VOCABULARY_SIZE, self.width)
        matrix("output", VOCABULARY_SIZE, self.width)
        norm("output_norm")
        for layer in range(self.layers):
            norm(f"blk.{layer}.attn_norm")
            norm(f"blk.{layer}.ffn_norm")
            for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
                matrix(f"blk.{layer}.{name}", self.width, self.width)
            matrix(f"blk.{layer}.ffn_gate", self.feed_forward, self.width)
            matrix(f"blk.{layer}.ffn_up", self.feed_forward, self.width)
            matrix(f"blk.{layer}.ffn_down", self.width, self.feed_forward)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomModel(ModelFile):
    """Says noise. The smaller the ``scale`` of its weights, the closer its logits."""

    scale: float = 0.3
    seed: int = 0

    def weights(self, name: str, rows: int, columns: int) -> np.ndarray:
        random = np.random.default_rng([self.seed, *name.encode()])
        return random.standard_normal((rows, columns)) * self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenModel(RandomModel):
    """Gives NaN where it should give logits, as a file that was damaged on its disk may."""

    def weights(self, name: str, rows: int, columns: int) -> np.ndarray:
        values = RandomModel.weights(self, name, rows, columns)
        if name == "output":
            values[rows // 2 :, 0] = np.nan
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class ParrotModel(ModelFile):
    """Says one text by heart, then ends its turn, or begins again; no byte may be in it twice.

    Its blocks do nothing, so the last token alone decides the next. Token t is the unit vector t.
    """

    says: str
    endless: bool = False
    width: int = 288  # one dimension for each of the 260 tokens, in whole heads of 32
    heads: int = 9
    layers: int = 1

    def weights(self, name: str, rows: int, columns: int) -> np.ndarray:
        values = np.zeros((rows, columns))
        if name == "token_embd":
            np.fill_diagonal(values, 1)
        if name == "output":
            text = list(self.says.encode())
            assert len(set(text)) == len(text)
            # A prompt ends with a line break.
            spoken = [ord("\n"), *text, text[0] if self.endless else END]
            for token, successor in pairwise(spoken):
                values[successor, token] = 1
        return values
