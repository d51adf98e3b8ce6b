"""Shares between equals: which of several models that the operator holds equal is asked next.

The operator gives each a weight, and the weights are what traffic follows while nothing speaks
against one of them. What answers were worth (scores in [0, 1], of feedback, tests, audits) shifts
them: a model whose mean lies below the best one's, by more than chance would have it, loses share
in proportion, down to a tenth of its own. It never loses that tenth, for who is asked no more
cannot show that it got better.

Means forget. Each score weighs ``DISCOUNT`` times what the next one of the same model does, so a
mean is of about the last hundred: a model that gets worse is noticed within two hundred requests of
two equals, and one that got better is as quickly.

Sources: discounting against drift, Garivier and Moulines 2011, "On Upper-Confidence Bound Policies
for Switching Bandit Problems"; one score of each extreme added to both sides of a comparison, or a
few equal ones would look certain, Agresti and Caffo 2000; the variance of a number in [0, 1] of
mean m is at most m (1 - m), Bhatia and Davis 2000.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from random import Random

from mesh.core.types import CloudModel, ModelId

DISCOUNT = 0.99  # 1 / (1 - DISCOUNT) = 100 scores are what a mean is of
SHARE_KEPT = 0.1  # of its own, by the worst of models
GAP_FULL = 0.2  # in mean score, beyond chance: it leaves no more than ``SHARE_KEPT``
DOUBT = 1.64  # standard errors that are chance: one in twenty, on one side
MODELS_MAX = 1024  # more than settings can name; a score of a model beyond them is not kept


@dataclass(slots=True)
class _Scores:
    """Discounted sums over one model's scores."""

    sum: float = 0.0
    weight: float = 0.0
    squares: float = 0.0  # of the weights, for what the mean is worth

    def learn(self, score: float) -> None:
        self.sum = self.sum * DISCOUNT + score
        self.weight = self.weight * DISCOUNT + 1.0
        self.squares = self.squares * DISCOUNT**2 + 1.0

    @property
    def mean(self) -> float:
        return (self.sum + 1.0) / (self.weight + 2.0)

    @property
    def variance(self) -> float:
        """Of the mean."""
        return self.mean * (1.0 - self.mean) * self.squares / self.weight**2


@dataclass(slots=True)
class Shares:
    """What the scores of cloud models say, and what that makes of their shares."""

    _scores: dict[ModelId, _Scores] = field(default_factory=dict)

    def __repr__(self) -> str:
        means = (f"{model_id} {each.mean:.2f}" for model_id, each in self._scores.items())
        return f"<Shares {', '.join(means)}>"

    def learn(self, model_id: ModelId, score: float) -> None:
        """Take in what an answer of a model was worth.

        Args:
            score: in [0, 1]; a failure to answer is none, since it says nothing of answers.
        """
        assert 0.0 <= score <= 1.0, f"a score of {score}"
        if model_id not in self._scores and len(self._scores) >= MODELS_MAX:
            return
        self._scores.setdefault(model_id, _Scores()).learn(score)

    def pick(self, group: Sequence[CloudModel], rng: Random) -> CloudModel:
        """Return the one of ``group`` to ask; of two groups drawn alike, the same one.

        Args:
            group: equals that may answer the request, at least one; their ``share`` is above 0.
        """
        weights = self.weights(group)
        drawn = rng.random()
        for model in group:
            drawn -= weights[model.model_id]
            if drawn < 0.0:
                return model
        return group[-1]  # rounding left a little

    def drawn(self, models: Sequence[CloudModel], rng: Random) -> tuple[CloudModel, ...]:
        """Return ``models`` in their order, but of each group of equals the picked one first."""
        groups: dict[str, list[CloudModel]] = {}
        for each in models:
            if each.equals:
                groups.setdefault(each.equals, []).append(each)
        turns = {}
        for name, group in groups.items():
            picked = self.pick(group, rng)
            turns[name] = iter([picked, *(each for each in group if each is not picked)])
        return tuple(next(turns[each.equals]) if each.equals else each for each in models)

    def weights(self, group: Sequence[CloudModel]) -> Mapping[ModelId, float]:
        """Return how often each of ``group`` is to be picked, in all 1."""
        best = self._best(group)
        kept = {each.model_id: each.share * self._kept(each.model_id, best) for each in group}
        total = sum(kept.values())
        return {model_id: share / total for model_id, share in kept.items()}

    def _best(self, group: Sequence[CloudModel]) -> _Scores | None:
        known = [self._scores[each.model_id] for each in group if each.model_id in self._scores]
        return max(known, key=lambda each: each.mean - DOUBT * sqrt(each.variance), default=None)

    def _kept(self, model_id: ModelId, best: _Scores | None) -> float:
        """How much of its share a model keeps beside the best one, in [``SHARE_KEPT``, 1]."""
        own = self._scores.get(model_id)
        if own is None or best is None or own is best:
            return 1.0
        chance = DOUBT * sqrt(own.variance + best.variance)
        gap = max(0.0, best.mean - own.mean - chance)
        return max(SHARE_KEPT, 1.0 - gap / GAP_FULL * (1.0 - SHARE_KEPT))
