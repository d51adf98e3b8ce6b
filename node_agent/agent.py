"""The node agent: lends this machine's models to its mesh, and is the mesh to its own programs.

It owns everything else of this package, and starts it in the order that makes it useful soonest:
the models that are known already, then the coordinators that are known, then the network.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from random import Random

from mesh.core.types import Load, NodeId
from mesh.home import Home
from mesh.identity.peer import PeerRole
from mesh.identity.store import IdentityStore
from mesh.member import own_identity
from mesh.settings import Advertise, Settings
from node_agent.accelerators import GpusHere, gpus_of_this_machine
from node_agent.addresses import Origin
from node_agent.adopted.adoption import Adoption
from node_agent.attach import Myself
from node_agent.carried_pages import CarriedPages
from node_agent.credentials import Credentials
from node_agent.doors import doors
from node_agent.engines import engine_processes, missing_engine
from node_agent.library.catalogue import Library
from node_agent.library.view import LibraryView
from node_agent.links import Links
from node_agent.loader import LoadEngine
from node_agent.loads_known import LoadsKnown, engine_build
from node_agent.local_asking import LocalAsking
from node_agent.manners import mind_owner
from node_agent.own_models import OwnModels
from node_agent.presence import Presence
from node_agent.probe import Probe, read_machine
from node_agent.shelf import Shelf
from node_agent.sleeping import mind_sleep
from node_agent.uplink import Uplink
from node_agent.warm_keeping import keep_tidy, warm_folder

GPUS_WITHIN_S = 5.0  # no GPU: milliseconds; an engine with CUDA starts in a second or two
DRAIN_S = 5.0  # a short answer ends well; a long one is worth less than an owner's patience

log = logging.getLogger("node")


class Agent:
    """One machine of the mesh. ``run`` is its whole life."""

    def __init__(
        self, home: Home, settings: Settings, *, load_engine: LoadEngine | None = None
    ) -> None:
        """``load_engine`` replaces the engine, for benchmarks and tests.

        Raises:
            NotAuthenticated: this machine has joined no mesh.
            ServiceError: its home cannot be read.
        """
        self._home = home
        self._settings = settings
        self._membership = IdentityStore(home).membership()
        self._lends = home.lends
        role = PeerRole.NODE if self._lends else own_identity(home).peer.role
        self._credentials = Credentials(home, role)
        self._node_id = NodeId(self._credentials.peer.fingerprint)
        self.library = Library.of_machine(home, settings.node)
        self._cannot_load = missing_engine() if self._lends and not load_engine else ""
        self._warm = warm_folder(home, settings.node)
        self._gpus = GpusHere()
        known = LoadsKnown() if load_engine else LoadsKnown(home.loads_known, engine_build())
        self.shelf = Shelf(
            load_engine
            or engine_processes(
                self.library,
                settings.node,
                self._warm,
                known,
                on_gpus=lambda: bool(self._gpus.free_bytes),
            ),
            settings.node,
            known=known,
            cannot_load=self._cannot_load,
            beside_coordinator=home.authority.exists(),
            gpus_free=lambda: self._gpus.free_bytes,
        )
        self._probe = Probe()
        self._myself = Myself(self._node_id, read_machine(settings.node.name), self._load)

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until ``stopping`` is set; then let running answers finish for ``DRAIN_S``.

        Leaves no process, task or connection, also when it is cancelled.
        """
        spread = Random()  # noqa: S311 - of dials over time
        open_channel = self._credentials.open_channel
        links = Links(open_channel, self._myself, self.shelf, spread, lends=self._lends)
        for address in self._membership.coordinators:
            links.add(address.address, Origin.JOINED)
        for seed in self._settings.discovery.seeds:
            links.add(seed, Origin.SEED)
        if not self._lends:
            self._say_hello(self._myself.machine.name, "it uses the mesh, and lends nothing", links)
            await self._serve(links, _nothing(), stopping)
            return
        async with aclosing(self.library.changes()) as views, self.shelf.running():
            await self._know_gpus()
            view = await anext(views)
            self.shelf.show(view)
            self._say_hello(f"node {self._myself.machine.name}", _models_in_words(view), links)
            self._tell_if_useless(view)
            await self._serve(links, views, stopping)

    async def _know_gpus(self) -> None:
        with suppress(TimeoutError):  # then it attaches without, until it is started again
            async with asyncio.timeout(GPUS_WITHIN_S):
                self._gpus = await gpus_of_this_machine()
                accelerators = self._gpus.accelerators
                self._myself.machine = replace(self._myself.machine, accelerators=accelerators)

    async def _serve(
        self, links: Links, views: AsyncGenerator[LibraryView, None], stopping: asyncio.Event
    ) -> None:
        discovery = self._settings.discovery
        if not self._lends:  # nobody has anything to ask of this machine
            discovery = discovery.model_copy(update={"advertise": Advertise.OFF})
        presence = Presence(
            discovery,
            self._membership.mesh_id,
            self._myself,
            self.shelf,
            links,
            self._credentials.heard,
        )
        async with asyncio.TaskGroup() as tasks:
            owned = [
                tasks.create_task(links.run(), name="links"),
                tasks.create_task(presence.run(), name="presence"),
                tasks.create_task(self._follow(views), name="library"),
                tasks.create_task(keep_tidy(self._warm), name="warm state"),
                tasks.create_task(
                    self._credentials.keep_valid(links.reachable, links.reconnect),
                    name="certificate",
                ),
            ]
            if self._lends:
                adoption = Adoption(
                    self._settings.node, self.shelf.host, known=self.library.model_in
                )
                owned.append(tasks.create_task(adoption.run(), name="engines"))
                minding = mind_owner(self.shelf, self._settings.node)
                owned.append(tasks.create_task(minding, name="manners"))
                owned.append(tasks.create_task(mind_sleep(links), name="sleep"))
            async with self._open_to_own_programs(links):
                await stopping.wait()
            await links.stop(drain_s=DRAIN_S)
            for task in owned:
                task.cancel()

    @asynccontextmanager
    async def _open_to_own_programs(self, links: Links) -> AsyncIterator[None]:
        """Open this machine's doors, unless its coordinator has: it is nearer to everything."""
        if self._home.authority.exists():
            yield
            return
        name = self._myself.machine.name
        own = OwnModels(self.shelf, self._node_id, name, lends=self._lends)
        async with Uplink(links, self._credentials.open_channel) as uplink:
            asking, pages = LocalAsking(uplink, own), CarriedPages(uplink)
            async with doors(asking, pages.routes(), self._settings.ports):
                yield

    async def _follow(self, views: AsyncGenerator[LibraryView, None]) -> None:
        """Serve whatever the library learns."""
        async for view in views:
            self.shelf.show(view)
            if not view.waiting:
                log.info("%s", _models_in_words(view))
                self._tell_if_empty(view)

    def _tell_if_empty(self, view: LibraryView) -> None:
        if not view.entries and not view.waiting:
            log.warning("no model to serve: put a GGUF file into %s", self._home.models)

    def _load(self) -> Load:
        load = self._probe.sample(self.shelf.working_processes())
        signs = self.shelf.signs
        return replace(
            load,
            battery=signs.battery or 0.0,
            temperature=min(1.0, signs.temperature or 0.0),
            owner_busy=bool(self.shelf.lending.busy),
            files_unread=len(self.library.view.waiting),
        )

    def _say_hello(self, who: str, what: str, links: Links) -> None:
        """The first line is a promise: a second after it, this node can be routed to."""
        log.info("%s (%s) of mesh %s: %s", who, self._node_id, self._membership.mesh_id, what)
        if not links.targets():
            log.info("no coordinator is known yet: listening for one by mDNS")

    def _tell_if_useless(self, view: LibraryView) -> None:
        if self._cannot_load:
            log.warning("no model can run: %s", self._cannot_load)
        self._tell_if_empty(view)


async def _nothing() -> AsyncGenerator[LibraryView, None]:
    """What a machine that lends nothing learns of its models."""
    return
    yield


def _models_in_words(view: LibraryView) -> str:
    models = f"{len(view.entries)} model{'' if len(view.entries) == 1 else 's'}"
    unread = len(view.waiting)
    files = "file" if unread == 1 else "files"
    return f"{models}, {unread} {files} to read first" if unread else models
