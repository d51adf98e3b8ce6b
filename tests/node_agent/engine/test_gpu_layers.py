"""As many layers go to a GPU as its free memory holds, and fewer where that is less."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.engine.gpu_layers import (
    LAYER_FACTOR,
    OFF_MAX,
    OFF_MIN,
    RESERVE_BYTES,
    Layers,
    corrected,
    out_of_memory,
    tries,
)

GB = 1 << 30
EIGHT_BILLION = Layers(count=32, weights_bytes=5 * GB, cache_bytes=4 * GB)


def test_a_model_that_fits_goes_to_the_gpu_whole_with_its_output() -> None:
    assert EIGHT_BILLION.fit([24 * GB]) == 33


def test_a_part_of_a_model_goes_where_the_whole_does_not_fit() -> None:
    assert EIGHT_BILLION.fit([6 * GB]) == 18


def test_a_full_gpu_gets_nothing() -> None:
    assert EIGHT_BILLION.fit([RESERVE_BYTES]) == 0
    assert EIGHT_BILLION.fit([0]) == 0


def test_several_gpus_add_up_each_with_its_own_reserve_and_buffer() -> None:
    assert EIGHT_BILLION.fit([6 * GB, 6 * GB]) == 33
    assert EIGHT_BILLION.fit([3 * GB, 3 * GB]) == 16
    buffered = Layers(32, 5 * GB, 4 * GB, compute_bytes=GB)
    assert buffered.fit([3 * GB, 3 * GB]) == 10


def test_without_a_gpu_nothing_goes_anywhere() -> None:
    assert EIGHT_BILLION.fit([]) == 0


def test_a_file_that_says_it_has_no_layers_has_none_to_give() -> None:
    assert Layers(0, GB, 0).fit([24 * GB]) == 0


SIZES = st.integers(0, 2**40)


@given(
    count=st.integers(1, 512), weights=SIZES, cache=SIZES, compute=SIZES,
    free=st.lists(SIZES, max_size=8), off=st.floats(OFF_MIN, OFF_MAX),
)  # fmt: skip
def test_what_goes_to_gpus_is_never_more_than_is_free_there(
    count: int, weights: int, cache: int, *, compute: int, free: list[int], off: float
) -> None:
    layers = Layers(count, weights, cache, compute)
    given_away = layers.fit(free, off)
    assert 0 <= given_away <= count + 1
    each = (weights * LAYER_FACTOR + cache) / count * off
    room = sum(max(0, one - RESERVE_BYTES - int(compute * off)) for one in free)
    assert given_away * each <= room + 1 or each < 1


def test_a_failed_load_is_tried_with_fewer_layers_twice_and_then_on_the_processor() -> None:
    assert tries(33) == (33, 26, 16, 0)
    assert tries(1) == (1, 0)
    assert tries(0) == (0,)


@pytest.mark.parametrize(
    "said",
    [
        "allocating 1024.00 MiB on device 0: cudaMalloc failed: out of memory",
        "Device memory allocation of size 1073741824 failed.",
        "vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
        "unable to allocate CUDA0 buffer",
        "failed to allocate buffer, size = 512.00 MiB",
        "no context of 4 x 8192 tokens: failed to allocate compute buffers",
    ],
)
def test_libraries_say_in_their_own_words_that_memory_ran_out(said: str) -> None:
    assert out_of_memory(said)


@pytest.mark.parametrize(
    "said", ["unknown model architecture: 'x'", "tensor 'a' data is not within the file bounds", ""]
)
def test_a_bad_file_is_not_tried_again(said: str) -> None:
    assert not out_of_memory(said)


@dataclass
class PlayedGpu:
    """Has so much free, and takes ``factor`` times what is foretold of a model."""

    free_bytes: int
    factor: float

    def load(self, model: Layers, off: float) -> tuple[int, float, int]:
        """Return the layers that it holds, the next correction, and how many tries that took."""
        for number, layers in enumerate(tries(model.fit([self.free_bytes], off)), 1):
            needed = int(model.taken_bytes(layers) * self.factor)
            if needed <= self.free_bytes:
                off = corrected(off, foretold_bytes=model.taken_bytes(layers), lost_bytes=needed)
                return layers, off, number
        raise AssertionError("the processor takes any model")


def test_a_gpu_that_takes_more_than_was_foretold_is_tried_less_each_time() -> None:
    gpu = PlayedGpu(6 * GB, factor=1.5)
    layers, off, tried = gpu.load(EIGHT_BILLION, 1.0)
    assert (layers, tried) == (9, 3)
    assert off == pytest.approx(1.5, rel=0.01)
    assert gpu.load(EIGHT_BILLION, off)[2] == 1, "it has learned"


def test_a_gpu_that_takes_less_gets_more_by_and_by_and_never_fails_for_it() -> None:
    gpu, off, held = PlayedGpu(6 * GB, factor=0.7), 1.0, []
    for _ in range(6):
        layers, off, tried = gpu.load(EIGHT_BILLION, off)
        assert tried == 1
        held.append(layers)
    assert held == sorted(held)
    assert held[-1] > held[0]


def test_a_gpu_whose_memory_another_program_took_leaves_the_model_to_the_processor() -> None:
    assert PlayedGpu(4 * GB, factor=50.0).load(EIGHT_BILLION, 1.0) == (0, 1.0, 4)


@given(st.floats(OFF_MIN, OFF_MAX), st.integers(-GB, GB), st.integers(-GB, 99 * GB))
def test_no_measurement_moves_the_correction_out_of_its_bounds(
    off: float, foretold: int, lost: int
) -> None:
    assert OFF_MIN <= corrected(off, foretold_bytes=foretold, lost_bytes=lost) <= OFF_MAX
