"""What a model takes, by what its file tells: against figures that llama.cpp gave of its own."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.footprint import Served, Shape, compute_bytes, foretell, rough_bytes

MB = 1 << 20
# Qwen2.5-0.5B's shape in Q4_0, and a mixture of 32 experts: as ``bench/`` writes them.
HALF_BILLION = Shape(
    278_028_800, 277_853_184, 201_277_440, cache_bytes_per_token=12_288, width=896, layers=24,
    heads=14, head_width=64, feed_forward=4_864, words=151_936, merges=1,
)  # fmt: skip
MIXTURE = Shape(
    103_436_800, cache_bytes_per_token=8_192, width=512, layers=8, heads=8, head_width=64,
    feed_forward=384, experts_used=8, expert_width=384, words=50_000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "slots", "context_tokens", "said_mb"),
    [
        (HALF_BILLION, 1, 512, 75.1),
        (HALF_BILLION, 1, 32_768, 242.3),
        (MIXTURE, 1, 512, 24.9),
        (MIXTURE, 8, 8_192, 37.5),
        (MIXTURE, 1, 32_768, 145.5),
    ],
)
def test_the_compute_buffer_is_what_llama_cpp_reserves(
    shape: Shape, slots: int, context_tokens: int, said_mb: float
) -> None:
    every_row = Served(slots, context_tokens, output_rows=128)
    assert compute_bytes(shape, every_row) / MB == pytest.approx(said_mb, rel=0.02)


def test_keys_and_values_are_of_every_slots_whole_context() -> None:
    assert foretell(HALF_BILLION, Served(4, 2_048)).cache == 4 * 2_048 * 12_288
    assert foretell(HALF_BILLION, Served(1, 300)).cache == 512 * 12_288, "rounded up as it does"


def test_weights_that_are_held_anew_count_once_for_us_and_twice_for_a_process_list() -> None:
    told = foretell(HALF_BILLION, Served(1, 512))
    assert told.weights + told.repacked == 278_028_800 - 201_277_440 + 277_853_184
    assert told.resident - told.total > 201_277_440


def test_a_recurrent_model_takes_the_same_for_any_context() -> None:
    mamba = Shape(80 * MB, state_bytes=2 * MB, width=768, layers=12, inner=1_536, words=32_000)
    short, long = (foretell(mamba, Served(3, tokens)) for tokens in (512, 65_536))
    assert short == long
    assert short.cache == 6 * MB


def test_an_encoder_keeps_room_for_logits_that_it_never_makes() -> None:
    encoder = Shape(600 * MB, width=1_024, layers=24, heads=16, words=250_002, encoder=True)
    told = foretell(encoder, Served(1, 8_192, flash=True, chunk_tokens=8_192, output_rows=8_192))
    assert told.compute > 8 * 10**9


SHAPES = st.builds(
    Shape,
    st.integers(0, 10**12),
    cache_bytes_per_token=st.integers(0, 10**7),
    state_bytes=st.integers(0, 10**8),
    width=st.integers(0, 10**5),
    heads=st.integers(0, 512),
    words=st.integers(0, 10**6),
)


@given(SHAPES, st.integers(1, 64), st.integers(1, 10**6))
def test_more_slots_and_longer_contexts_never_take_less(
    shape: Shape, slots: int, context_tokens: int
) -> None:
    told = foretell(shape, Served(slots, context_tokens))
    assert told.total >= shape.weights_bytes
    assert foretell(shape, Served(slots + 1, context_tokens)).total >= told.total
    assert foretell(shape, Served(slots, 2 * context_tokens)).total >= told.total
    assert foretell(replace(shape, words=shape.words + 1), Served(slots, 512)).total > 0


def test_a_file_alone_tells_roughly() -> None:
    assert 4.9e9 < rough_bytes(int(4.9e9)) < 6.5e9, "8 billion weights in Q4_K_M"
