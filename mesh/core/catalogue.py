"""What each model is good at, and what it costs: one entry for each that could answer.

Built from what its files or its upstream say (``Model``, ``CloudModel``), from what its name says
(``mesh.core.model_families``), and from the operator's word (``Stated``), which adds to both and
wins over both. Where nobody knows, an entry says so: ``""``, ``()`` or 0.

Entries are made once and kept, so two looks at one model give the very same object, and rules and
rungs may remember what they found out about it.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Final

from mesh.core.model_families import (
    BILLION,
    active_parameters_of,
    family_of,
    is_smaller,
    parameters_of,
    specialities_of,
)
from mesh.core.types import AUTO, Capability, CloudModel, Model, ModelId

ENTRIES_KEPT_MAX = 4096  # as many models as a large mesh holds, at half a kilobyte each

# How good a model of so many parameters is, until outcomes say: share of MMLU's questions that the
# base models of Qwen2.5 answered rightly (arXiv:2412.15115, table of base models). An order to
# begin with, and no probability: other lines of models are better or worse at one size.
_QUALITY: Final = (
    (0.5, 0.475),
    (1.5, 0.609),
    (3.0, 0.656),
    (7.0, 0.742),
    (14.0, 0.797),
    (32.0, 0.833),
    (72.0, 0.861),
)
QUALITY_LEAST: Final = 0.25  # of a coin with four sides, as MMLU's questions have: no model is less
QUALITY_CLOUD: Final = 0.88  # as was published of the first frontier models: GPT-4o 0.887
QUALITY_CLOUD_SMALLER: Final = 0.82  # GPT-4o mini 0.820 (both: OpenAI, 2024)

# Writing a token reads every weight that works on it once, and a desk's machine is bound by that.
# From data sheets: an M4 Mac mini reads 120 GB/s for some 30 W more than idle, 0.25 nJ a byte; a PC
# with two channels of DDR5 60 GB/s for some 60 W, 1 nJ. Between them:
JOULES_PER_BYTE: Final = 0.5e-9
MICROWATTHOURS_PER_JOULE: Final = 1e6 / 3600
ESTIMATED: Final = "estimated by size"
STATED: Final = "the operator's"


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """What an upstream takes, in micro-USD a token, which is USD a million tokens."""

    input_microusd: float
    output_microusd: float
    version: str = ""  # where the price stands, for the receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """The operator's word on a model; what is None or empty is not said."""

    aliases: tuple[str, ...] = ()
    family: str = ""
    domains: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    parameters: int | None = None
    context_tokens: int | None = None
    tools: bool | None = None
    vision: bool | None = None
    quality: float | None = None
    price: TokenPrice | None = None
    energy_microwatthours: float | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Entry:
    """What is known of a model. Equal to itself alone: the catalogue has one of each."""

    model_id: ModelId
    name: str  # to show
    names: frozenset[str]  # whatever it may be called, in lower case
    upstream: str = ""  # whose it is; "": the mesh's own
    family: str = ""
    parameters: int = 0  # 0: its maker does not tell
    active_parameters: int = 0  # that work on each token
    size_bytes: int = 0
    context_tokens: int = 0  # that it was made for; 0: not known
    tools: bool | None = None  # None: its replicas say
    vision: bool | None = None
    embeds: bool = False
    test: bool = False
    domains: tuple[str, ...] = ()  # what it is a specialist of
    tasks: tuple[str, ...] = ()
    quality: float = QUALITY_LEAST  # [0, 1]: a guess for an order, until outcomes say
    price: TokenPrice | None = None  # None: free, or not known
    energy_microwatthours: float = 0.0  # a token written on a machine of the mesh
    energy_source: str = ""

    def __repr__(self) -> str:
        return f"<Entry {self.name} ({self.model_id})>"

    @property
    def local(self) -> bool:
        """Is it served by machines of the mesh?"""
        return not self.upstream


class Catalogue:
    """Entries by model. Cheap to ask: the ladder does so for every rung."""

    def __init__(self, stated: Mapping[str, Stated] | None = None) -> None:
        """``stated`` are the operator's words, by any name or identity of a model."""
        self._stated = {name.lower(): each for name, each in (stated or {}).items()}
        self._aliases = {
            alias.lower(): name for name, each in (stated or {}).items() for alias in each.aliases
        }
        self._entries: dict[ModelId, tuple[Model | CloudModel, Entry]] = {}

    def entry(self, model: Model | CloudModel) -> Entry:
        """Return what is known of ``model``."""
        known = self._entries.get(model.model_id)
        if known is not None and (known[0] is model or known[0] == model):
            return known[1]
        made = self._of_cloud(model) if isinstance(model, CloudModel) else self._of_mesh(model)
        if len(self._entries) >= ENTRIES_KEPT_MAX:
            del self._entries[next(iter(self._entries))]
        self._entries[model.model_id] = model, made
        return made

    def canonical(self, name: str) -> str:
        """Return the model's name that an operator's alias stands for, else ``name`` itself."""
        if name == AUTO or not self._aliases:
            return name
        return self._aliases.get(name.lower(), name)

    def by_name(self, name: str) -> Entry | None:
        """Return what a mere name says of a model that nobody here has; None if it says nothing."""
        lower = self.canonical(name).lower()
        said = self._stated.get(lower, Stated())
        parameters = said.parameters or parameters_of(lower)
        family = said.family or family_of(lower)
        if not (parameters or family) and said.quality is None:
            return None
        guess = _quality_of(parameters) if parameters else _quality_of_cloud(lower)
        return Entry(
            model_id=ModelId(""),
            name=name,
            names=frozenset({name.lower(), lower}),
            family=family,
            parameters=parameters,
            active_parameters=active_parameters_of(lower) or parameters,
            context_tokens=said.context_tokens or 0,
            tools=said.tools,
            vision=said.vision,
            domains=specialities_of(lower) if said.domains is None else said.domains,
            quality=guess if said.quality is None else said.quality,
        )

    def _of_mesh(self, model: Model) -> Entry:
        said = self._said_of(model.model_id, *model.names)
        parameters = model.parameters if said.parameters is None else said.parameters
        active = _active(model, parameters)
        energy, source = said.energy_microwatthours, STATED
        if energy is None:
            share = active / parameters if parameters else 1.0
            energy, source = energy_of(model.size_bytes * share), ESTIMATED
        return Entry(
            model_id=model.model_id,
            name=model.name,
            names=self._names(model.model_id, *model.names),
            family=said.family or _family(model),
            parameters=parameters,
            active_parameters=active,
            size_bytes=model.size_bytes,
            context_tokens=said.context_tokens or model.context_tokens,
            tools=said.tools,
            vision=said.vision,
            test=model.test,
            domains=_domains(model) if said.domains is None else said.domains,
            tasks=model.tasks if said.tasks is None else said.tasks,
            quality=_quality_of(parameters) if said.quality is None else said.quality,
            price=said.price,
            energy_microwatthours=energy,
            energy_source=source,
        )

    def _of_cloud(self, model: CloudModel) -> Entry:
        said, lower = self._said_of(model.model_id, model.name), model.name.lower()
        parameters = said.parameters if said.parameters is not None else parameters_of(lower)
        guess = _quality_of(parameters) if parameters else _quality_of_cloud(lower)
        able = model.capabilities
        return Entry(
            model_id=model.model_id,
            name=model.name,
            names=self._names(model.model_id, model.name),
            upstream=model.upstream or "cloud",
            family=said.family or family_of(lower),
            parameters=parameters,
            active_parameters=active_parameters_of(lower) or parameters,
            context_tokens=said.context_tokens or model.context_tokens,
            tools=Capability.TOOLS in able if said.tools is None else said.tools,
            vision=Capability.VISION in able if said.vision is None else said.vision,
            embeds=Capability.EMBED in able,
            domains=specialities_of(lower) if said.domains is None else said.domains,
            tasks=said.tasks or (),
            quality=guess if said.quality is None else said.quality,
            price=said.price or _price(model),
        )

    def _said_of(self, *names: str) -> Stated:
        """The operator may use any of a model's names; the identity is the most exact."""
        for name in names:
            if (said := self._stated.get(name.lower())) is not None:
                return said
        return _NOTHING

    def _names(self, *names: str) -> frozenset[str]:
        every = {name.lower() for name in names}
        every |= {alias for alias, name in self._aliases.items() if name.lower() in every}
        return frozenset(every)


def energy_of(bytes_read: float) -> float:
    """Return micro-watt-hours for a token that so many bytes of weights are read for."""
    return bytes_read * JOULES_PER_BYTE * MICROWATTHOURS_PER_JOULE


_NOTHING: Final = Stated()


def _price(model: CloudModel) -> TokenPrice | None:
    read, written = (
        model.input_microusd_per_million_tokens,
        model.output_microusd_per_million_tokens,
    )
    if read is None or written is None:
        return None
    return TokenPrice(read / 1e6, written / 1e6)


def _family(model: Model) -> str:
    names = (*model.names, model.architecture)
    return next((family for name in names if (family := family_of(name.lower()))), "")


def _active(model: Model, parameters: int) -> int:
    told = (active for name in model.names if (active := active_parameters_of(name.lower())))
    return min(next(told, parameters), parameters)


def _domains(model: Model) -> tuple[str, ...]:
    """What its file says of its domain counts, else what its names say."""
    if model.domains:
        return model.domains
    said = (domain for name in model.names for domain in specialities_of(name.lower()))
    return tuple(dict.fromkeys(said))


def _quality_of(parameters: int) -> float:
    """Interpolate over the logarithm of the size; below the least known one it falls to a guess."""
    billions = parameters / BILLION
    if billions <= 0:
        return QUALITY_LEAST
    sizes = [size for size, _ in _QUALITY]
    place = bisect_left(sizes, billions)
    if place == len(sizes):
        return _QUALITY[-1][1]
    above, better = _QUALITY[place]
    below, worse = _QUALITY[place - 1] if place else (above / 1000, QUALITY_LEAST)
    if billions <= below:
        return worse
    share = log(billions / below) / log(above / below)
    return worse + share * (better - worse)


def _quality_of_cloud(name: str) -> float:
    return QUALITY_CLOUD_SMALLER if is_smaller(name) else QUALITY_CLOUD
