"""A calibrated chance is one, and a stated risk is kept as often as was promised."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mesh.core.calibration import ISOTONIC_FROM_LABELS, LABELS_MIN, ConfidenceHead
from mesh.core.confidence import CONFIDENCE_NAMES
from mesh.training.calibrating import fit_confidence, isotonic, logistic_weights, threshold_for

Floats = NDArray[np.float64]
CALIBRATIONS = 200


def answers(count: int, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return signs, the prompts' chances, who is right, and the true chances."""
    die = np.random.default_rng(seed)
    signs = die.normal(size=(count, len(CONFIDENCE_NAMES)))
    prompt = die.uniform(0.2, 0.9, count)
    raw = 1.0 + 1.5 * signs[:, 2] - signs[:, 8] + np.log(prompt / (1 - prompt))
    chance = 1 / (1 + np.exp(-raw))
    return signs, prompt, (die.random(count) < chance).astype(float), chance


def fitted(count: int, seed: int = 0) -> ConfidenceHead:
    signs, prompt, right, _ = answers(count, seed)
    return fit_confidence(signs, prompt, right, np.random.default_rng(seed))


@pytest.mark.parametrize("count", [400, ISOTONIC_FROM_LABELS + 500])
def test_a_head_finds_the_true_chances(count: int) -> None:
    head = fitted(count)
    assert bool(head.steps) == (count >= ISOTONIC_FROM_LABELS)
    signs, prompt, _, chance = answers(300, seed=99)
    said = np.array([head.p_ok(s, p) for s, p in zip(signs, prompt, strict=True)])
    assert np.abs(said - chance).mean() < 0.08
    assert ((said > 0) & (said < 1)).all()


def test_too_few_labels_let_nothing_stand() -> None:
    head = fitted(LABELS_MIN - 1)
    assert head.thresholds == {}
    assert not head.accepts(0.999, risk=0.3)


def test_only_a_risk_that_was_fitted_lets_anything_stand() -> None:
    head = fitted(1000)
    assert head.accepts(0.999, risk=0.2)
    assert not head.accepts(head.thresholds[0.2] - 0.01, risk=0.2)
    assert not head.accepts(0.999, risk=0.17)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_one_class_alone_is_no_certainty(right: float) -> None:
    signs, prompt, _, _ = answers(300, seed=1)
    head = fit_confidence(signs, prompt, np.full(300, right), np.random.default_rng(0))
    assert 0 < head.p_ok(signs[0], prompt[0]) < 1
    assert bool(head.thresholds) == (right == 1.0)


def test_at_a_stated_risk_few_calibrations_exceed_it() -> None:
    die = np.random.default_rng(7)
    exceeded = 0
    for _ in range(CALIBRATIONS):
        chance = die.beta(4, 2, 400)
        least = threshold_for(chance, (die.random(400) < chance).astype(float), risk=0.1)
        if least is not None:
            fresh = die.beta(4, 2, 20_000)
            exceeded += 1 - fresh[fresh >= least].mean() > 0.1
    assert exceeded <= CALIBRATIONS * 0.1  # the promise is one in ten


def test_where_nothing_is_good_enough_nothing_stands() -> None:
    assert threshold_for(np.linspace(0, 1, 500), np.zeros(500), risk=0.1) is None


def test_isotonic_blocks_never_fall_and_keep_the_mean() -> None:
    blocks = isotonic([1, 2, 3, 4], [0, 1, 0, 1])
    assert [(mean, weight) for _, mean, weight in blocks] == [(0, 1), (0.5, 2), (1, 1)]


def test_the_logistic_finds_odds() -> None:
    weights = logistic_weights(np.zeros((100, 0)), np.array([1.0] * 75 + [0.0] * 25))
    assert weights[0] == pytest.approx(np.log(3), abs=0.01)
