"""From outcomes to heads.

Each head is a ridge regression of a model's scores, so the difference of two heads is the ridge
regression of the gain: what is shared by both, which is mostly how hard a prompt is, cancels as it
should. Then one slope and one bias bend it into a chance, fitted on rows that it had not seen.

A head does not begin at nothing but at a prior's generic head, where one is given: what it saw no
evidence for stays as the prior has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh.core.asked import BIG, SMALL
from mesh.core.calibration import logit
from mesh.core.scorer import Head, Scorer
from mesh.training.calibrating import logistic_weights
from mesh.training.design import COLUMNS, Design
from mesh.training.ridge import fit_ridge
from mesh.training.sparse import Floats, Sparse

PENALTY = 15.0  # flat between 8 and 30, from 500 labels to 5,000
FOLDS = 3  # for the slope: enough for one number
SLOPE_AT_HALF = 0.25  # of the logistic: what turns log-odds near even chances into chances
SLOPE_MIN, SLOPE_MAX = 1.0, 8.0  # of log-odds by predicted score; 4 is the logistic's own
BIG_SHARE = (
    1 / 3
)  # of the models, the best ones, make the big generic head; the lower half the small
# How hard a prompt is for big models carries over to other models and prompts less than for small
# ones: of what was learned there, this share is kept (more loses a tenth on foreign sets).
BIG_KEPT = 0.25


@dataclass(frozen=True, slots=True)
class Learned:
    """A model's head, and for each row it learned from the chance by a fit without that row."""

    head: Head
    rows: NDArray[np.intp]  # of the design
    apart: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fitter:
    """Fits heads on the same rows."""

    design: Design
    rows: NDArray[np.intp]  # of the design: those to learn from
    generator: np.random.Generator

    def learned(self, scores: Floats, prior: Head | None) -> Learned:
        """Fit a model's own head.

        Args:
            scores: shape (rows of the design,); NaN where the model did not answer.
            prior: the generic head to begin from.
        """
        rows = self.rows[~np.isnan(scores[self.rows])]
        if not len(rows):
            bounds = self.design.bounds(rows, prior)
            empty = np.zeros(COLUMNS, np.float32)
            nothing = self.design.head(empty, 0.0, labels=0, bounds=bounds)
            return Learned(prior or nothing, rows, np.empty(0))
        features, targets = self.design.matrix.take(rows), scores[rows].astype(np.float32)
        start = self._start(prior)
        given = features.times(start)
        whole = fit_ridge(features, targets - given, PENALTY)
        apart = self._cross_fitted(features, targets, given)
        slope, bias = _bent(apart, targets)
        head = self.design.head(
            (whole.weights + start) * np.float32(slope),
            whole.bias * slope + bias,
            labels=len(rows),
            bounds=self.design.bounds(rows, prior),
        )
        raw = np.clip(apart.astype(np.float64) * slope + bias, -30.0, 30.0)
        return Learned(head, rows, 1.0 / (1.0 + np.exp(-raw)))

    def generic_heads(self, sets: Sequence[Floats], prior: Scorer | None) -> dict[str, Head]:
        """Fit heads for models that have none, from all models of one or more sets of outcomes.

        Models of different sets answered different prompts, so each set's scores are moved to the
        mean of all: what is left is which prompts of a set are harder than others of it.

        Args:
            sets: each of shape (rows of this set, models of it); together the rows of the design.
            prior: the scorer whose generic heads to begin from.
        """
        # What nobody could answer tells nothing of whom to ask, and may be a broken question.
        best = np.concatenate([np.nan_to_num(each, nan=-1.0).max(axis=1) for each in sets])
        answered = Fitter(self.design, self.rows[best[self.rows] > 0.0], self.generator)
        divided = [small_and_big(each) for each in sets]
        heads = {}
        for name, size in ((SMALL, 0), (BIG, 1)):
            scores = [_mean_score(each, d[size]) for each, d in zip(sets, divided, strict=True)]
            levels = [float(np.nanmean(each)) for each in scores]
            mean = float(np.mean(levels))
            moved = np.concatenate(
                [each - level + mean for each, level in zip(scores, levels, strict=True)]
            )
            begin = prior.heads[name] if prior else None
            head = answered.learned(np.clip(moved, 0.0, 1.0), begin).head
            heads[name] = head if name == SMALL else _kept(head, BIG_KEPT, mean)
        return heads

    def _start(self, prior: Head | None) -> Floats:
        if prior is None:
            return np.zeros(COLUMNS, dtype=np.float32)
        return self.design.vector(prior) * np.float32(SLOPE_AT_HALF)

    def _cross_fitted(self, features: Sparse, targets: Floats, given: Floats) -> Floats:
        """Return for each row the prediction of a fit that had not seen it."""
        count = len(targets)
        apart = np.full(count, targets.mean(), dtype=np.float32)
        if count < 2 * FOLDS:
            return apart
        fold = self.generator.permutation(count) % FOLDS
        for each in range(FOLDS):
            train, test = np.flatnonzero(fold != each), np.flatnonzero(fold == each)
            fitted = fit_ridge(features.take(train), targets[train] - given[train], PENALTY)
            apart[test] = fitted.predicted(features.take(test)) + given[test]
        return apart


def small_and_big(scores: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the models that count as small and as big, by their mean scores."""
    order = np.argsort(np.nanmean(scores, axis=0), kind="stable")
    some = max(1, round(len(order) * BIG_SHARE))
    return order[: max(1, len(order) // 2)], order[-some:]


def _kept(head: Head, share: float, mean: float) -> Head:
    """Draw a head's chances towards their mean."""
    return Head(
        labels=head.labels,
        bias=share * head.bias + (1.0 - share) * logit(mean),
        surface=tuple(share * weight for weight in head.surface),
        lowest=head.lowest,
        highest=head.highest,
        words=head.words,
        pairs=head.pairs,
        words_step=share * head.words_step,
        pairs_step=share * head.pairs_step,
        domain={bucket: share * weight for bucket, weight in head.domain.items()},
    )


def _mean_score(scores: Floats, models: Sequence[int] | NDArray[np.intp]) -> Floats:
    chosen = scores[:, models]
    known = ~np.isnan(chosen)
    counts = known.sum(axis=1)
    summed = np.where(known, chosen, 0.0).sum(axis=1)
    return np.where(counts > 0, summed / np.maximum(1, counts), np.nan).astype(np.float32)


def _bent(apart: Floats, targets: Floats) -> tuple[float, float]:
    """Return slope and bias that turn predicted scores into log-odds."""
    spread = float(apart.std())
    if spread < 1e-6:
        weights = logistic_weights(np.zeros((len(targets), 0)), targets.astype(np.float64))
        return 1.0 / SLOPE_AT_HALF, float(weights[0]) - float(apart.mean()) / SLOPE_AT_HALF
    centred = ((apart - apart.mean()) / spread)[:, None].astype(np.float64)
    weights = logistic_weights(centred, targets.astype(np.float64))
    slope = float(np.clip(weights[1] / spread, SLOPE_MIN, SLOPE_MAX))
    return slope, float(weights[0]) - slope * float(apart.mean())
