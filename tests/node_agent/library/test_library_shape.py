"""What of a header decides how much memory a model takes."""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from bench.fits_models import Made, write
from mesh.core.footprint import Shape
from node_agent.library import shape as reading
from node_agent.library.header import read_header

Also = Callable[[gguf.GGUFWriter], None]


def shape_of(path: Path) -> Shape:
    with path.open("rb") as file:
        return read_header(file).shape


def header(path: Path, architecture: str, also: Also, tensors: tuple[str, ...]) -> Shape:
    """Return the shape of a file with these tensors, each of 4 rows of 32 floats."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(4096)
    writer.add_embedding_length(1024)
    writer.add_head_count(16)
    also(writer)
    for name in tensors:
        writer.add_tensor(name, np.ones((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return shape_of(path)


def test_heads_may_be_wider_than_their_share_of_the_embedding(models: Path) -> None:
    made = Made(name="a", architecture="qwen3", heads=4, heads_kv=2, head_width=128, words=1_000)
    shape = shape_of(write(made, models))
    assert shape.cache_bytes_per_token == 8 * 2 * (128 + 128) * 2
    assert (shape.heads, shape.head_width, shape.width) == (4, 128, 512)
    assert (shape.words, shape.merges, shape.layers) == (1_000, 1, 8)


def test_a_mixture_tells_how_many_experts_a_token_has(models: Path) -> None:
    made = Made(
        name="a", architecture="qwen3moe", experts=8, experts_used=2, feed_forward=96, words=1_000
    )
    shape = shape_of(write(made, models))
    assert (shape.experts_used, shape.expert_width) == (2, 96)


def test_windows_are_told_and_keep_whole_contexts(models: Path) -> None:
    made = Made(name="a", architecture="gemma3", window=128, words=1_000)
    shape = shape_of(write(made, models))
    assert shape.windowed
    assert shape.cache_bytes_per_token == 8 * 2 * (64 + 64) * 2


def test_a_recurrent_model_has_states_and_no_cache(models: Path) -> None:
    shape = shape_of(write(Made(name="a", architecture="mamba", inner=1_024, words=1_000), models))
    assert (shape.cache_bytes_per_token, shape.heads, shape.inner) == (0, 0, 1_024)
    assert shape.state_bytes == 8 * (3 * 1_024 + 16 * 1_024) * 4


def test_a_hybrid_attends_where_it_has_the_tensors_for_it(models: Path) -> None:
    def also(writer: gguf.GGUFWriter) -> None:
        writer.add_block_count(3)
        writer.add_head_count_kv([0, 4, 0])
        writer.add_ssm_conv_kernel(4)
        writer.add_ssm_inner_size(2_048)
        writer.add_ssm_state_size(128)
        writer.add_ssm_group_count(1)

    tensors = ("blk.0.ssm_conv1d.weight", "blk.1.attn_k.weight", "blk.2.ssm_conv1d.weight")
    shape = header(models / "a.gguf", "granitehybrid", also, tensors)
    assert shape.cache_bytes_per_token == 4 * (64 + 64) * 2
    assert shape.state_bytes == 2 * (3 * (2_048 + 256) + 128 * 2_048) * 4


def test_latent_attention_keeps_one_row_and_no_values(models: Path) -> None:
    def also(writer: gguf.GGUFWriter) -> None:
        writer.add_block_count(27)
        writer.add_head_count_kv(1)
        writer.add_key_length(576)
        writer.add_value_length(512)
        writer.add_key_length_mla(192)
        writer.add_value_length_mla(128)

    shape = header(models / "a.gguf", "deepseek2", also, ("blk.0.attn_kv_a_mqa.weight",))
    assert shape.cache_bytes_per_token == 27 * 576 * 2


def test_layers_that_share_anothers_keys_keep_none(models: Path) -> None:
    def also(writer: gguf.GGUFWriter) -> None:
        writer.add_block_count(30)
        writer.add_head_count_kv(2)
        writer.add_shared_kv_layers(10)

    shape = header(models / "a.gguf", "gemma3n", also, ("blk.0.attn_k.weight",))
    assert shape.cache_bytes_per_token == 20 * 2 * (64 + 64) * 2


@pytest.mark.parametrize("tied", [True, False])
def test_words_that_are_the_output_too_are_held_anew_beside_themselves(
    models: Path, monkeypatch: pytest.MonkeyPatch, tied: bool
) -> None:
    monkeypatch.setattr(reading, "processor_features", lambda: frozenset({"avx2"}))
    made = Made(name="a", type_name="Q4_0", layers=1, words=1_000, tied=tied)
    shape = shape_of(write(made, models))
    words_bytes = 1_000 * 512 // 32 * 18
    assert shape.repacked_bytes - shape.replaced_bytes == (words_bytes if tied else 0)
    assert shape.weights_bytes - shape.replaced_bytes < words_bytes + 10_000, "but for the norms"
    monkeypatch.setattr(reading, "processor_features", frozenset)
    assert shape_of(models / "a.gguf").repacked_bytes == 0


def test_an_encoder_has_no_cache(models: Path) -> None:
    made = Made(name="a", architecture="bert", heads_kv=8, words=1_000)
    shape = shape_of(write(made, models))
    assert shape.encoder
    assert shape.cache_bytes_per_token == 0
