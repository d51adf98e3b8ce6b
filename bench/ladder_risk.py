"""Are answers that were let stand wrong as seldom as was stated? And is a foreign field noticed?

Calibrations are repeated on random parts of a model's labelled answers to one field, and each is
judged on the rest, which it has not seen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.ladder_questions import Question
from mesh.core.calibration import LABELS_MIN
from mesh.core.domains import recognised
from mesh.core.features import prompt_features
from mesh.training.calibrating import fit_confidence
from mesh.training.fitting import Fitter
from mesh.training.learning import Ground, learn_one, signs_of
from mesh.training.outcomes import read_outcomes
from mesh.training.recognising import domains_of

RISK = 0.1
CALIBRATIONS = 200
LABELS = LABELS_MIN  # of each: the fewest that the ladder believes
TESTED_MIN = 150  # answers that are left to judge it by, else it is not tried


@dataclass(frozen=True, slots=True)
class Calibrated:
    """One calibration, on answers that it has not seen."""

    model: str
    domain: str
    accepted: int
    tested: int
    wrong: int  # of the accepted ones

    @property
    def exceeded(self) -> bool:
        return self.wrong > RISK * self.accepted


@dataclass(frozen=True, slots=True)
class _Pool:
    """All labelled answers of one model in one domain."""

    model: str
    domain: str
    signs: NDArray[np.float64]
    prompt_p_ok: NDArray[np.float64]  # each by a head that had not seen the prompt
    right: NDArray[np.float64]

    def calibrated(self, generator: np.random.Generator) -> Calibrated:
        order = generator.permutation(len(self.right))
        train, test = order[:LABELS], order[LABELS:]
        head = fit_confidence(
            self.signs[train], self.prompt_p_ok[train], self.right[train], generator
        )
        chances = [head.p_ok(tuple(self.signs[row]), float(self.prompt_p_ok[row])) for row in test]
        stands = np.array([head.accepts(chance, risk=RISK) for chance in chances], dtype=bool)
        wrong = int((1.0 - self.right[test][stands]).sum())
        return Calibrated(self.model, self.domain, int(stands.sum()), len(test), wrong)


def calibrations(outcomes: Path, models: Sequence[str], *, count: int) -> list[Calibrated]:
    """Calibrate ``count`` times over all pools that are large enough, by turns."""
    generator = np.random.default_rng(0)
    pools = list(_pools(outcomes, models, generator))
    if not pools:
        return []
    return [pools[turn % len(pools)].calibrated(generator) for turn in range(count)]


def figures(found: Sequence[Calibrated]) -> dict[str, float | int | None]:
    """Return how often the stated risk was exceeded, and the mean risk over all."""
    accepted = sum(each.accepted for each in found)
    return {
        "calibrations": len(found),
        "risk_exceeded_share": sum(each.exceeded for each in found) / len(found),
        "risk_wrong_share": sum(each.wrong for each in found) / accepted if accepted else None,
        "risk_accepted_share": accepted / sum(each.tested for each in found),
    }


def lines(found: Sequence[Calibrated]) -> Iterator[str]:
    """Yield a line for each model and field."""
    for model, domain in sorted({(each.model, each.domain) for each in found}):
        some = [each for each in found if (each.model, each.domain) == (model, domain)]
        exceeded = sum(each.exceeded for each in some)
        accepted = sum(each.accepted for each in some)
        wrong = sum(each.wrong for each in some) / max(1, accepted)
        yield (
            f"  {model}, {domain}: {exceeded} of {len(some)} calibrations exceed {RISK:.0%}; "
            f"{wrong:.1%} wrong of the {accepted / sum(each.tested for each in some):.0%} let stand"
        )


def foreign_share(learned: Sequence[Question], asked: Sequence[Question]) -> dict[str, float]:
    """Return for each domain the share of its questions that are recognised as foreign where
    nothing was learned of it."""
    shares = {}
    for domain in sorted({each.domain for each in asked}):
        known = domains_of(
            (each.domain, prompt_features(each.prompt)) for each in learned if each.domain != domain
        )
        own = [each for each in asked if each.domain == domain]
        noticed = sum(recognised(prompt_features(each.prompt), known).foreign for each in own)
        shares[domain] = noticed / len(own)
    return shares


def own_share(learned: Sequence[Question], asked: Sequence[Question]) -> float:
    """Return the share of questions whose domain is recognised, where all were learned of."""
    known = domains_of((each.domain, prompt_features(each.prompt)) for each in learned)
    right = sum(
        recognised(prompt_features(each.prompt), known).domain == each.domain for each in asked
    )
    return right / len(asked)


def _pools(
    outcomes: Path, models: Sequence[str], generator: np.random.Generator
) -> Iterator[_Pool]:
    ground = Ground.of(read_outcomes([outcomes], with_signs=True))
    fitter = Fitter(ground.design, np.arange(len(ground.rows)), generator)
    for model in models:
        place = ground.models.index(model)
        learned = learn_one(fitter, ground, place, None, big=False)
        domains = np.array([ground.rows[row].domain for row in learned.rows])
        for domain in np.unique(domains):
            # An answer without a token has no signs, and would be judged as one nobody is sure of.
            known = np.array([model in ground.rows[row].signs for row in learned.rows])
            here = (domains == domain) & known
            if here.sum() < LABELS + TESTED_MIN:
                continue
            rows = learned.rows[here]
            yield _Pool(
                model,
                str(domain),
                signs_of(ground.rows, rows, model),
                learned.apart[here],
                ground.scores[rows, place].astype(np.float64),
            )
