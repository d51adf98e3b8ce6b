"""One look around: who is on this network, and where is a coordinator."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from mesh.discovery.advert import Role
from mesh.discovery.browser import Browser
from mesh.discovery.responder import NoMulticast, Responder
from mesh.discovery.sighting import Sighting

# Long enough for a machine that answered another question a second ago, and so may not multicast
# again before (RFC 6762 section 6), behind a firewall that drops its answer by unicast.
SCAN_S = 2.0


@dataclass(frozen=True, slots=True)
class Nearby:
    """What a look around found. ``trouble`` says why that may be nothing."""

    sightings: tuple[Sighting, ...]
    trouble: NoMulticast | None


async def scan(
    timeout_s: float = SCAN_S,
    *,
    interfaces: Sequence[str] = (),
    until: Callable[[Sighting], bool] | None = None,
) -> Nearby:
    """Return who is heard within ``timeout_s``, or until ``until`` is true of one of them.

    Coordinators come first, then nodes, by name.

    ``interfaces`` are addresses to look from, every suitable one if empty. Opens sockets of its
    own: a process that has a ``Responder`` reads its ``Browser`` instead. What is found is a
    hint, as ``Browser`` says.
    """
    async with Responder(interfaces) as responder, Browser(responder) as browser:
        if responder.zeroconf is not None:
            try:
                async with asyncio.timeout(timeout_s):
                    await _wait_for(browser, until)
            except TimeoutError:
                pass  # the usual end of a look
        here = [sighting for sighting in browser.sightings() if not sighting.gone]
        here.sort(key=lambda each: (each.advert.role, each.advert.name, each.advert.machine_id))
        return Nearby(tuple(here), responder.trouble)


async def find_coordinators(
    mesh_id: str = "", *, timeout_s: float = SCAN_S, interfaces: Sequence[str] = ()
) -> Nearby:
    """Return the coordinators of a mesh, of any mesh if ``mesh_id`` is empty.

    For one mesh it returns with the first that is found, so usually in milliseconds. The
    endpoints are where to dial; only the certificate proves who is there.
    """

    def is_wanted(sighting: Sighting) -> bool:
        advert = sighting.advert
        return advert.role is Role.COORDINATOR and mesh_id in ("", advert.mesh_id)

    nearby = await scan(timeout_s, interfaces=interfaces, until=is_wanted if mesh_id else None)
    return Nearby(tuple(filter(is_wanted, nearby.sightings)), nearby.trouble)


async def _wait_for(browser: Browser, until: Callable[[Sighting], bool] | None) -> None:
    async with aclosing(browser.events()) as events:
        async for event in events:
            if until is not None and until(event.sighting):
                return
