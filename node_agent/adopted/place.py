"""A place where an engine may be, and what was seen there."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import httpx2

from mesh.core.types import Model
from mesh.engine_address import EngineAddress, read_engine_address, usual_addresses
from mesh.settings import NodeSettings
from node_agent.adopted.damping import Damping
from node_agent.adopted.described import EngineListing
from node_agent.adopted.openai_engine import OpenAiEngine
from node_agent.adopted.recognising import Recognised

LOOK_EVERY_S = 3.0


@dataclass(slots=True)
class Place:
    """Where an engine may be, and what was seen there."""

    address: EngineAddress
    client: httpx2.AsyncClient
    recognised: Recognised
    damping: Damping = field(default_factory=Damping)
    listing: EngineListing | None = None
    weights: tuple[Model | None, ...] = ()  # of each model that is listed, in the library
    engines: dict[str, OpenAiEngine] = field(default_factory=dict)  # by the model's name there
    hushed: bool = False  # it comes and goes, and no more is said of it
    misses: int = 0
    wait_s: float = LOOK_EVERY_S
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    doubted: bool = False  # an answer said that it is not what it was

    @property
    def bears_no_look(self) -> bool:
        """Would a look disturb it, for no reason?"""
        return self.listing is not None and not self.listing.kind.bears_looks and not self.doubted

    @property
    def off_host(self) -> bool:
        """Would a prompt leave this machine by it? A Ray cluster's proxy may stand here, and its
        machines anywhere.
        """
        return self.address.off_host or (self.listing is not None and self.listing.kind.spreads)

    def doubt(self) -> None:
        self.doubted = True
        self.hurry.set()


def addresses(
    settings: NodeSettings, variables: Mapping[str, str]
) -> Iterable[tuple[EngineAddress, str]]:
    """Yield where engines may be, each with how the settings write it; those that are named first.

    Raises:
        InvalidRequest: a name is no place for prompts.
    """
    seen: set[str] = set()
    for given in settings.engines:
        address = read_engine_address(given, plain_http=settings.engines_plain_http)
        if address.base not in seen:
            seen.add(address.base)
            yield address, given
    if settings.find_engines:
        for address in usual_addresses(variables.get("OLLAMA_HOST", "")):
            if address.base not in seen:
                seen.add(address.base)
                yield address, ""
