"""Learns how the prompts of each domain are worded."""

from array import array
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mesh.core.domains import BUCKETS, STEP_NATS, Domain, word_buckets
from mesh.core.features import Features

ROWS_MIN = 50  # fewer prompts say too little about a domain's words
LEVEL_MAX = 80
UNSEEN = 0.05  # of a prompt, as which a word counts that no prompt of the domain had
FOLDS = 5  # the floor is measured on prompts that the words were not counted from
BELOW_FLOOR = 0.01


def domains_of(prompts: Iterable[tuple[str, Features]]) -> Mapping[str, Domain]:
    """Return the domains that enough of ``prompts`` (domain, features) belong to."""
    by_domain: dict[str, list[tuple[int, ...]]] = {}
    for name, features in prompts:
        if name and (buckets := word_buckets(features)):
            by_domain.setdefault(name, []).append(buckets)
    return {
        name: _domain(rows) for name, rows in sorted(by_domain.items()) if len(rows) >= ROWS_MIN
    }


def _domain(rows: Sequence[tuple[int, ...]]) -> Domain:
    held_out = []
    for fold in range(FOLDS):
        words = _words([row for place, row in enumerate(rows) if place % FOLDS != fold])
        part = Domain(words, 0.0, 0)
        held_out += [part.nats(row) for row in rows[fold::FOLDS]]
    floor_nats = float(np.quantile(held_out, BELOW_FLOOR))
    return Domain(_words(rows), floor_nats, len(rows))


def _words(rows: Sequence[tuple[int, ...]]) -> "array[int]":
    counts = np.full(BUCKETS, UNSEEN)
    for row in rows:
        counts[list(row)] += 1.0
    nats = np.log(counts / counts.sum())
    levels = np.clip(np.rint(-nats / STEP_NATS), 0, LEVEL_MAX).astype(int)
    return array("b", levels.tolist())
