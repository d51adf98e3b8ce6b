"""Prompts' features as a matrix, and heads as vectors of its columns.

Columns: the surface, words, pairs, buckets of the domain. Each group of a row has a length fixed by
its scale, so that a long prompt does not speak louder than a short one. One penalty then fits all.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mesh.core.features import BUCKETS, DOMAIN_BUCKETS, SURFACE_NAMES, Features
from mesh.core.scorer import TRUSTED_FROM_LABELS, Head
from mesh.core.scorer_format import LEVELS
from mesh.training.sparse import Floats, Sparse

SURFACE = len(SURFACE_NAMES)
WORDS_AT, PAIRS_AT = SURFACE, SURFACE + BUCKETS
DOMAIN_AT = PAIRS_AT + BUCKETS
COLUMNS = DOMAIN_AT + DOMAIN_BUCKETS

# Chosen on 500 to 3,500 labels of two public sets, by ranking of gains; the optimum is flat. A
# domain tells much with few labels, as it has many rows where a word has few.
SURFACE_SCALE, WORDS_SCALE, PAIRS_SCALE, DOMAIN_SCALE = 1.0, 1.0, 0.7, 2.2
RARE = 0.005  # of the rows may lie beyond the bounds on either side
SPREAD_MIN = 0.05  # of a number on the surface: one that never varied says nothing when it does
STEPS_A_SPREAD = 3.0  # weights are stored in thirds of their spread: 3.6 bits each once packed


@dataclass(frozen=True)
class Design:
    """The features of all rows, on scales made for them."""

    features: Sequence[Features]

    @cached_property
    def means(self) -> Floats:
        return np.asarray(self._surface.mean(axis=0))

    @cached_property
    def spreads(self) -> Floats:
        spreads = np.maximum(self._surface.std(axis=0), SPREAD_MIN)
        return np.asarray(spreads * np.float32(np.sqrt(SURFACE) / SURFACE_SCALE))

    @cached_property
    def matrix(self) -> Sparse:
        """Return the matrix, shape (rows, COLUMNS)."""
        surface = (self._surface - self.means) / self.spreads
        columns, values = [], []
        shown = np.arange(SURFACE)
        for row, each in enumerate(self.features):
            groups = (
                (each.words, WORDS_AT, WORDS_SCALE),
                (each.pairs, PAIRS_AT, PAIRS_SCALE),
                (each.domain, DOMAIN_AT, DOMAIN_SCALE),
            )
            columns.append(
                np.concatenate([shown, *(np.array(g, np.int64) + at for g, at, _ in groups)])
            )
            values.append(
                np.concatenate(
                    [
                        surface[row],
                        *(np.full(len(g), s / max(1, len(g)) ** 0.5) for g, _, s in groups),
                    ]
                )
            )
        return Sparse.of(columns, values, COLUMNS)

    def vector(self, head: Head) -> Floats:
        """Return a head's weights as a vector of columns; its bias is left out."""
        weights = np.zeros(COLUMNS, dtype=np.float32)
        weights[:SURFACE] = np.array(head.surface, np.float32) * self.spreads
        words, pairs = np.array(head.words, np.float32), np.array(head.pairs, np.float32)
        weights[WORDS_AT:PAIRS_AT] = words * np.float32(head.words_step / WORDS_SCALE)
        weights[PAIRS_AT:DOMAIN_AT] = pairs * np.float32(head.pairs_step / PAIRS_SCALE)
        for bucket, weight in head.domain.items():
            weights[DOMAIN_AT + bucket] = weight / DOMAIN_SCALE
        return weights

    def head(
        self, weights: Floats, bias: float, *, labels: int, bounds: tuple[Floats, Floats]
    ) -> Head:
        """Return the head of a vector of columns, as it is stored: the inverse of ``vector``."""
        surface = weights[:SURFACE] / self.spreads
        words, words_step = _levels(weights[WORDS_AT:PAIRS_AT] * np.float32(WORDS_SCALE))
        pairs, pairs_step = _levels(weights[PAIRS_AT:DOMAIN_AT] * np.float32(PAIRS_SCALE))
        domain = weights[DOMAIN_AT:] * np.float32(DOMAIN_SCALE)
        return Head(
            labels=labels,
            bias=float(bias - surface @ self.means),
            surface=tuple(map(float, surface)),
            lowest=tuple(map(float, bounds[0])),
            highest=tuple(map(float, bounds[1])),
            words=words,
            pairs=pairs,
            words_step=words_step,
            pairs_step=pairs_step,
            domain={int(at): float(domain[at]) for at in np.flatnonzero(np.abs(domain) > 1e-6)},
        )

    def bounds(self, rows: NDArray[np.intp], prior: Head | None) -> tuple[Floats, Floats]:
        """Return the least and the most that the rows have of each number on the surface.

        A few rows show too little of what there is: then the prior's bounds count as well.
        """
        if not len(rows):
            return self.bounds(np.arange(len(self.features)), prior)
        low, high = np.quantile(self._surface[rows], (RARE, 1.0 - RARE), axis=0)
        if prior is not None and len(rows) < TRUSTED_FROM_LABELS:
            low, high = np.minimum(low, prior.lowest), np.maximum(high, prior.highest)
        return np.asarray(low, np.float32), np.asarray(high, np.float32)

    @cached_property
    def _surface(self) -> Floats:
        return np.array([each.surface for each in self.features], dtype=np.float32)


def _levels(weights: Floats) -> "tuple[array[int], float]":
    """Round weights to whole steps; few are far from 0, so most of a file's bytes are alike."""
    some = weights[weights != 0]
    step = float(np.sqrt((some**2).mean())) / STEPS_A_SPREAD if len(some) else 1.0
    levels = np.clip(np.rint(weights / np.float32(step)), -LEVELS, LEVELS)
    return array("b", levels.astype(np.int8).tobytes()), step
