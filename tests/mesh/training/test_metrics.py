"""Measures of routing, against examples that were worked out by hand."""

import numpy as np
import pytest

from mesh.training.metrics import auc, ece, random_apgr, routed

ROWS = 1000


def test_a_router_that_knows_recovers_the_gap_with_just_the_calls_it_takes() -> None:
    # The strong model gains on a tenth of the rows, and those score highest: all of the gap is
    # recovered at the first cut of ten per cent, half of it at five.
    gain = np.arange(ROWS) >= 0.9 * ROWS
    way = routed(np.arange(ROWS, dtype=float), np.zeros(ROWS), gain.astype(float))
    assert way.cpt50 == pytest.approx(5.0, abs=0.1)
    assert way.cpt80 == pytest.approx(8.0, abs=0.1)
    assert way.apgr == pytest.approx(0.95, abs=0.001)  # 1 less the triangle below the first cut


def test_a_router_that_has_it_backwards_is_as_bad_as_that() -> None:
    gain = np.arange(ROWS) >= 0.9 * ROWS
    way = routed(-np.arange(ROWS, dtype=float), np.zeros(ROWS), gain.astype(float))
    assert way.apgr == pytest.approx(0.05, abs=0.001)
    assert way.cpt80 == pytest.approx(98.0, abs=0.1)


def test_where_the_weak_model_is_the_better_one_the_gap_is_negative_and_still_a_gap() -> None:
    # The strong model spoils the lower half: who calls it there first "recovers" the loss first.
    spoiled = (np.arange(ROWS) >= 0.5 * ROWS).astype(float)
    way = routed(-np.arange(ROWS, dtype=float), np.ones(ROWS), spoiled)
    assert way.apgr == pytest.approx(0.75, abs=0.005)
    assert way.cpt50 == pytest.approx(25.0, abs=0.2)


def test_equal_models_have_no_gap_to_recover() -> None:
    way = routed(np.arange(4.0), np.array([1.0, 0, 1, 0]), np.array([0.0, 1, 0, 1]))
    assert (way.apgr, way.cpt50, way.cpt80) == (None, None, None)
    assert random_apgr(np.ones(3), np.ones(3), np.random.default_rng(0)) == (None, None)


def test_the_random_baseline_is_what_random_scores_reach() -> None:
    die = np.random.default_rng(1)
    weak, strong = (die.random(400) < 0.4).astype(float), (die.random(400) < 0.7).astype(float)
    mean, spread = random_apgr(weak, strong, die)
    drawn = [routed(die.random(400), weak, strong).apgr for _ in range(600)]
    assert mean == pytest.approx(np.mean(drawn), abs=0.01)  # type: ignore[arg-type]
    assert spread == pytest.approx(np.std(drawn), rel=0.15)  # type: ignore[arg-type]


def test_scores_that_tie_are_cut_as_one() -> None:
    way = routed(np.zeros(10), np.zeros(10), np.ones(10))
    assert way.apgr == pytest.approx(0.5)  # all or nothing, and the line between


def test_auc_counts_ties_half() -> None:
    positive = np.array([True, True, False, False])
    assert auc(np.array([3.0, 1.0, 2.0, 0.0]), positive) == 0.75
    assert auc(np.zeros(4), positive) == 0.5
    assert auc(np.zeros(4), np.ones(4, dtype=bool)) is None


def test_the_calibration_error_is_the_mean_distance_within_bins() -> None:
    chance = np.array([0.05, 0.05, 0.95, 0.95])
    assert ece(chance, np.array([0.0, 0, 1, 1])) == pytest.approx(0.05)
    assert ece(chance, np.array([1.0, 1, 0, 0])) == pytest.approx(0.95)
    assert ece(np.array([1.0]), np.array([1.0])) == 0.0
