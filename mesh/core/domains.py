"""What a prompt is about: the domain whose prompts it is worded like, or none that is known.

What was learned of a model's confidence holds for the kind of prompts it was learned on, and for no
other. So a prompt that reads like none of them must be told from those that do: by how well each
domain's words explain it, a naive Bayes classifier over the words of ``mesh.core.features``, with a
floor that nearly all prompts of the domain reach.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from operator import itemgetter

from mesh.core.features import Features

BUCKETS = 2048  # the words' own, folded: a domain is then 2 KB
STEP_NATS = 0.15  # of the levels
CERTAIN = 0.7  # less of a lead over the next domain is none
# Words of a prompt depend on each other, and a classifier that takes them for independent is far
# too sure of long ones: a prompt counts as if it had so many words at most.
WORDS_TOLD = 20.0


@dataclass(frozen=True, slots=True)
class Domain:
    """How its prompts are worded."""

    words: "array[int]"  # one for each bucket: its log-likelihood a word, in STEP_NATS below 0
    floor_nats: float  # a word, on average: fewer than one in a hundred of its prompts are below
    rows: int

    def nats(self, buckets: tuple[int, ...]) -> float:
        """Return the log-likelihood of a word of the prompt, on average."""
        found = itemgetter(*buckets)(self.words)
        total = found if isinstance(found, int) else sum(found)
        return -STEP_NATS * total / len(buckets)


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a prompt reads like."""

    domain: str  # "": like none that is known, or like several
    foreign: bool = False  # it reads like none


def recognised(features: Features, domains: Mapping[str, Domain]) -> Recognised:
    """Tell which of the known domains a prompt belongs to. Where none is known, none is foreign."""
    if not domains:
        return Recognised("")
    buckets = word_buckets(features)
    if not buckets:
        return Recognised("", foreign=True)
    nats = {name: each.nats(buckets) for name, each in domains.items()}
    best = max(nats, key=nats.__getitem__)
    if nats[best] < domains[best].floor_nats:
        return Recognised("", foreign=True)
    told = min(float(len(buckets)), WORDS_TOLD)
    others = sum(exp(told * (each - nats[best])) for each in nats.values())
    return Recognised(best if 1.0 / others >= CERTAIN else "")


def word_buckets(features: Features) -> tuple[int, ...]:
    """Return the distinct words of a prompt, folded."""
    return tuple({each % BUCKETS for each in features.words})
