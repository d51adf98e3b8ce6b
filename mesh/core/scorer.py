"""P(ok | prompt, model): how likely a model's answer to a prompt is right, before anybody answers.

A head for each model is a weighted sum of what ``mesh.core.features`` sees, bent into a chance.
Heads share the features, so a mesh with twenty models reads a prompt once. What decides between two
models is the difference of their chances, the expected gain: a prompt that both get wrong is hard,
and yet nothing is gained by sending it to the bigger one.

Two generic heads stand for models that have none of their own.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from operator import itemgetter

from mesh.core.asked import BIG, SMALL
from mesh.core.calibration import ConfidenceHead, logistic
from mesh.core.domains import Domain
from mesh.core.features import Features

VERSION = 1  # of what a file of heads means; features and file change it together
JUDGES_OF = "@"  # parts a model's name from a domain's
TRUSTED_FROM_LABELS = 200  # a head that learned from fewer knows its mean, and little more


@dataclass(frozen=True, slots=True)
class Head:
    """What one model's outcomes taught; all weights act on log-odds."""

    labels: int
    bias: float
    surface: tuple[float, ...]  # of SURFACE_NAMES
    # Of each number on the surface, what was seen: beyond it the nearest counts. A head that
    # learned from questions with ten options must not reckon on for stories of any length.
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    words: "array[int]"  # signed bytes, one for each bucket, in units of ``words_step``
    pairs: "array[int]"
    words_step: float
    pairs_step: float
    domain: Mapping[int, float]  # bucket -> weight; no entry: nothing is known of it

    def p_ok(self, features: Features) -> float:
        """Return the chance in (0, 1)."""
        raw = self.bias + sum(
            weight * (low if value < low else high if value > high else value)
            for value, weight, low, high in zip(
                features.surface, self.surface, self.lowest, self.highest, strict=True
            )
        )
        if features.words:
            raw += _normed(self.words, features.words) * self.words_step
        if features.pairs:
            raw += _normed(self.pairs, features.pairs) * self.pairs_step
        if features.domain:
            known = sum(self.domain.get(bucket, 0.0) for bucket in features.domain)
            raw += known / sqrt(len(features.domain))
        return logistic(raw)


def _normed(levels: "array[int]", buckets: tuple[int, ...]) -> float:
    """Sum, over the root of their number; ``itemgetter`` is four times as fast as a loop."""
    if len(buckets) == 1:
        return float(levels[buckets[0]])
    return float(sum(itemgetter(*buckets)(levels)) / sqrt(len(buckets)))


@dataclass(frozen=True, slots=True)
class Source:
    """What a scorer learned from, for who asks where its weights come from."""

    name: str
    licence: str
    rows: int


@dataclass(frozen=True, slots=True)
class Scorer:
    """All heads, and what they learned from.

    Attributes:
        heads: head name -> head; names are those of models in the outcomes, and the generic ones.
        confidence: ``judges(model, domain)`` -> the head that judges its answers by their signs.
        domains: domain -> how its prompts are worded, so that they are recognised.
        sources: whose outcomes taught it.
        seen: ascending hashes of the prompts that it learned from, or of an even sample of them.
    """

    heads: Mapping[str, Head]
    confidence: Mapping[str, ConfidenceHead] = field(default_factory=dict)
    domains: Mapping[str, Domain] = field(default_factory=dict)
    sources: Sequence[Source] = ()
    seen: Sequence[int] = ()

    @property
    def version(self) -> int:
        return VERSION

    @property
    def labels(self) -> Mapping[str, int]:
        """Return how many labels each head learned from."""
        return {name: head.labels for name, head in self.heads.items()}

    @property
    def trusted(self) -> frozenset[str]:
        """Return the names of the heads that have seen enough labels."""
        return frozenset(
            name for name, head in self.heads.items() if head.labels >= TRUSTED_FROM_LABELS
        )

    def p_ok(self, features: Features) -> Mapping[str, float]:
        """Return head name -> chance in (0, 1); each is worked out when it is first asked for."""
        return Chances(self.heads, features)

    def head_of(self, model: str, *, big: bool) -> str:
        """Return the name of the head that scores ``model``: its own, else a generic one."""
        return model if model in self.heads else BIG if big else SMALL


def judges(model: str, domain: str = "") -> str:
    """Return the name of the head for a model's answers to prompts of a domain; "": of any."""
    return f"{model}{JUDGES_OF}{domain}" if domain else model


class Chances(Mapping[str, float]):
    """The chances of one prompt. Lazy: a request is compared on a few rungs of many."""

    __slots__ = ("_features", "_found", "_heads")

    def __init__(self, heads: Mapping[str, Head], features: Features) -> None:
        self._heads = heads
        self._features = features
        self._found: dict[str, float] = {}

    def __getitem__(self, name: str) -> float:
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._heads[name].p_ok(self._features)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._heads)

    def __len__(self) -> int:
        return len(self._heads)

    def __repr__(self) -> str:
        return repr({name: round(chance, 3) for name, chance in self.items()})
