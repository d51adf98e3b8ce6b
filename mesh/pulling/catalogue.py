"""The short list of models that are known by name: ``mesh/data/models.toml``."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import Field

from mesh.section import Section

FILE = "data/models.toml"


class Entry(Section):
    """One model of the list. Where ``sha256`` is empty, the hub's own answer pins it at pull."""

    name: str
    names: tuple[str, ...] = Field(default=(), description="What people call it elsewhere.")
    kind: Literal["general", "code", "embedding"]
    rank: int = Field(ge=0, description="Among those that fit: more answers better.")
    repository: str
    revision: str
    file: str
    quantisation: str
    size_bytes: int = Field(gt=0)
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    licence: str
    parameters: str
    active_share: float = Field(
        default=1.0, gt=0, le=1, description="Of the weights, what one token needs."
    )
    context_tokens: int = Field(gt=0)

    @property
    def active_bytes(self) -> float:
        """Of the file, what is read for each token."""
        return self.size_bytes * self.active_share


class _List(Section):
    models: tuple[Entry, ...]


@cache
def entries() -> tuple[Entry, ...]:
    """Return the list as it was shipped."""
    text = files("mesh").joinpath(FILE).read_text(encoding="utf-8")
    return _List.model_validate(tomllib.loads(text)).models


def find(name: str) -> Entry | None:
    """Return the entry that ``name`` means, in any case of letters; None: there is none."""
    asked = name.lower()
    return next((each for each in entries() if asked in (each.name, *each.names)), None)
