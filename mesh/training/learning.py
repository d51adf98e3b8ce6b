"""Makes a scorer of outcomes: heads for each model, for unknown ones, and for answers' signs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mesh.core.asked import BIG, SMALL
from mesh.core.calibration import LABELS_MIN, ConfidenceHead
from mesh.core.confidence import confidence_features
from mesh.core.features import prompt_features
from mesh.core.policies import Policy
from mesh.core.scorer import Scorer, Source, judges
from mesh.training.calibrating import fit_confidence
from mesh.training.design import Design
from mesh.training.fitting import Fitter, Learned, small_and_big
from mesh.training.outcomes import Outcomes, Row, prompt_hash
from mesh.training.recognising import domains_of
from mesh.training.sparse import Floats

# The cascade judges an answer by its first tokens, and holds it back so long. A head that was
# fitted to whole answers is wrong about long ones of which it sees the beginning.
HELD_TOKENS = Policy.BALANCED.hold_tokens
SEEN_MAX = 20_000  # hashes kept, the lowest ones: 160 KB, and an even sample of the prompts
Told = Callable[[float], None]  # of the share that is done, in [0, 1]


@dataclass(frozen=True, slots=True)
class Ground:
    """Outcomes, read once into what fitting needs."""

    rows: Sequence[Row]
    models: tuple[str, ...]
    scores: Floats  # shape (rows, models); NaN where a model did not answer
    design: Design

    @classmethod
    def of(cls, outcomes: Outcomes, models: Sequence[str] | None = None) -> "Ground":
        """Take the outcomes of ``models``, or of all."""
        chosen = tuple(outcomes.models if models is None else models)
        features = [prompt_features(row.prompt, row.domain) for row in outcomes.rows]
        scores = outcomes.scores(chosen).astype(np.float32)
        return cls(outcomes.rows, chosen, scores, Design(features))


def learn(
    ground: Ground,
    *,
    prior: Scorer | None,
    sources: Sequence[Source] = (),
    seed: int = 0,
    told: Told = lambda share: None,
) -> Scorer:
    """Learn all heads from all rows, beginning from ``prior``'s generic ones."""
    generator = np.random.default_rng(seed)
    every = np.arange(len(ground.rows))
    fitter = Fitter(ground.design, every, generator)
    big = set(small_and_big(ground.scores)[1])
    heads, confidence = {}, {}
    domains = domains_of((row.domain, prompt_features(row.prompt)) for row in ground.rows)
    for place, model in enumerate(ground.models):
        learned = learn_one(fitter, ground, place, prior, big=place in big)
        heads[model] = learned.head
        for domain in ("", *domains):
            signs = learn_signs(
                ground, place, learned, generator, domain=domain, tokens=HELD_TOKENS
            )
            if signs is not None:
                confidence[judges(model, domain)] = signs
        told((place + 1) / (len(ground.models) + 2))
    generic = fitter.generic_heads([ground.scores], prior)
    told(1.0)
    earlier = () if prior is None else prior.sources
    return Scorer(
        heads={**generic, **heads},
        confidence=confidence,
        domains=domains,
        sources=(*earlier, *sources),
        seen=_sample(ground.rows, () if prior is None else prior.seen),
    )


def learn_one(
    fitter: Fitter, ground: Ground, place: int, prior: Scorer | None, *, big: bool
) -> Learned:
    """Learn one model's head, beginning from the generic one that is more like it."""
    start = None if prior is None else prior.heads[BIG if big else SMALL]
    return fitter.learned(ground.scores[:, place], start)


def learn_signs(  # noqa: PLR0913 - what is looked at, and how much of it
    ground: Ground,
    place: int,
    learned: Learned,
    generator: np.random.Generator,
    *,
    domain: str = "",
    tokens: int = 0,
) -> ConfidenceHead | None:
    """Learn to judge a model's answers by their signs; None where too few have any.

    Args:
        domain: whose prompts alone count; "": those of any.
        tokens: of each answer that are looked at; 0: all of them.
    """
    model = ground.models[place]
    rows_of = (ground.rows[row] for row in learned.rows)
    known = np.array(
        [model in row.signs and domain in ("", row.domain) for row in rows_of], dtype=bool
    )
    if known.sum() < LABELS_MIN:
        return None
    rows = learned.rows[known]
    head = fit_confidence(
        signs_of(ground.rows, rows, model, tokens),
        learned.apart[known],
        ground.scores[rows, place].astype(np.float64),
        generator,
    )
    return replace(head, tokens=tokens)


def signs_of(
    rows: Sequence[Row], places: NDArray[np.intp], model: str, tokens: int = 0
) -> NDArray[np.float64]:
    """Return the confidence features of a model's answers, shape (places, features).

    Args:
        tokens: of each answer that are looked at; 0: all of them.
    """
    signs = (rows[place].signs[model][: tokens or None] for place in places)
    return np.array([confidence_features(each) for each in signs])


def seen_of(scorer: Scorer, rows: Sequence[Row]) -> NDArray[np.bool_]:
    """Say of each row whether a scorer learned from its prompt, as far as its sample tells."""
    seen = set(scorer.seen)
    return np.array([prompt_hash(row.prompt) in seen for row in rows], dtype=bool)


def _sample(rows: Sequence[Row], earlier: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted({*earlier, *(prompt_hash(row.prompt) for row in rows)})[:SEEN_MAX])
