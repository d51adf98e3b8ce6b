"""Looks at a model and at this machine's GPUs, and says how many layers go there.

The look costs as long as reading the vocabulary takes, about a second for 152,000 words. It is
spared where there is no GPU.
"""

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path

from mesh.core.footprint import Served, Shape, compute_bytes
from node_agent.engine.bindings import free_gpu_bytes, native
from node_agent.engine.chunks import CHUNK_TOKENS_MAX
from node_agent.engine.gpu_layers import Layers, corrected

_CACHE_VALUE_BYTES = 2  # f16
_TEXT_BYTES = 64  # of a number, or of an architecture's name


@dataclass(frozen=True, slots=True)
class Offload:
    """What goes to the GPUs of this machine, and what they had before."""

    layers: int
    of: Layers | None = None  # None: no GPU, or no model
    free_bytes: int = 0

    def off(self, before: float, layers: int) -> float:
        """Return the correction for the next load, now that ``layers`` are there."""
        if self.of is None:
            return before
        lost_bytes = self.free_bytes - sum(free_gpu_bytes())
        return corrected(before, foretold_bytes=self.of.taken_bytes(layers), lost_bytes=lost_bytes)


def offload(path: Path, *, context_tokens: int, slots: int, off: float = 1.0) -> Offload:
    """Return how many layers of the model in ``path`` the GPUs have room for now.

    None without a GPU, and for what is no model: the load says why.

    Args:
        off: what this model took of a GPU at its last load, of what was foretold.
    """
    free_bytes = free_gpu_bytes()
    if not free_bytes:
        return Offload(0)
    layers = look(path, context_tokens=context_tokens, slots=slots)
    if layers is None:
        return Offload(0)
    return Offload(layers.fit(free_bytes, off), layers, sum(free_bytes))


def look(path: Path, *, context_tokens: int, slots: int) -> Layers | None:
    """Read what a model is made of, without its weights; None if it is no model."""
    settings = native.llama_model_default_params()
    settings.no_alloc = True  # as llama.cpp's own programs look; ``vocab_only`` knows no layers
    settings.load_mode = native.LLAMA_LOAD_MODE_NONE  # an assertion asks for it beside no_alloc
    model = native.llama_model_load_from_file(os.fsencode(path), settings)
    if not model:
        return None
    try:
        trained_tokens = native.llama_model_n_ctx_train(model)
        if trained_tokens > 0:
            context_tokens = min(context_tokens, trained_tokens)
        count = native.llama_model_n_layer(model)
        token_bytes = count * _cache_bytes(model)
        return Layers(
            count,
            native.llama_model_size(model),
            token_bytes * context_tokens * slots,
            compute_bytes(_shape(model), _served(slots, context_tokens)),
        )
    finally:
        native.llama_model_free(model)


def _shape(model: object) -> Shape:
    """Return what decides a GPU's buffer for computing."""
    return Shape(
        native.llama_model_size(model),
        width=native.llama_model_n_embd(model),
        heads=native.llama_model_n_head(model),
        words=native.llama_vocab_n_tokens(native.llama_model_get_vocab(model)),
    )


def _served(slots: int, context_tokens: int) -> Served:
    """A GPU's buffer is taken as it is reserved: with logits of every row."""
    rows = max(CHUNK_TOKENS_MAX, slots)
    return Served(slots, context_tokens, True, CHUNK_TOKENS_MAX, rows)


def _cache_bytes(model: object) -> int:
    """Return what a token's keys and values take in a layer. At most: windows slide in some."""
    width = native.llama_model_n_embd(model) // max(1, native.llama_model_n_head(model))
    architecture = _said(model, "general.architecture")
    lengths = [
        int(said) if (said := _said(model, f"{architecture}.attention.{name}")).isdigit() else width
        for name in ("key_length", "value_length")
    ]
    return int(native.llama_model_n_head_kv(model)) * sum(lengths) * _CACHE_VALUE_BYTES


def _said(model: object, key: str) -> str:
    buffer = ctypes.create_string_buffer(_TEXT_BYTES)
    native.llama_model_meta_val_str(model, key.encode(), buffer, _TEXT_BYTES)
    return buffer.value.decode(errors="replace")
