"""What judged answers teach about models: a correction to the scorer's P(ok), and whom to trust.

The scorer's P(ok) is fitted once and shipped. Judged answers correct it online, in log-odds, for
each model and class of tasks; a class with few labels of its own leans on its model's correction,
and a model with few labels on the scorer. So the shipped P(ok) stands until there is evidence.

1. Labels are forgotten as newer ones come, with a memory of ``MEMORY_LABELS``.
2. What the last labels say is compared with what is believed. Where chance does not explain the
   difference, the model is another one now: what was learned before counts little from then on.
3. Who is asked no more gets no labels: what is known of it fades with the labels of others, so
   that in the end it gets another try.
4. A model's own confidence counts the less the more others have judged it: a machine that says it
   is sure of everything, or whose model is not what its name says, would else outshout them.
5. What may be chance changes nothing: a correction counts by what it exceeds a part of its own
   standard error (soft thresholding: Donoho and Johnstone, Biometrika 81, 1994).

The correction is the discounted maximum a posteriori of a logistic model with one unknown, its
offset, by one damped Newton step for each label (West, Harrison and Migon, JASA 80, 1985, discount
the information of dynamic generalised linear models in this way).
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import sqrt
from typing import Final, TypeVar

from mesh.core.calibration import LABELS_MIN, logistic, logit
from mesh.core.types import ModelId

MEMORY_LABELS = 300  # e-folding; the standard error of an accuracy of 0.8 is then 0.016
FADES_OVER_LABELS = 5000  # of others: a week of a busy mesh at some hundred judged answers an hour
# What a model or class is expected to differ from its prior, as a precision: +-0.6 in log-odds,
# 0.8 +- 0.09. It weighs as much as 19 labels at 0.8.
PRIOR_PRECISION = 3.0
# In standard errors. One wrong answer of a model that is right 19 times of 20 then changes nothing,
# and of what is true of a model that was labelled often, 0.01 is lost at an accuracy of 0.9.
CHANCE = 0.5
VARIANCE_MIN = 0.02  # of a label: below it a Newton step after a surprise leaps too far
RECENT_LABELS = 50  # e-folding, of those that are compared with what is believed
# In standard errors. With the 1 that stands in for a handful of labels, a model that stays as it
# is sets this off once in thousands of labels.
SURPRISE = 3.0
KNOWN_FROM_INFORMATION = 10.0  # some 60 labels at 0.8; with less there is nothing to forget
KEPT_OF_THE_PAST = 0.03  # of what was learned before a change: it weighs as much as ten labels
CLASSES_KEPT_MAX = 4096  # as many as the catalogue's entries; at 200 bytes each
MODELS_KEPT_MAX = 1024

Key = TypeVar("Key")

_OWN_KEPT: Final = 1.0 - 1.0 / MEMORY_LABELS
_RECENT_KEPT: Final = 1.0 - 1.0 / RECENT_LABELS
_FADED: Final = 1.0 - 1.0 / FADES_OVER_LABELS


class Source(StrEnum):
    """Who judged an answer."""

    FEEDBACK = "feedback"  # a person, or a program that speaks for one
    TEST = "test"  # it was carried out, and worked or did not
    EXECUTION = "execution"  # what a tool said of a call, in a session's next request
    JUDGE = "judge"  # another model: right about four times out of five
    AUDIT = "audit"  # another answer to the same prompt agreed with it, or did not
    CONFIDENCE = "confidence"  # its own model's, calibrated: judged while it was held back


# How much of a label each is. A judge agrees with people about as often as they do with each other,
# some 80 % (Zheng et al., NeurIPS 2023, arXiv:2306.05685); two right answers may differ in words;
# and confidence is a forecast by a head that was fitted earlier. A call that
# failed may have met a missing file or a closed port, and one that worked may be the wrong one.
WEIGHTS: Final = {
    Source.FEEDBACK: 1.0,
    Source.TEST: 1.0,
    Source.JUDGE: 0.6,
    Source.AUDIT: 0.5,
    Source.EXECUTION: 0.3,
    Source.CONFIDENCE: 0.2,
}


@dataclass(frozen=True, slots=True)
class Label:
    """How good one answer was.

    Attributes:
        guess: P(ok) in (0, 1) as it was before anything was learned: of the scorer's head for this
            model, or by its size where it has none.
        score: in [0, 1]; 1 is right.
        weight: in (0, 1]: what share of a certain label this is.
    """

    model_id: ModelId
    task_class: str
    guess: float
    score: float
    weight: float
    source: Source
    instead_of: float | None = None  # the score that the same source gave before, and takes back


def label(  # noqa: PLR0913 - as many as a label has
    source: Source,
    model_id: ModelId,
    task_class: str,
    *,
    guess: float,
    score: float,
    instead_of: float | None = None,
) -> Label:
    """Make a label that weighs what its source does."""
    return Label(model_id, task_class, guess, score, WEIGHTS[source], source, instead_of)


@dataclass(slots=True)
class Evidence:
    """What labels say of one offset. Mutable; only ``Outcomes`` changes it."""

    information: float = 0.0  # of the labels, discounted
    pull: float = 0.0  # information x the offset that the labels alone would have
    weight: float = 0.0  # of the labels, discounted
    squares: float = 0.0  # weight, discounted twice
    others: float = 0.0  # the part of weight that is not the model's own confidence
    surprise: float = 0.0  # recent scores less what was expected
    surprise_variance: float = 0.0
    at: int = 0  # how many labels there were in all when this last learned

    def offset(self, prior: float) -> float:
        """Return the likeliest offset, where ``prior`` is expected."""
        return (self.pull + PRIOR_PRECISION * prior) / (self.information + PRIOR_PRECISION)

    def beyond_chance(self, prior: float) -> float:
        """Return what the offset differs from ``prior``, less what may be chance."""
        away = self.offset(prior) - prior
        least = CHANCE / sqrt(self.information + PRIOR_PRECISION)
        return max(0.0, abs(away) - least) * (1.0 if away > 0 else -1.0)

    @property
    def labels(self) -> float:
        """So many certain labels, all of them new, would say as much (Kish, 1965)."""
        return self.weight**2 / self.squares if self.squares > 0 else 0.0

    def faded(self, now: int) -> "Evidence":
        """Return what is left of it after labels of others."""
        kept = _FADED ** max(0, now - self.at)
        return Evidence(
            self.information * kept, self.pull * kept, self.weight * kept, self.squares * kept
        )

    def heard(self, given: Label) -> Label:
        """Return the label with the weight that it has beside those of others."""
        if given.source is not Source.CONFIDENCE:
            return given
        return replace(given, weight=given.weight / (1.0 + self.others) ** 2)

    def learn(self, given: Label, prior: float) -> None:
        if given.instead_of is not None:  # the answer was counted already, only otherwise
            self.pull += given.weight * (given.score - given.instead_of)
            return
        offset = self.offset(prior)
        expected = logistic(logit(given.guess) + offset)
        wrong_by, variance = given.score - expected, expected * (1.0 - expected)
        self._compare(given.weight, wrong_by, variance)
        step = given.weight * max(variance, VARIANCE_MIN)
        self.information = _OWN_KEPT * self.information + step
        self.pull = _OWN_KEPT * self.pull + step * offset + given.weight * wrong_by
        self.weight = _OWN_KEPT * self.weight + given.weight
        self.squares = _OWN_KEPT**2 * self.squares + given.weight
        theirs = 0.0 if given.source is Source.CONFIDENCE else given.weight
        self.others = _OWN_KEPT * self.others + theirs

    def _compare(self, weight: float, wrong_by: float, variance: float) -> None:
        self.surprise = _RECENT_KEPT * self.surprise + weight * wrong_by
        self.surprise_variance = (
            _RECENT_KEPT**2 * self.surprise_variance + weight * weight * variance
        )
        explained = SURPRISE * sqrt(self.surprise_variance + 1.0)
        if self.information < KNOWN_FROM_INFORMATION or abs(self.surprise) < explained:
            return
        self.information *= KEPT_OF_THE_PAST
        self.pull *= KEPT_OF_THE_PAST
        self.surprise = self.surprise_variance = 0.0


@dataclass(slots=True)
class Outcomes:
    """Mutable; only ``Fleet.handle`` changes it. Bounded: whoever learned longest ago goes."""

    total: int = 0  # labels, of all models
    _classes: dict[tuple[ModelId, str], Evidence] = field(default_factory=dict, repr=False)
    _models: dict[ModelId, Evidence] = field(default_factory=dict, repr=False)

    def learn(self, given: Label) -> None:
        """Take in one label. One that is no judgement (a weight of 0) changes nothing."""
        if not given.weight > 0:
            return
        self.total += 1
        model = self._models.pop(given.model_id, None) or Evidence(at=self.total)
        key = given.model_id, given.task_class
        of_class = self._classes.pop(key, None) or Evidence(at=self.total)
        given = model.heard(given)
        of_class.learn(given, model.offset(0.0))
        model.learn(given, 0.0)
        of_class.at = model.at = self.total
        _keep(self._models, given.model_id, model, MODELS_KEPT_MAX)
        _keep(self._classes, key, of_class, CLASSES_KEPT_MAX)

    def correction(self, model_id: ModelId, task_class: str) -> float:
        """Return what is to be added to the log-odds of a guess; 0 where nothing was learned."""
        found = self._models.get(model_id)
        if found is None:
            return 0.0
        model = found.faded(self.total)
        correction = model.beyond_chance(0.0)
        of_class = self._classes.get((model_id, task_class))
        if of_class is not None:
            correction += of_class.faded(self.total).beyond_chance(model.offset(0.0))
        return correction

    def p_ok(self, model_id: ModelId, task_class: str, guess: float) -> float:
        """Return P(ok) in (0, 1): the guess, with what was learned since it was made."""
        correction = self.correction(model_id, task_class)
        return logistic(logit(guess) + correction) if correction else guess

    def labels(self, model_id: ModelId) -> float:
        """How many labels of a model count, old ones and doubtful ones less."""
        found = self._models.get(model_id)
        return found.faded(self.total).labels if found is not None else 0.0

    def trusted(self, model_id: ModelId) -> bool:
        """Has this model so many labels of its own that its P(ok) is no mere guess?"""
        return self.labels(model_id) >= LABELS_MIN


def _keep(into: dict[Key, Evidence], key: Key, each: Evidence, kept_max: int) -> None:
    """Put it last, and let the first one go if they are too many."""
    if len(into) >= kept_max:
        del into[next(iter(into))]
    into[key] = each
