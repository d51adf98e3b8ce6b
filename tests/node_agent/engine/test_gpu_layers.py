"""As many layers go to a GPU as its free memory holds, and not one more."""

from hypothesis import given
from hypothesis import strategies as st

from node_agent.engine.gpu_layers import LAYER_FACTOR, RESERVE_BYTES, Layers, layers_that_fit

GB = 1 << 30
EIGHT_BILLION = Layers(count=32, weights_bytes=5 * GB, cache_bytes=4 * GB)


def test_a_model_that_fits_goes_to_the_gpu_whole_with_its_output() -> None:
    assert layers_that_fit(EIGHT_BILLION, [24 * GB]) == 33


def test_a_part_of_a_model_goes_where_the_whole_does_not_fit() -> None:
    assert layers_that_fit(EIGHT_BILLION, [6 * GB]) == 18


def test_a_full_gpu_gets_nothing() -> None:
    assert layers_that_fit(EIGHT_BILLION, [RESERVE_BYTES]) == 0
    assert layers_that_fit(EIGHT_BILLION, [0]) == 0


def test_several_gpus_add_up_each_with_its_own_reserve() -> None:
    assert layers_that_fit(EIGHT_BILLION, [6 * GB, 6 * GB]) == 33
    assert layers_that_fit(EIGHT_BILLION, [3 * GB, 3 * GB]) == 16


def test_without_a_gpu_nothing_goes_anywhere() -> None:
    assert layers_that_fit(EIGHT_BILLION, []) == 0


def test_a_file_that_says_it_has_no_layers_has_none_to_give() -> None:
    assert layers_that_fit(Layers(0, GB, 0), [24 * GB]) == 0


SIZES = st.integers(0, 2**40)


@given(count=st.integers(1, 512), weights=SIZES, cache=SIZES, free=st.lists(SIZES, max_size=8))
def test_what_goes_to_gpus_is_never_more_than_is_free_there(
    count: int, weights: int, cache: int, free: list[int]
) -> None:
    layers = Layers(count, weights, cache)
    given_away = layers_that_fit(layers, free)
    assert 0 <= given_away <= count + 1
    each = (weights * LAYER_FACTOR + cache) / count
    room = sum(max(0, one - RESERVE_BYTES) for one in free)
    assert given_away * each <= room + 1 or each < 1
