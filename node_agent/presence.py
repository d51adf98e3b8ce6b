"""This node on its network: what it says of itself by mDNS, and which coordinators it hears.

What is heard is a hint: it may add an address to dial, and nothing else.
"""

import asyncio
import logging
from collections.abc import Callable

from mesh.core.types import NodeId
from mesh.discovery.advert import Advert, Role, digest_of
from mesh.discovery.advertiser import Advertiser
from mesh.discovery.browser import Browser
from mesh.discovery.load_bucket import LoadBucket, next_bucket
from mesh.discovery.responder import Responder
from mesh.discovery.sighting import MachineSeen
from mesh.settings import DiscoverySettings
from mesh.version import VERSION
from node_agent.addresses import Origin
from node_agent.attach import Myself
from node_agent.links import Links
from node_agent.shelf import Shelf

LOOK_EVERY_S = 10.0  # at our own load and models: an advert may change no more often anyway

log = logging.getLogger("node")


class Presence:
    """Advertises and listens while ``run`` runs; keeps still where there is no multicast."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it tells, and whom
        self,
        settings: DiscoverySettings,
        mesh_id: str,
        myself: Myself,
        shelf: Shelf,
        links: Links,
        heard: Callable[[str], None],
    ) -> None:
        """``heard`` is told where a coordinator of the mesh may be joined."""
        self._settings = settings
        self._mesh_id = mesh_id
        self._myself = myself
        self._shelf = shelf
        self._links = links
        self._heard = heard
        self._load = LoadBucket.IDLE

    async def run(self) -> None:
        """Until cancelled; leaving says goodbye, which takes a quarter of a second."""
        settings = self._settings
        responder = Responder(settings.interfaces, enabled=settings.multicast)
        async with responder, Browser(responder) as browser:
            if settings.multicast and responder.trouble is not None:
                log.warning("no coordinator will be found by mDNS: %s", responder.trouble)
            advertiser = Advertiser(responder, self._advert(), settings.advertise)
            async with advertiser, asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(browser), name="mdns ear")
                tasks.create_task(self._keep_true(advertiser), name="mdns voice")

    async def _listen(self, browser: Browser) -> None:
        async for event in browser.events():
            advert = event.sighting.advert
            if not isinstance(event, MachineSeen) or advert.role is not Role.COORDINATOR:
                continue
            if advert.mesh_id == self._mesh_id:
                for endpoint in event.sighting.endpoints:
                    target = endpoint.target(endpoint.mesh_port)
                    self._heard(endpoint.target(endpoint.join_port))
                    self._links.add(target, Origin.SEEN, NodeId(advert.machine_id))

    async def _keep_true(self, advertiser: Advertiser) -> None:
        while True:
            advertiser.update(self._advert())
            await asyncio.sleep(LOOK_EVERY_S)

    def _advert(self) -> Advert:
        self._load = next_bucket(self._load, self._myself.load().cpu)
        models = [offer.model for _, offer in self._shelf.offers()]
        return Advert(
            machine_id=self._myself.node_id,
            mesh_id=self._mesh_id,
            version=VERSION,
            role=Role.NODE,
            name=self._myself.machine.name,
            models=tuple(model.name for model in models),
            models_digest=digest_of(model.model_id for model in models),
            load=self._load,
        )
