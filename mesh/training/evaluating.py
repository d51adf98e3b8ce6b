"""Judges a scorer on rows that it did not learn from, for one pair of a weak and a strong model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from mesh.core.asked import BIG, SMALL
from mesh.core.calibration import ConfidenceHead
from mesh.core.features import prompt_features
from mesh.core.scorer import Head, Scorer
from mesh.errors import InvalidRequest
from mesh.training.fitting import Fitter
from mesh.training.learning import Ground, learn_one, learn_signs, signs_of
from mesh.training.metrics import auc, ece, random_apgr, routed
from mesh.training.outcomes import Row
from mesh.training.splits import Split

Floats = NDArray[np.float64]
Figures = dict[str, float | int | None]

TIMED_PROMPTS = 1000  # enough for a median
EVEN = 0.5  # the prompt's P(ok) where only the answer's signs may speak
NO_SIGNS = "no confidence head: learn from outcomes with `tokens` of that model"

# What of a request is looked at: the prompt, the weak model's answer, or both.
PROMPT_ONLY, CONFIDENCE_ONLY, BOTH = "prompt_only", "confidence_only", "both"


@dataclass(frozen=True, slots=True)
class Judged:
    """Chances that two models' answers are right, and whether they were; each of shape (rows,)."""

    weak_chance: Floats
    strong_chance: Floats
    weak: Floats
    strong: Floats

    @classmethod
    def joined(cls, parts: Sequence["Judged"]) -> "Judged":
        return cls(
            np.concatenate([part.weak_chance for part in parts]),
            np.concatenate([part.strong_chance for part in parts]),
            np.concatenate([part.weak for part in parts]),
            np.concatenate([part.strong for part in parts]),
        )

    def of(self, rows: NDArray[np.bool_]) -> "Judged":
        """Return some of the rows."""
        return Judged(
            self.weak_chance[rows], self.strong_chance[rows], self.weak[rows], self.strong[rows]
        )

    def figures(self, *, seed: int = 0) -> Figures:
        """Return all measures but the time that scoring takes."""
        gain = self.strong_chance - self.weak_chance
        way = routed(gain, self.weak, self.strong)
        at_random, spread = random_apgr(self.weak, self.strong, np.random.default_rng(seed))
        return {
            "apgr": way.apgr,
            "cpt50": way.cpt50,
            "cpt80": way.cpt80,
            "random_apgr": at_random,
            "random_apgr_sd": spread,
            "accuracy_weak": float(self.weak.mean()),
            "accuracy_strong": float(self.strong.mean()),
            "auc": auc(gain, self.strong > self.weak),
            "ece": ece(
                np.concatenate([self.weak_chance, self.strong_chance]),
                np.concatenate([self.weak, self.strong]),
            ),
            "rows": len(gain),
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """The heads of a weak and a strong model, and the weak one's for its answers' signs."""

    weak: Head
    strong: Head
    signs: ConfidenceHead | None = None
    signs_alone: ConfidenceHead | None = None

    @classmethod
    def of(cls, scorer: Scorer, weak: str, strong: str) -> "Pair":
        """Take the two models' own heads, or the generic ones for those that have none."""
        return cls(
            scorer.heads[scorer.head_of(weak, big=False)],
            scorer.heads[scorer.head_of(strong, big=True)],
            scorer.confidence.get(weak),
            scorer.confidence.get(weak),
        )

    @classmethod
    def learned(
        cls, ground: Ground, train: NDArray[np.intp], prior: Scorer | None, *, signs: bool
    ) -> "Pair":
        """Learn both models' heads from some of the rows; ``ground`` holds the weak, the strong."""
        fitter = Fitter(ground.design, train, np.random.default_rng(0))
        weak = learn_one(fitter, ground, 0, prior, big=False)
        strong = learn_one(fitter, ground, 1, prior, big=True)
        if not signs:
            return cls(weak.head, strong.head)
        alone = type(weak)(weak.head, weak.rows, np.full(len(weak.rows), EVEN))
        return cls(
            weak.head,
            strong.head,
            learn_signs(ground, 0, weak, np.random.default_rng(0)),
            learn_signs(ground, 0, alone, np.random.default_rng(0)),
        )

    def judged(self, ground: Ground, test: NDArray[np.intp], what: str) -> Judged:
        """Apply the heads to rows; ``ground`` holds the weak model first, then the strong one.

        Raises:
            InvalidRequest: signs are asked for, and nothing was learned of them.
        """
        features = [ground.design.features[row] for row in test]
        weak = np.array([self.weak.p_ok(each) for each in features])
        strong = np.array([self.strong.p_ok(each) for each in features])
        if what != PROMPT_ONLY:
            head = self.signs_alone if what == CONFIDENCE_ONLY else self.signs
            if head is None:
                raise InvalidRequest(f"{ground.models[0]} has {NO_SIGNS}")
            if what == CONFIDENCE_ONLY:
                weak, strong = np.full(len(test), EVEN), np.full(len(test), strong.mean())
            signs = signs_of(ground.rows, test, ground.models[0], head.tokens)
            weak = np.array([head.p_ok(s, p) for s, p in zip(signs, weak, strict=True)])
        scores = ground.scores[test].astype(np.float64)
        return Judged(weak, strong, scores[:, 0], scores[:, 1])

    def scoring_us_p50(self, rows: Sequence[Row]) -> float:
        """Return the median time, in microseconds, from a prompt to the two chances."""
        took_ns = []
        for row in rows[:TIMED_PROMPTS]:
            began_ns = perf_counter_ns()
            features = prompt_features(row.prompt, row.domain)
            self.weak.p_ok(features)
            self.strong.p_ok(features)
            took_ns.append(perf_counter_ns() - began_ns)
        return median(took_ns) / 1000.0


def judged_on_splits(
    ground: Ground, splits: Iterable[Split], prior: Scorer | None, *, signs: bool
) -> tuple[list[dict[str, Judged]], Pair]:
    """Learn and judge once for each split; return what was judged by what was looked at."""
    found: list[dict[str, Judged]] = []
    pair = None
    for split in splits:
        pair = Pair.learned(ground, split.train, prior, signs=signs)
        found.append(looked_at(pair, ground, split.test, signs=signs))
    assert pair is not None, "there is always a split"
    return found, pair


def looked_at(
    pair: Pair, ground: Ground, test: NDArray[np.intp], *, signs: bool
) -> dict[str, Judged]:
    """Judge rows by the prompt alone and, if asked for, by the weak answer's signs too."""
    views = (PROMPT_ONLY, CONFIDENCE_ONLY, BOTH) if signs else (PROMPT_ONLY,)
    return {what: pair.judged(ground, test, what) for what in views}


def mean_figures(every: Sequence[Figures]) -> Figures:
    """Return the means over repetitions, with the spread of what routing reached beside them."""
    found: Figures = {}
    for key in every[0]:
        known = [value for figures in every if (value := figures[key]) is not None]
        found[key] = (
            (round(np.mean(known)) if key == "rows" else float(np.mean(known))) if known else None
        )
        if key in ("apgr", "cpt50", "cpt80") and known:
            found[f"{key}_sd"] = float(np.std(known))
    return found


def generic_only(scorer: Scorer, weak: str, strong: str) -> list[str]:
    """Return those of the two models that generic heads stand for."""
    return [
        model
        for model, big in ((weak, False), (strong, True))
        if scorer.head_of(model, big=big) in (SMALL, BIG)
    ]
