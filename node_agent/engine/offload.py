"""Looks at a model and at this machine's GPUs, and says how many layers go there.

The look costs as long as reading the vocabulary takes, about a second for 152,000 words. It is
spared where there is no GPU.
"""

import ctypes
import os
from pathlib import Path

from node_agent.engine.bindings import free_gpu_bytes, native
from node_agent.engine.gpu_layers import Layers, layers_that_fit

_CACHE_VALUE_BYTES = 2  # f16
_TEXT_BYTES = 64  # of a number, or of an architecture's name


def layers_for_gpus(path: Path, *, context_tokens: int, slots: int) -> int:
    """Return how many layers of the model in ``path`` the GPUs have room for now.

    0 without a GPU, and for what is no model: the load says why.
    """
    free_bytes = free_gpu_bytes()
    if not free_bytes:
        return 0
    layers = look(path, context_tokens=context_tokens, slots=slots)
    return layers_that_fit(layers, free_bytes) if layers is not None else 0


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
        return Layers(count, native.llama_model_size(model), token_bytes * context_tokens * slots)
    finally:
        native.llama_model_free(model)


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
