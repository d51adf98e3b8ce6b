"""What an engine says of itself and of its models. Pure data; all of it is the engine's word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mesh.core.types import Capability
from node_agent.adopted.kinds import Kind

MODELS_MAX = 256  # of one engine: a node offers 1,024 at most
NAME_CHARACTERS_MAX = 256
NUMBER_MAX = 2**53  # what JSON of any language holds exactly

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """One model of an engine."""

    name: str  # as the engine calls it, and wants it called
    names: tuple[str, ...]  # as people do; the first one is shown
    loaded: bool = True
    capabilities: frozenset[Capability] = frozenset()
    context_tokens: int = 0  # that one answer may have; 0: it does not say
    digest: str = ""  # the engine's own of the model, whatever it is of
    architecture: str = ""
    parameters: int = 0
    size_bytes: int = 0
    quantisation: str = ""
    slots: int = 0  # answers at a time, where the engine says; 0: to be learned
    path: str = ""  # of its file on this machine, where the engine says
    weights_sha256: str = ""  # of its GGUF file, where the engine says
    counts: bool = False  # by a path of the engine's, for which it loads no model


@dataclass(frozen=True, slots=True)
class EngineListing:
    """An engine at one moment. Models that nobody could ask for, or told apart, are left out."""

    kind: Kind
    version: str
    models: tuple[Described, ...]

    def __post_init__(self) -> None:
        fit = {each.name: each for each in self.models if each.name and all(each.names)}
        object.__setattr__(self, "models", tuple(fit.values()))

    @property
    def name(self) -> str:
        """As it is told to people."""
        return f"{self.kind} {self.version}" if self.version else str(self.kind)


def text_of(holder: Json, key: str, most: int = NAME_CHARACTERS_MAX) -> str:
    """Return a printable text, "" where there is none."""
    value = holder.get(key)
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        return ""
    return value


def number_of(holder: Json, key: str) -> int:
    """Return a whole number that makes sense, 0 where there is none."""
    value = holder.get(key)
    return value if type(value) is int and 0 <= value <= NUMBER_MAX else 0


def part_of(holder: Json, key: str) -> Json:
    """Return an object, an empty one where there is none."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def objects_of(holder: Json, key: str) -> Sequence[Json]:
    """Return the objects of a list, at most ``MODELS_MAX``."""
    value = holder.get(key)
    listed = value if isinstance(value, list) else []
    return [each for each in listed[:MODELS_MAX] if isinstance(each, dict)]
