"""What one rule says, and what all that match say together of one request.

``mesh.core.rules`` has the order in which they are read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mesh.core.catalogue import Entry
from mesh.core.conditions import ALWAYS, Conditions
from mesh.core.facts import Facts
from mesh.core.model_choice import Models
from mesh.core.types import ModelId, Tier

NAME_CHARACTERS_MAX: Final = 80  # of a rule: it stands on receipts


class Effect(StrEnum):
    """What a rule does."""

    ALLOW = "allow"  # these models and no others
    FORBID = "forbid"
    PIN = "pin"  # as ALLOW, but the first counts
    PREFER = "prefer"
    TIER_MAX = "tier_max"  # the prompt travels no further
    COST_MAX = "cost_max"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of an operator's policy. ``name`` is unique in its list."""

    name: str
    when: Conditions = ALWAYS
    unless: Conditions | None = None
    allow: Models | None = None
    forbid: Models | None = None
    pin: Models | None = None
    prefer: Models | None = None
    tier_max: Tier | None = None
    cost_microusd_max: int | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What one rule did to one request."""

    rule: str
    effect: Effect
    words: str  # for people, such as "forbids cloud"
    model_ids: tuple[ModelId, ...] = ()  # that it took away, or put first


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of one request.

    Attributes:
        removed: model -> the rule that took it away and how, for people; what is not here may
            answer as far as the rules are concerned.
        preferred: those to try first, in this order; none of them was removed.
        cost_microusd_max: of the whole request; None: no rule caps it.
        tier_max: how far its prompt may travel; None: no rule says. Models beyond are removed; of
            DEVICE, it is left to the filter to find the replicas on the prompt's own host.
    """

    removed: Mapping[ModelId, str] = field(default_factory=dict)
    preferred: tuple[ModelId, ...] = ()
    cost_microusd_max: int | None = None
    applied: tuple[Applied, ...] = ()
    tier_max: Tier | None = None


NOTHING_SAID: Final = Verdict()
_TIERS: Final = {
    Tier.DEVICE: "the machine it was typed on",
    Tier.MESH: "the mesh",
    Tier.CLOUD: "the cloud",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One effect of one rule, ready to be applied."""

    rule: str
    effect: Effect
    words: str
    told: str  # the same on a receipt, with the rule's name
    models: Models | None = None
    tier: Tier = Tier.CLOUD
    cost_microusd: int = 0


def sentences_of(rule: Rule) -> tuple[Sentence, ...]:
    """Return what a rule does, each effect by itself."""

    def sentence(effect: Effect, words: str, models: Models | None = None) -> Sentence:
        told = f"rule {rule.name!r} {words}"
        cost = rule.cost_microusd_max or 0
        return Sentence(rule.name, effect, words, told, models, rule.tier_max or Tier.CLOUD, cost)

    said = []
    if rule.forbid is not None:
        said.append(sentence(Effect.FORBID, f"forbids {rule.forbid}", rule.forbid))
    if rule.allow is not None:
        said.append(sentence(Effect.ALLOW, f"allows only {rule.allow}", rule.allow))
    if rule.tier_max is not None:
        said.append(
            sentence(Effect.TIER_MAX, f"lets it go no further than {_TIERS[rule.tier_max]}")
        )
    if rule.pin is not None:
        said.append(sentence(Effect.PIN, f"pins {rule.pin}", rule.pin))
    if rule.prefer is not None:
        said.append(sentence(Effect.PREFER, f"prefers {rule.prefer}", rule.prefer))
    if rule.cost_microusd_max is not None:
        cap = f"${rule.cost_microusd_max / 1e6:.6f}"
        said.append(sentence(Effect.COST_MAX, f"caps the request's cost at {cap}"))
    return tuple(said)


class Judgement:
    """One verdict, while it is worked out."""

    def __init__(self, facts: Facts, entries: Sequence[Entry]) -> None:
        self._facts, self._domain = facts, facts.domain
        self._left = list(entries)  # that may answer
        self._removed: dict[ModelId, str] = {}
        self._pinned_by = ""
        self._tier_max: Tier | None = None
        self._cost_microusd_max: int | None = None

    def of(self, sentences: Iterable[Sentence]) -> Verdict:
        """Apply ``sentences``, in the order of the list; what closes before what orders."""
        preferring: list[tuple[int, Sentence]] = []
        applied: list[Applied] = []
        for each in sentences:
            if each.effect is Effect.PREFER:
                preferring.append((len(applied), each))
            applied.append(self._apply(each))
        preferred: dict[ModelId, None] = {}
        for place, each in preferring:
            assert each.models is not None, "else there is nothing to prefer"
            liked = tuple([entry.model_id for entry in each.models.of(self._left, self._domain)])
            preferred.update(dict.fromkeys(liked))
            applied[place] = Applied(each.rule, each.effect, each.words, liked)
        return Verdict(
            self._removed,
            tuple(preferred),
            self._cost_microusd_max,
            tuple(applied),
            self._tier_max,
        )

    def _apply(self, said: Sentence) -> Applied:
        models, words = said.models, said.words
        gone: list[Entry] = []
        match said.effect:
            case Effect.FORBID if models is not None:
                gone, self._left = models.split(self._left, self._domain)
            case Effect.ALLOW if models is not None:
                self._left, gone = models.split(self._left, self._domain)
            case Effect.PIN if models is not None and self._pinned_by:
                words = f"would pin {models}, but {self._pinned_by!r} pins before it"
            case Effect.PIN if models is not None:
                self._pinned_by = said.rule
                self._left, gone = models.split(self._left, self._domain)
            case Effect.TIER_MAX:
                self._tier_max = min(said.tier, self._tier_max or Tier.CLOUD)
                gone = [each for each in self._left if not self._within(said.tier, each)]
                self._left = [each for each in self._left if self._within(said.tier, each)]
            case Effect.COST_MAX:
                known = self._cost_microusd_max
                cap = said.cost_microusd
                self._cost_microusd_max = cap if known is None else min(cap, known)
        if not gone:
            return Applied(said.rule, said.effect, words)
        taken = tuple([each.model_id for each in gone])
        for model_id in taken:
            self._removed[model_id] = said.told
        return Applied(said.rule, said.effect, words, taken)

    def _within(self, tier: Tier, entry: Entry) -> bool:
        """May ``entry`` answer in that tier, as far as a model by itself can say?

        A prompt of another machine has left its device when it comes here: none may have it then.
        """
        if tier is Tier.DEVICE and not self._facts.on_coordinator_host:
            return False
        return tier is Tier.CLOUD or entry.local
