"""An average that wild samples and lies cannot carry away, and that follows a real change."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.estimate import WEIGHT_MAX, Estimate


def of(*samples: float) -> Estimate:
    estimate = Estimate()
    for sample in samples:
        estimate.add(sample)
    return estimate


def test_the_first_sample_is_believed_as_it_is() -> None:
    assert of(0.02).value == pytest.approx(0.02)


def test_it_comes_to_the_usual_value_of_noisy_samples() -> None:
    rng = Random(1)
    assert of(*(0.02 * math.exp(rng.gauss(0, 0.3)) for _ in range(100))).value == pytest.approx(
        0.02, rel=0.2
    )


def test_one_wild_sample_among_many_moves_it_little() -> None:
    assert of(*[0.02] * 20, 60.0).value < 0.025


def test_a_tenth_of_lies_moves_it_by_less_than_a_fifth() -> None:
    samples = [0.02 * (1 + 0.1 * (i % 3)) for i in range(200)]
    samples[::10] = [1e9] * 20
    assert of(*samples).value == pytest.approx(0.022, rel=0.2)


def test_a_level_that_changed_is_followed_within_some_thirty_samples() -> None:
    assert of(*[0.02] * 50, *[0.2] * 30).value == pytest.approx(0.2, rel=0.3)


@pytest.mark.parametrize("absurd", [math.nan, math.inf, -math.inf, 0.0, -1.0, 2.0**63, 5e-324])
def test_what_measures_nothing_is_ignored(absurd: float) -> None:
    assert of(absurd).weight == 0
    assert of(0.02, absurd).value == pytest.approx(0.02)
    assert of(0.02, absurd).weight == 1


@given(st.lists(st.floats(), max_size=30))
def test_it_is_always_a_positive_finite_number(samples: list[float]) -> None:
    estimate = of(*samples)
    assert 0 < estimate.value < math.inf
    assert 0 <= estimate.weight <= WEIGHT_MAX


def test_what_has_faded_gives_way_to_a_new_sample() -> None:
    faded, trusted = of(*[0.02] * 20), of(*[0.02] * 20)
    faded.fade(0.01)
    for each in (faded, trusted):
        each.add(0.05)
    assert faded.value > trusted.value
