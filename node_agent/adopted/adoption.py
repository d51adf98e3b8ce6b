"""Finds the engines of this machine, and tells the shelf of their models as they come and go.

Each place where an engine may be has a task of its own, so that one that hangs delays no other.
A place where nobody listens costs a refused connection every few seconds. What is adopted is looked
at as often, so that what it loads, unloads or forgets shows; and at once when an answer says that
it may be gone.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from mesh.core.types import Model
from mesh.engine_address import EngineAddress
from mesh.settings import NodeSettings
from node_agent.adopted.described import Described, EngineListing
from node_agent.adopted.guest import Guest
from node_agent.adopted.identity import identity_of, model_of
from node_agent.adopted.looking import Looking, NoSense, NotThere, new_client
from node_agent.adopted.openai_engine import OpenAiEngine
from node_agent.adopted.place import LOOK_EVERY_S, Place, addresses
from node_agent.adopted.processes import processes_of
from node_agent.adopted.recognising import Recognised

LOOK_EVERY_MAX_S = 15.0  # where nobody has been for a while: an engine started now shows by then
NONSENSE_EVERY_S = 60.0  # somebody listens who is no engine
SOONEST_S = 0.2  # between two looks, however many answers fail at once
NUMBERS_MAX = 8192  # of identities seen: an engine that makes names up fills no memory
MISSES_MAX = 3  # looks in a row that an engine may be too busy for

log = logging.getLogger("node")

Known = Callable[[str, str], Model | None]  # the library's model in a file, or of a sha256


class Adoption:
    """The engines of this machine. ``run`` is its whole life.

    Args:
        settings: which engines are named, and whether others are looked for.
        host: takes over the models of all engines, whenever they are others than before.
        known: the library's model in a file, or of weights, that an engine names.
    """

    def __init__(
        self,
        settings: NodeSettings,
        host: Callable[[Sequence[Guest]], None],
        *,
        known: Known = lambda _, __: None,
        variables: Mapping[str, str] = os.environ,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._host = host
        self._known = known
        self._look_every_s = look_every_s
        self._numbers: dict[str, dict[str, int]] = {}  # identity -> address -> which one it is
        self._places = [
            self._place(address, settings.engine_keys.get(given, ""), variables)
            for address, given in addresses(settings, variables)
        ]
        for variable in settings.engine_keys.values():
            if not variables.get(variable):
                log.warning("node.engine_keys names the variable %.40s, which is not set", variable)

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for place in self._places:
                    tasks.create_task(self._follow(place), name=f"engine {place.address.shown}")
        finally:
            for place in self._places:
                for engine in place.engines.values():
                    await engine.close()
                await place.client.aclose()

    def _place(
        self, address: EngineAddress, key_variable: str, variables: Mapping[str, str]
    ) -> Place:
        client = new_client(address, key_variable, variables)
        return Place(address, client, Recognised(Looking(client), address.named))

    async def _follow(self, place: Place) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            place.hurry.clear()
            await self._look(place, clock())
            with suppress(TimeoutError):
                async with asyncio.timeout(place.wait_s):
                    await place.hurry.wait()
                await asyncio.sleep(SOONEST_S)

    async def _look(self, place: Place, now_s: float) -> None:
        try:
            if place.bears_no_look:
                await place.recognised.looking.knock()
                return
            place.doubted = False
            listing = await place.recognised.list()
        except NotThere:
            self._gone(place, now_s, "nobody listens there any more")
            place.wait_s = min(LOOK_EVERY_MAX_S, place.wait_s * 1.5)
            return
        except NoSense as failure:
            self._missed(place, now_s, failure.status)
            return
        if listing is None:
            place.wait_s = NONSENSE_EVERY_S
            return
        place.misses = 0
        place.damping.came(now_s)
        self._hush(place)
        place.wait_s = self._look_every_s
        if (wait_s := place.damping.wait_s(now_s)) > 0:
            place.wait_s = min(wait_s, self._look_every_s)
            return
        self._here(place, listing)
        await self._know_processes(place, listing)

    async def _know_processes(self, place: Place, listing: EngineListing) -> None:
        """Learn which processes work for us there; again while they do: some are started then."""
        engines = place.engines.values()
        if place.address.off_host or not any(e.lately or not e.processes for e in engines):
            return
        port = place.recognised.looking.port
        found = await asyncio.to_thread(processes_of, listing.kind, port)
        for engine in engines:
            engine.processes = found

    def _missed(self, place: Place, now_s: float, status: int) -> None:
        """Somebody is there, and does not tell what it has: it is busy, loads, or is no engine."""
        place.misses += 1
        if place.listing is None:
            if status in (401, 403) and place.misses == 1 and place.address.named:
                log.warning(
                    "the engine at %s wants a key: name its variable in node.engine_keys",
                    place.address.shown,
                )
            loads = status == 503
            place.wait_s = self._look_every_s if loads else min(NONSENSE_EVERY_S, 2 * place.wait_s)
        elif place.misses >= MISSES_MAX:
            self._gone(place, now_s, "it answers no longer")

    def _here(self, place: Place, listing: EngineListing) -> None:
        before, place.listing = place.listing, listing
        engines: dict[str, OpenAiEngine] = {}
        for told in listing.models:
            engine = place.engines.get(told.name) or self._engine(place, listing, told)
            engine.told, engine.name = told, listing.name
            engine.crowd.hear(told.slots or listing.kind.slots)
            engines[told.name] = engine
        place.engines = engines
        if before is None and not place.hushed:
            count = len(listing.models)
            log.info(
                "adopted %s at %s with %d model%s",
                listing.name,
                place.address.shown,
                count,
                "" if count == 1 else "s",
            )
        # The library may have read the weights of a model only now: it hashes for minutes at first.
        weights = tuple(self._weights(told) for told in listing.models)
        if (before, place.weights) != (listing, weights):
            place.weights = weights
            self._arrange()

    def _hush(self, place: Place) -> None:
        """An engine that comes and goes all day fills no log."""
        if place.hushed is not place.damping.restless:
            place.hushed = place.damping.restless
            what = "comes and goes: no more is said of it until it stays"
            log.info(
                "the engine at %s %s", place.address.shown, what if place.hushed else "stays now"
            )

    def _engine(self, place: Place, listing: EngineListing, told: Described) -> OpenAiEngine:
        return OpenAiEngine(
            listing.kind,
            listing.name,
            told,
            place.client,
            doubted=place.doubt,
            changed=self._arrange,
        )

    def _gone(self, place: Place, now_s: float, why: str) -> None:
        place.recognised.forget()
        place.damping.left(now_s)
        self._hush(place)
        place.misses = 0
        place.wait_s = self._look_every_s if place.listing is not None else place.wait_s
        if place.listing is not None:
            if not place.hushed:
                log.info("%s at %s is gone: %s", place.listing.name, place.address.shown, why)
            place.listing, place.engines = None, {}
            self._arrange()

    def _arrange(self) -> None:
        """Tell of every model there is now."""
        self._host(
            [
                Guest(self._model(place, engine), engine, place.off_host)
                for place in self._places
                if place.listing is not None
                for engine in place.engines.values()
            ]
        )

    def _model(self, place: Place, engine: OpenAiEngine) -> Model:
        told = engine.told
        which = identity_of(engine.kind, told).sha256
        if len(self._numbers) > NUMBERS_MAX:
            self._numbers.clear()
        numbers = self._numbers.setdefault(which, {})
        nth = numbers.setdefault(place.address.base, len(numbers))
        return model_of(engine.kind, told, nth=nth, weights=self._weights(told))

    def _weights(self, told: Described) -> Model | None:
        return self._known(told.path, told.weights_sha256)
