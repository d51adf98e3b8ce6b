"""The way to the mesh: does the coordinator answer, and does multicast find it."""

import asyncio
import os
from dataclasses import dataclass

from mesh.dial import first_reachable
from mesh.discovery.nearby import Nearby, scan
from mesh.doctor.finding import Finding, failed, ok, warning
from mesh.errors import MeshError
from mesh.home import Home
from mesh.identity.address import split_address
from mesh.identity.machine import MachineIdentity
from mesh.identity.store import IdentityStore
from mesh.settings import DiscoverySettings

ADDRESSES_MAX = 8  # of 3 s each, at worst
_LOCAL = ("127.", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Answered:
    """Where the coordinator was looked for, and where it answered, "" if nowhere."""

    tried: tuple[str, ...]
    at: str
    refusals: tuple[str, ...] = ()  # each address with why


@dataclass(frozen=True, slots=True)
class Heard:
    """What a look around by mDNS came to."""

    names: tuple[str, ...]  # of machines
    coordinator: bool  # of our mesh among them
    trouble: str = ""
    hint: str = ""

    @classmethod
    def of(cls, nearby: Nearby, mesh_id: str) -> "Heard":
        names = tuple(dict.fromkeys(each.advert.name for each in nearby.sightings))
        ours = any(
            each.advert.role.name == "COORDINATOR" and each.advert.mesh_id == mesh_id
            for each in nearby.sightings
        )
        trouble = nearby.trouble
        why, hint = (trouble.reason, trouble.hint) if trouble else ("", "")
        return cls(names, ours, why, hint)


async def ask_coordinator(
    here: Home, identity: MachineIdentity, settings: DiscoverySettings
) -> Answered:
    """Dial each known address by itself, so that each refusal has its reason."""
    known = [each.address for each in IdentityStore(here).membership().coordinators]
    tried = tuple(dict.fromkeys([*known, *settings.seeds]))[:ADDRESSES_MAX]
    refusals = []
    for address in tried:
        try:
            channel = await first_reachable([address], identity)
        except MeshError:
            refusals.append(f"{address} ({await _why(address)})")
        else:
            await channel.close()
            return Answered(tried, address, tuple(refusals))
    return Answered(tried, "", tuple(refusals))


async def listen(settings: DiscoverySettings, mesh_id: str) -> Heard | None:
    """Look around for 2 s; None where the settings say not to."""
    if not settings.multicast:
        return None
    return Heard.of(await scan(interfaces=settings.interfaces), mesh_id)


def judge_coordinator(answered: Answered, heard: Heard | None, *, multicast: bool) -> Finding:
    """Say whether the mesh can be reached, and by which way it was found."""
    if answered.at:
        return ok("coordinator", f"answers at {answered.at}, by an address that was known")
    if heard is not None and heard.coordinator:
        return ok("coordinator", "heard by mDNS; none of the addresses known answers any more")
    if not answered.tried:
        mend = "list it in discovery.seeds, or join again with --address"
        return failed("coordinator", "no address of it is known, and none was heard", mend)
    mend = "is it running? `deskmesh up` or `deskmesh coordinator` on its machine"
    if not multicast:
        mend += "; if it has another address now, list it in discovery.seeds"
    return failed("coordinator", f"no answer at {', '.join(answered.refusals)}", mend)


def judge_multicast(heard: Heard | None, answered: Answered | None) -> Finding:
    """Say whether machines find each other by themselves, and if not what stands between.

    Silence alone proves nothing. Silence while the coordinator answers at an address of another
    machine does: its advert is lost on the way.
    """
    if heard is None:
        return ok("multicast", "off by discovery.multicast; addresses and seeds are used")
    if heard.trouble:
        return warning("multicast", heard.trouble, heard.hint)
    at = answered.at if answered else ""
    if heard.coordinator or (heard.names and not at):
        return ok("multicast", f"heard {', '.join(heard.names[:5])}")
    if at and not at.startswith(_LOCAL):
        return warning(
            "multicast",
            "the coordinator answers by address and is not heard: something drops multicast "
            "between us (client isolation of a Wi-Fi, a firewall on UDP 5353, a VPN)",
            f"nothing, while its address stays; else list {at} in discovery.seeds",
        )
    if at:
        return warning(
            "multicast",
            "the coordinator of this very machine is not heard",
            "let the firewall pass UDP port 5353, or list coordinators in discovery.seeds",
        )
    what = "it may be sent, and nobody was heard: no other deskmesh here, or the network drops it"
    return ok("multicast", what)


async def _why(address: str) -> str:
    """Return why an address does not answer: TCP tells more than gRPC does."""
    host, port = split_address(address)
    try:
        async with asyncio.timeout(2.0):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return "silent: off, asleep, or behind a firewall"
    except OSError as failure:
        # asyncio puts the address into the error's own words, and keeps its number.
        return (os.strerror(failure.errno) if failure.errno else str(failure)).lower()
    writer.close()
    return "something answers, and it is not a coordinator of our mesh"
