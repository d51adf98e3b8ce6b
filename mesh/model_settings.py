"""The operator's word on models: ``[models."NAME"]`` of the settings."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from mesh.core.catalogue import Stated, TokenPrice
from mesh.core.types import AUTO, CLOUD
from mesh.section import Section

MODELS_MAX = 1024  # as many as a machine may offer
NAME_CHARACTERS_MAX = 256
OPERATOR = "operator"  # the price version of a price from the settings
_NO_ALIAS = (AUTO, CLOUD)  # they mean something else already

Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]
Word = Annotated[str, Field(min_length=1, max_length=64)]


class ModelSettings(Section):
    """One model, by any of its names or its identity. What is not given, its file or maker says."""

    aliases: tuple[Name, ...] = Field(
        default=(), max_length=16, description="More names that requests may ask for it by."
    )
    family: str = Field(default="", max_length=64, description="Models of one maker's line.")
    domains: tuple[Word, ...] | None = Field(
        default=None, max_length=8, description="What it is a specialist of."
    )
    tasks: tuple[Word, ...] | None = Field(default=None, max_length=32)
    parameters: int | None = Field(default=None, ge=1, le=10**15)
    context_tokens: int | None = Field(default=None, ge=1, le=2**31)
    tools: bool | None = Field(default=None, description="Can it call tools?")
    vision: bool | None = Field(default=None, description="Can it see images?")
    quality: float | None = Field(
        default=None, ge=0, le=1, description="How good it is, until outcomes say."
    )
    input_usd_per_million_tokens: float | None = Field(default=None, ge=0, le=100_000)
    output_usd_per_million_tokens: float | None = Field(default=None, ge=0, le=100_000)
    energy_microwatthours_per_token: float | None = Field(
        default=None, gt=0, le=1e9, description="Measured at the wall, where somebody did."
    )

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if (self.input_usd_per_million_tokens is None) != (
            self.output_usd_per_million_tokens is None
        ):
            raise ValueError("a price needs both its input and its output part")
        return self

    def stated(self) -> Stated:
        read, written = self.input_usd_per_million_tokens, self.output_usd_per_million_tokens
        price = None
        if read is not None and written is not None:
            price = TokenPrice(read, written, OPERATOR)
        return Stated(
            aliases=self.aliases,
            family=self.family.lower(),
            domains=_lower(self.domains),
            tasks=self.tasks,
            parameters=self.parameters,
            context_tokens=self.context_tokens,
            tools=self.tools,
            vision=self.vision,
            quality=self.quality,
            price=price,
            energy_microwatthours=self.energy_microwatthours_per_token,
        )


def check_names(models: Mapping[str, ModelSettings]) -> None:
    """Raises ValueError where an alias stands for two models, or for what is no model."""
    taken = {name.lower(): name for name in models}
    if len(taken) < len(models):
        raise ValueError("two of the names are one, as case does not count")
    for name, each in models.items():
        for alias in each.aliases:
            if alias.lower() in _NO_ALIAS or not alias.isprintable():
                raise ValueError(f"{alias[:40]!r} cannot be an alias of {name[:40]}")
            if taken.setdefault(alias.lower(), name) != name:
                other = taken[alias.lower()]
                raise ValueError(f"{alias[:40]!r} is a name of {other[:40]} and of {name[:40]}")


def _lower(words: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if words is None else tuple(word.lower() for word in words)
