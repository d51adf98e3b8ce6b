"""Becoming a member: a join code is traded for a certificate.

The CA's certificate is fetched unverified, compared with the code, and only then, on a channel
verified by it, the secret is told (``mesh.identity.bootstrap``).
"""

import grpc

from mesh.discovery.nearby import find_coordinators
from mesh.errors import InvalidRequest, MeshError, NodeLost, NotAuthenticated
from mesh.home import Home
from mesh.identity.address import join_address, split_address
from mesh.identity.bootstrap import fetch_authority
from mesh.identity.joincode import JoinCode
from mesh.identity.machine import assemble
from mesh.identity.peer import PeerIdentity, PeerRole
from mesh.identity.request import certificate_request
from mesh.identity.store import CoordinatorAddress, IdentityStore, Membership
from mesh.identity.tls import joining_credentials, name_override
from mesh.rpc import CHANNEL_OPTIONS, from_rpc
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import fleet_pb2_grpc as fleet_grpc
from mesh.version import VERSION

FETCH_WITHIN_S = 5.0  # for each address
JOIN_WITHIN_S = 10.0
SCAN_S = 2.0
ADDRESSES_MAX = 16  # tried: four in the code, the rest from mDNS


async def join(
    home: Home, code: str, *, machine_name: str, address: str = "", lend: bool = True
) -> PeerIdentity:
    """Join the mesh of ``code`` and keep its certificate in ``home``.

    Args:
        machine_name: shown to people.
        address: host:port of the coordinator's join port; empty: the code's, then mDNS.
        lend: False makes a node's code a client's: the machine uses the mesh, and serves nothing.

    Raises:
        InvalidRequest: the code is malformed, or this machine coordinates a mesh of its own.
        NodeLost: no coordinator of the mesh answers.
        NotAuthenticated: the code was used or is too old, or someone else answers there.
        Forbidden: the code does not let in what was asked for.
    """
    if home.authority.exists():
        raise InvalidRequest(
            "this machine coordinates a mesh of its own",
            hint="join from another machine, or with another DESKMESH_HOME; to give that mesh up, "
            f"stop it and remove authority, identity, ledger and members.json from {home.root}",
        )
    decoded = JoinCode.decode(code)
    found, authority_pem = await _find(decoded, address)
    role = PeerRole.CLIENT if decoded.role is PeerRole.NODE and not lend else decoded.role
    try:
        peer = await _enrol(home, decoded, found, authority_pem, machine_name, role)
    except NotAuthenticated as failure:
        if (member := IdentityStore(home).roles()) and role in member:
            raise NotAuthenticated(
                f"this machine is a member already, as a {role}; {failure.message}",
                hint=failure.hint,
            ) from None
        raise
    if not lend:
        IdentityStore(home).forget(PeerRole.NODE)
    return peer


async def _find(code: JoinCode, address: str) -> tuple[str, bytes]:
    """Return the join address that proves to be of the code's mesh, and its CA's certificate."""
    failure: MeshError = NodeLost("the join code names no address, and mDNS found no coordinator")
    tried: set[str] = set()
    for source in (_named, _heard):
        for candidate in await source(code, address):
            if candidate in tried or len(tried) >= ADDRESSES_MAX:
                continue
            tried.add(candidate)
            try:
                pem = await fetch_authority(
                    candidate, code.authority_sha256, timeout_s=FETCH_WITHIN_S
                )
            except (NodeLost, NotAuthenticated) as refused:
                # The most telling failure wins: an impostor over silence.
                if not isinstance(failure, NotAuthenticated):
                    failure = refused
            else:
                return candidate, pem
    raise failure


async def _named(code: JoinCode, address: str) -> list[str]:
    return [address] if address else list(code.addresses)


async def _heard(code: JoinCode, address: str) -> list[str]:
    if address:
        return []
    nearby = await find_coordinators(timeout_s=SCAN_S)
    return [
        endpoint.target(endpoint.join_port)
        for sighting in nearby.sightings
        for endpoint in sighting.endpoints
    ]


async def _enrol(  # noqa: PLR0913, PLR0917 - what it is to become, and by which way
    home: Home,
    code: JoinCode,
    address: str,
    authority_pem: bytes,
    machine_name: str,
    role: PeerRole,
) -> PeerIdentity:
    store = IdentityStore(home)
    key = store.key(role)
    request = fleet.JoinRequest(
        secret=code.secret,
        signing_request_pem=certificate_request(key).decode(),
        machine_name=machine_name[:64],
        version=VERSION,
        role=role,
    )
    options = [*CHANNEL_OPTIONS, *name_override(authority_pem)]
    credentials = joining_credentials(authority_pem)
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        try:
            response = await fleet_grpc.EnrolmentStub(channel).Join(request, timeout=JOIN_WITHIN_S)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc(failure) from None
    identity = assemble(key, response.certificate_pem.encode(), authority_pem)
    store.save(identity)
    addresses = _addresses(address, response)
    store.save_membership(Membership(mesh_id=identity.peer.mesh_id, coordinators=addresses))
    return identity.peer


def _addresses(reached: str, response: fleet.JoinResponse) -> tuple[CoordinatorAddress, ...]:
    """The host that was reached first, then what the coordinator says of itself."""
    host, join_port = split_address(reached)
    told = [split_address(each) for each in response.coordinators[:8]]
    ports = [port for _, port in told] or [7443]
    hosts = dict.fromkeys([(host, ports[0]), *told])
    return tuple(
        CoordinatorAddress(address=join_address(each, port), join_port=join_port)
        for each, port in hosts
    )
