"""A machine that has joined, as its programs use it: who it is, and where to dial."""

import time

import grpc

from mesh.dial import first_reachable
from mesh.errors import NodeLost, NotAuthenticated
from mesh.home import Home
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.identity.store import IdentityStore
from mesh.settings import load_settings

# What a person's command line is, best first: an operator may do more than a node.
OWN_ROLES = (PeerRole.OPERATOR, PeerRole.CLIENT, PeerRole.NODE)
SCAN_S = 1.0  # long enough for an answer on a LAN, short enough to wait for


def own_identity(home: Home) -> MachineIdentity:
    """Return this machine's strongest identity.

    Raises:
        NotAuthenticated: it has joined no mesh, or its certificate has expired.
    """
    store = IdentityStore(home)
    roles = [role for role in OWN_ROLES if role in store.roles()]
    if not roles:
        raise NotAuthenticated(
            "this machine has joined no mesh",
            hint="start one with `deskmesh up`, or join one with `deskmesh join CODE`",
        )
    identity = store.load(roles[0])
    if identity.expires_at_s < time.time():
        raise NotAuthenticated(
            "this machine's certificate has expired",
            hint="start its node or coordinator, which renews it; or join again with a new code",
        )
    return identity


async def reach_coordinator(home: Home) -> grpc.aio.Channel:
    """Return a ready mTLS channel to the coordinator: known addresses, seeds, then mDNS.

    Raises:
        NotAuthenticated: this machine has joined no mesh.
        NodeLost: no coordinator answers.
    """
    identity = own_identity(home)
    settings = load_settings()
    known = [each.address for each in IdentityStore(home).membership().coordinators]
    addresses = list(dict.fromkeys([*known, *settings.discovery.seeds]))
    try:
        return await first_reachable(addresses, identity)
    except NodeLost:
        if not settings.discovery.multicast:
            raise
    seen = await seen_coordinators(identity.peer.mesh_id)
    return await first_reachable([*seen, *addresses][:8], identity)


async def seen_coordinators(mesh_id: str) -> list[str]:
    """Return addresses where mDNS has heard of a coordinator of that mesh. Hints: TLS decides."""
    from mesh.discovery.nearby import find_coordinators  # late: seldom needed, 0.1 s to import

    nearby = await find_coordinators(mesh_id, timeout_s=SCAN_S)
    return [
        endpoint.target(endpoint.mesh_port)
        for sighting in nearby.sightings
        for endpoint in sighting.endpoints
    ]
