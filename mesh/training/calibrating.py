"""Fits a confidence head: from labelled answers to P(ok), and to thresholds for stated risks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mesh.core.binomial import share_at_most
from mesh.core.calibration import ISOTONIC_FROM_LABELS, LABELS_MIN, ConfidenceHead, logit, stepped

Floats = NDArray[np.float64]

RISKS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
SURE = 0.9  # at most one calibration in ten may exceed its stated risk
LADDER = 40  # thresholds that are tried, strictest first; more find little and cost nothing
FOLDS = 5
PENALTY = 1.0  # of a logistic on standardised inputs: a prior of variance 1 for each weight
STEPS_MAX = 50  # of Newton's method; it takes fewer than ten
CLOSE = 1e-8


def fit_confidence(
    features: Floats, prompt_p_ok: Floats, right: Floats, generator: np.random.Generator
) -> ConfidenceHead:
    """Fit a head on labelled answers of one model in one task class.

    Thresholds come from chances that were cross-fitted: no answer is judged by a head that saw it.

    Args:
        features: shape (answers, features), of ``confidence_features``.
        prompt_p_ok: shape (answers,); the scorer's chance for each prompt, of a scorer that did not
            learn from these answers.
        right: shape (answers,); 1 where the answer was right, between for half right.
        generator: shuffles the folds.
    """
    inputs = np.column_stack([features, [logit(chance) for chance in prompt_p_ok]])
    rows = len(inputs)
    fold = generator.permutation(rows) % FOLDS
    apart = np.full(rows, right.mean() if rows else 0.5)
    for each in range(FOLDS):
        held = fold == each
        if rows >= LABELS_MIN and held.any():
            head = _fit(inputs[~held], right[~held])
            apart[held] = predicted(head, inputs[held])
    head = _fit(inputs, right, _isotonic(apart, right) if rows >= ISOTONIC_FROM_LABELS else ())
    judged = np.array([stepped(chance, head.steps) for chance in apart])
    thresholds = {}
    if rows >= LABELS_MIN:
        for risk in RISKS:
            least = threshold_for(judged, right, risk=risk)
            if least is not None:
                thresholds[risk] = least
    return ConfidenceHead(
        head.means, head.scales, head.weights, head.bias, rows, head.steps, thresholds
    )


def threshold_for(chances: Floats, right: Floats, *, risk: float) -> float | None:
    """Return the least chance at which answers may stand and at most ``risk`` of them are wrong.

    Thresholds are tried from the strictest on, and the first whose Clopper-Pearson bound exceeds
    the risk ends the search, so that trying many does not spoil the promise (fixed-sequence
    testing: Angelopoulos et al., Learn then Test, arXiv:2110.01052). None: nothing may stand.
    """
    found = None
    least_answers = np.log(1.0 - SURE) / np.log(1.0 - risk)  # fewer can't pass, even if all right
    tried = np.unique(np.quantile(chances, np.linspace(1.0, 0.0, LADDER + 1)[1:]))[::-1]
    for threshold in tried:
        stands = chances >= threshold
        if stands.sum() < least_answers:
            continue
        wrong = int(np.ceil(float((1.0 - right[stands]).sum()) - 1e-9))
        if share_at_most(wrong, int(stands.sum()), confidence=SURE) > risk:
            break
        found = float(threshold)
    return found


def predicted(head: ConfidenceHead, inputs: Floats) -> Floats:
    """Return the chances of rows of INPUTS before any steps, shape (rows,)."""
    standard = (inputs - np.array(head.means)) / np.array(head.scales)
    raw = standard @ np.array(head.weights) + head.bias
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(raw, -30.0, 30.0))))


def logistic_weights(inputs: Floats, right: Floats, penalty: float = PENALTY) -> Floats:
    """Return bias and weights of a ridge logistic, by Newton's method; shape (1 + inputs,)."""
    design = np.column_stack([np.ones(len(inputs)), inputs])
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 1e-3  # the bias is free, but one class alone must not send it to infinity
    weights = np.zeros(design.shape[1])
    for _ in range(STEPS_MAX):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30.0, 30.0)))
        slope = design.T @ (chance - right) + ridge * weights
        curved = (design * (chance * (1.0 - chance))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(curved, slope)
        length = float(np.abs(step).max())
        weights -= step if length < 5.0 else step * (5.0 / length)
        if length < CLOSE:
            break
    return weights


def isotonic(raw: Sequence[float], right: Sequence[float]) -> list[tuple[float, float, float]]:
    """Return blocks (mean raw, mean right, weight) whose means never fall.

    Violators of that are pooled with their neighbours.
    """
    blocks: list[tuple[float, float, float]] = []
    for score, label in sorted(zip(raw, right, strict=True)):
        blocks.append((score, label, 1.0))
        while len(blocks) > 1 and blocks[-2][1] >= blocks[-1][1]:
            (one, low, some), (two, high, others) = blocks[-2], blocks[-1]
            whole = some + others
            blocks[-2:] = [
                ((one * some + two * others) / whole, (low * some + high * others) / whole, whole)
            ]
    return blocks


def _fit(
    inputs: Floats, right: Floats, steps: tuple[tuple[float, float], ...] = ()
) -> ConfidenceHead:
    if not len(inputs):
        inputs = np.zeros((1, inputs.shape[1]))
        right = np.array([0.5])
    means, scales = inputs.mean(axis=0), inputs.std(axis=0)
    scales[scales < 1e-9] = 1.0
    weights = logistic_weights((inputs - means) / scales, right)
    return ConfidenceHead(
        means=tuple(map(float, means)),
        scales=tuple(map(float, scales)),
        weights=tuple(map(float, weights[1:])),
        bias=float(weights[0]),
        labels=len(inputs),
        steps=steps,
    )


def _isotonic(raw: Floats, right: Floats) -> tuple[tuple[float, float], ...]:
    """Steps for the head; a block of all right or all wrong is drawn in by one label either way."""
    return tuple(
        (score, (mean * weight + 0.5) / (weight + 1.0))
        for score, mean, weight in isotonic(list(raw), list(right))
    )
