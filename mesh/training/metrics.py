"""How good a routing score is: the measures of RouteLLM, and what random scores reach on the rows.

A router that sends the share ``c`` of prompts to the strong model reaches some mean score. Over all
thresholds that is a curve from the weak model's score (c = 0) to the strong one's (c = 1).
APGR is the area between the curve and the weak model's score, as a share of the gap: about 0.5 for
random scores. CPTx is the percentage of strong calls at which x % of the gap is recovered.

Source: Ong et al., RouteLLM, arXiv:2406.18665, section 3, and its evaluation's code (ten cuts by
quantile of the score, trapezoid, linear interpolation).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CUTS = 10  # RouteLLM's number of equally large bins
BINS = 10  # of equal width, for the calibration error
RANDOM_DRAWS = 1000  # the spread of random scores is then known to 2 %
DRAWS_AT_ONCE = 50  # keeps the draws of 100,000 rows within 40 MB


@dataclass(frozen=True, slots=True)
class Routed:
    """One routing curve, and what is read from it; None where the models are equally good."""

    apgr: float | None
    cpt50: float | None
    cpt80: float | None


def routed(score: Floats, weak: Floats, strong: Floats) -> Routed:
    """Return how well ``score`` routes.

    Args:
        score: shape (rows,); the higher, the rather the strong model is called.
        weak, strong: shape (rows,); what the models' answers were worth, in [0, 1].
    """
    gap = float(strong.mean() - weak.mean())
    if not gap:
        return Routed(None, None, None)
    share, reached = curve(score, weak, strong)
    gained = float(
        np.trapezoid(reached, share) - np.trapezoid(np.full_like(share, weak.mean()), share)
    )
    whole = float(gap * (share[-1] - share[0]))
    return Routed(
        apgr=gained / whole if whole else None,
        cpt50=_calls_for(0.5, share, reached, weak, strong),
        cpt80=_calls_for(0.8, share, reached, weak, strong),
    )


def curve(score: Floats, weak: Floats, strong: Floats) -> tuple[Floats, Floats]:
    """Return the shares of strong calls, ascending, and the mean scores reached with them."""
    thresholds = np.quantile(score, np.linspace(0.0, 1.0, CUTS + 1))
    chosen = [score >= threshold for threshold in thresholds[:-1]]
    chosen.append(score > thresholds[-1])  # nothing: the weak model answers all
    share = np.array([each.mean() for each in chosen])
    reached = np.array([np.where(each, strong, weak).mean() for each in chosen])
    order = np.argsort(share, kind="stable")
    return share[order], reached[order]


def random_apgr(
    weak: Floats, strong: Floats, generator: np.random.Generator
) -> tuple[float | None, float | None]:
    """Return the mean and the spread of the APGR of random scores on these rows."""
    gains = strong - weak
    rows = len(gains)
    if not gains.mean():
        return None, None
    # A random score is a random order: the cuts fall after fixed numbers of rows.
    cuts = rows - np.ceil(np.linspace(0.0, 1.0, CUTS + 1) * (rows - 1)).astype(int)
    cuts[-1] = 0
    share = cuts[::-1] / rows
    found: list[Floats] = []
    for _ in range(RANDOM_DRAWS // DRAWS_AT_ONCE):
        shuffled = generator.permuted(np.broadcast_to(gains, (DRAWS_AT_ONCE, rows)), axis=1)
        summed = np.concatenate([np.zeros((DRAWS_AT_ONCE, 1)), np.cumsum(shuffled, axis=1)], axis=1)
        found.append(np.trapezoid(summed[:, cuts[::-1]] / rows, share, axis=1) / gains.mean())
    every = np.concatenate(found)
    return float(every.mean()), float(every.std())


def auc(score: Floats, positive: NDArray[np.bool_]) -> float | None:
    """Return the chance that a positive row scores above a negative one, ties counted half."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2.0)[place]  # mean rank of those that tie, from 1
    above = float(rank[positive].sum()) - positives * (positives + 1) / 2.0
    return above / (positives * negatives)


def ece(probability: Floats, outcome: Floats) -> float:
    """Return the expected calibration error, over bins of equal width.

    Source: Guo et al., ICML 2017, arXiv:1706.04599, equation 3.
    """
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    apart = np.bincount(bins, weights=probability - outcome, minlength=BINS)
    return float(np.abs(apart).sum() / max(1, counts.sum()))


def _calls_for(part: float, share: Floats, reached: Floats, weak: Floats, strong: Floats) -> float:
    """Percent of strong calls at which ``part`` of the gap is recovered."""
    wanted = float(part * (strong.mean() - weak.mean()) + weak.mean())
    if strong.mean() < weak.mean():  # the curve falls; interpolation needs one that rises
        wanted, reached = -wanted, -reached
    return float(np.interp(wanted, reached, share * 100.0))
