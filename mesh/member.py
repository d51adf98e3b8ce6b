"""A machine that has joined, as its programs use it: who it is, and where to dial."""

from contextlib import suppress
from typing import TYPE_CHECKING

import grpc

from mesh.dial import first_reachable
from mesh.errors import MeshError, NodeLost, NotAuthenticated
from mesh.home import Home
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.identity.store import IdentityStore
from mesh.renewing import is_due, is_valid, renew_expired, renew_over
from mesh.settings import load_settings

if TYPE_CHECKING:
    from mesh.discovery.sighting import Endpoint

# What a person's command line is, best first: an operator may do more than a node.
OWN_ROLES = (PeerRole.OPERATOR, PeerRole.CLIENT, PeerRole.NODE)
SCAN_S = 1.0  # long enough for an answer on a LAN, short enough to wait for


def own_identity(home: Home) -> MachineIdentity:
    """Return this machine's strongest identity. It may have expired.

    Raises:
        NotAuthenticated: it has joined no mesh.
    """
    store = IdentityStore(home)
    roles = [role for role in OWN_ROLES if role in store.roles()]
    if not roles:
        raise NotAuthenticated(
            "this machine has joined no mesh",
            hint="start one with `deskmesh up`, or join one with `deskmesh join CODE`",
        )
    return store.load(roles[0])


async def reach_coordinator(home: Home) -> grpc.aio.Channel:
    """Return a ready mTLS channel to the coordinator: known addresses, seeds, then mDNS.

    Raises:
        NotAuthenticated: this machine has joined no mesh, or was away for too long.
        Forbidden: it was revoked.
        NodeLost: no coordinator answers.
    """
    settings = load_settings()  # first: a mistake in them is told whoever this machine is
    identity, store = own_identity(home), IdentityStore(home)
    coordinators = store.membership().coordinators
    if not is_valid(identity):
        joining = [each.join_address for each in coordinators]
        identity = await _renewed(store, identity, joining, multicast=settings.discovery.multicast)
    known = [each.address for each in coordinators]
    addresses = list(dict.fromkeys([*known, *settings.discovery.seeds]))
    channel = await _first_heard(addresses, identity, multicast=settings.discovery.multicast)
    if is_due(identity):
        with suppress(MeshError):  # half a life is left, and a person waits: another time
            await renew_over(store, identity, channel)
    return channel


async def _first_heard(
    addresses: list[str], identity: MachineIdentity, *, multicast: bool
) -> grpc.aio.Channel:
    try:
        return await first_reachable(addresses, identity)
    except NodeLost:
        if not multicast:
            raise
    seen = [each.target(each.mesh_port) for each in await _seen(identity.peer.mesh_id)]
    return await first_reachable([*seen, *addresses][:8], identity)


async def _renewed(
    store: IdentityStore, identity: MachineIdentity, joining: list[str], *, multicast: bool
) -> MachineIdentity:
    """Renew where the coordinator was; if it is no longer there, where mDNS hears it."""
    try:
        return await renew_expired(store, identity, joining)
    except NodeLost:
        if not multicast:
            raise
    seen = await _seen(identity.peer.mesh_id)
    return await renew_expired(store, identity, [each.target(each.join_port) for each in seen])


async def _seen(mesh_id: str) -> "list[Endpoint]":
    """Return where mDNS has heard of a coordinator of that mesh. Hints: TLS decides."""
    from mesh.discovery.nearby import find_coordinators  # late: seldom needed, 0.1 s to import

    nearby = await find_coordinators(mesh_id, timeout_s=SCAN_S)
    return [endpoint for sighting in nearby.sightings for endpoint in sighting.endpoints]
