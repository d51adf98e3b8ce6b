"""What may stand in ``rules.toml``, key by key. ``mesh.rules_file`` reads it."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from mesh.core.conditions import Conditions
from mesh.core.model_choice import Models
from mesh.core.rule_words import Words
from mesh.core.rules import RULES_MAX
from mesh.core.types import Tier
from mesh.core.verdict import NAME_CHARACTERS_MAX, Rule
from mesh.core.week import Windows
from mesh.section import Section

TEXTS_MAX = 256  # names, patterns or words in one list
TEXT_CHARACTERS_MAX = 256
USD_MAX = 1_000_000.0
MICROUSD = 1_000_000
EFFECTS = ("allow", "forbid", "pin", "prefer", "tier_max", "cost_usd_max")
TIERS = tuple(tier.name.lower() for tier in Tier)
INITIATORS = ("human", "agent", "event")


def _listed(value: object) -> object:
    """One text may stand where a list of texts is meant."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Text = Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)]
Texts = Annotated[
    tuple[Text, ...], BeforeValidator(_listed), Field(min_length=1, max_length=TEXTS_MAX)
]
Bytes = Annotated[int, Field(ge=0, le=1 << 40)]


class ConditionsSection(Section):
    """What must be true of a request, see ``mesh.core.conditions``."""

    model_config = ConfigDict(strict=True)

    tier: Texts | None = None
    key: Texts | None = None
    team: Texts | None = None
    task: Texts | None = None
    tags: Texts | None = None
    initiator: Texts | None = None
    domain: Texts | None = None
    model: Texts | None = None
    tools: bool | None = None
    prompt_bytes_min: Bytes | None = None
    prompt_bytes_max: Bytes | None = None
    words: Texts | None = None
    hours: Texts | None = None
    weekdays: Texts | None = None
    budget_left_below: float | None = Field(default=None, gt=0, le=1)
    budget_left_below_usd: float | None = Field(default=None, gt=0, le=USD_MAX)

    @field_validator("tier")
    @classmethod
    def _are_tiers(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return _one_of(given, TIERS)

    @field_validator("initiator")
    @classmethod
    def _are_initiators(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return _one_of(given, INITIATORS)

    @field_validator("hours")
    @classmethod
    def _are_hours(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        Windows(given or (), ())
        return given

    @field_validator("weekdays")
    @classmethod
    def _are_weekdays(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        Windows((), given or ())
        return given

    @field_validator("words")
    @classmethod
    def _are_words(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        Words({"": given or ()})
        return given

    @model_validator(mode="after")
    def _can_be_true(self) -> Self:
        least, most = self.prompt_bytes_min or 0, self.prompt_bytes_max
        if most is not None and most < least:
            raise ValueError("prompt_bytes_min is above prompt_bytes_max, so it never applies")
        return self

    def conditions(self) -> Conditions:
        below_usd = self.budget_left_below_usd
        return Conditions(
            tier=tuple(Tier[name.upper()] for name in self.tier or ()),
            key=self.key or (),
            team=self.team or (),
            task=self.task or (),
            tags=self.tags or (),
            initiator=self.initiator or (),
            domain=self.domain or (),
            model=self.model or (),
            tools=self.tools,
            prompt_bytes_min=self.prompt_bytes_min,
            prompt_bytes_max=self.prompt_bytes_max,
            words=self.words or (),
            hours=self.hours or (),
            weekdays=self.weekdays or (),
            budget_left_below=self.budget_left_below,
            budget_left_below_microusd=None if below_usd is None else round(below_usd * MICROUSD),
        )


class RuleSection(Section):
    """One ``[[rules]]``, see ``mesh.core.rules``."""

    model_config = ConfigDict(strict=True)

    name: str = Field(min_length=1, max_length=NAME_CHARACTERS_MAX)
    when: ConditionsSection = ConditionsSection()
    unless: ConditionsSection | None = None
    allow: Texts | None = None
    forbid: Texts | None = None
    pin: Texts | None = None
    prefer: Texts | None = None
    tier_max: Literal["device", "mesh"] | None = None
    # Not 0: an answer of the mesh costs its energy, and to pay nobody is `forbid = "cloud"`.
    cost_usd_max: float | None = Field(default=None, ge=1 / MICROUSD, le=USD_MAX)

    @field_validator("name")
    @classmethod
    def _can_be_shown(cls, name: str) -> str:
        if not name.isprintable() or not name.strip():
            raise ValueError("a name is shown on receipts: use printable characters")
        return name

    @field_validator("allow", "forbid", "pin", "prefer")
    @classmethod
    def _are_models(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        Models(given or ())
        return given

    @field_validator("unless")
    @classmethod
    def _excepts_something(cls, unless: ConditionsSection | None) -> ConditionsSection | None:
        if unless is not None and not unless.model_fields_set:
            raise ValueError("it is empty, so the rule would never apply")
        return unless

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if all(getattr(self, effect) is None for effect in EFFECTS):
            raise ValueError(f"it does nothing: give it one of {', '.join(EFFECTS)}")
        return self

    def rule(self) -> Rule:
        cost_usd = self.cost_usd_max
        return Rule(
            name=self.name,
            when=self.when.conditions(),
            unless=None if self.unless is None else self.unless.conditions(),
            allow=_models(self.allow),
            forbid=_models(self.forbid),
            pin=_models(self.pin),
            prefer=_models(self.prefer),
            tier_max=None if self.tier_max is None else Tier[self.tier_max.upper()],
            cost_microusd_max=None if cost_usd is None else round(cost_usd * MICROUSD),
        )


class RulesSection(Section):
    """The whole file."""

    rules: Annotated[
        tuple[RuleSection, ...], BeforeValidator(_listed), Field(max_length=RULES_MAX)
    ] = ()


def _models(texts: tuple[str, ...] | None) -> Models | None:
    return None if texts is None else Models(texts)


def _one_of(given: tuple[str, ...] | None, known: Iterable[str]) -> tuple[str, ...] | None:
    for each in given or ():
        if each not in known:
            raise ValueError(f"{each[:40]!r} is none of {', '.join(known)}")
    return given
