"""Which rows are learned from and which are judged. The same prompt is never in both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mesh.errors import InvalidRequest
from mesh.training.outcomes import Row, prompt_hash

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Split:
    """Places of rows: to learn from, and to judge."""

    train: Places
    test: Places


def folds(rows: Sequence[Row], count: int, *, seed: int) -> Iterator[Split]:
    """Yield ``count`` splits; each prompt is judged in exactly one of them."""
    prompts = np.array([prompt_hash(row.prompt) for row in rows])
    yield from _grouped(prompts, count, seed=seed, what="different prompts")


def folds_without_domain(rows: Sequence[Row], count: int, *, seed: int) -> Iterator[Split]:
    """Yield up to ``count`` splits; no domain, and no prompt, is on both sides of any.

    Raises:
        InvalidRequest: there are fewer than two domains.
    """
    domains = np.unique([row.domain for row in rows], return_inverse=True)[1]
    named = {row.domain for row in rows}
    count = min(count, len(named))
    if count < 2:
        raise InvalidRequest(
            "the rows have fewer than two domains, so none can be left out",
            hint="leave --group-out away, or give outcomes whose `domain` is filled in",
        )
    prompts = np.array([prompt_hash(row.prompt) for row in rows])
    for split in _grouped(domains, count, seed=seed, what="domains"):
        known = np.isin(prompts[split.train], prompts[split.test])
        yield Split(split.train[~known], split.test)  # a prompt that two domains share


def random_labels(rows: Sequence[Row], labels: int, *, seed: int) -> Split:
    """Learn from ``labels`` random rows, judge the rest, less those whose prompt was learned from.

    Raises:
        InvalidRequest: that leaves nothing to judge.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    train, test = order[:labels], order[labels:]
    prompts = np.array([prompt_hash(row.prompt) for row in rows])
    test = test[~np.isin(prompts[test], prompts[train])]
    if not len(train) or not len(test):
        raise InvalidRequest(
            f"{labels} labels of {len(rows)} rows leave nothing to learn from, or to judge",
            hint="give fewer --labels, or more rows",
        )
    return Split(np.sort(train), np.sort(test))


def _grouped(groups: NDArray[np.int64], count: int, *, seed: int, what: str) -> Iterator[Split]:
    """Whole groups into folds of about equal size: the largest first, each into the smallest."""
    names, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < count:
        raise InvalidRequest(
            f"{count} folds need as many {what}, and there are {len(names)}",
            hint="give fewer --folds, or more rows",
        )
    shuffled = np.random.default_rng(seed).permutation(len(names))
    fold_of = np.empty(len(names), dtype=np.intp)
    filled = np.zeros(count)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        least = int(filled.argmin())
        fold_of[group] = least
        filled[least] += sizes[group]
    fold = fold_of[place]
    for each in range(count):
        yield Split(np.flatnonzero(fold != each), np.flatnonzero(fold == each))
