"""Staying a member: a certificate lives for a day, and its holder gets the next one by itself.

While it is valid it is shown, over mTLS. Once it is not, for 90 days, its key proves itself on
the join port, over TLS that the mesh CA vouches for: a laptop that was off for a month comes back.
"""

import time
from collections.abc import Iterable

import grpc

from mesh.dial import mesh_channel
from mesh.errors import NodeError, NodeLost, ServiceError
from mesh.identity.keys import PrivateKey
from mesh.identity.machine import MachineIdentity, assemble
from mesh.identity.proof import prove
from mesh.identity.request import certificate_request
from mesh.identity.store import IdentityStore
from mesh.identity.tls import joining_credentials, name_override
from mesh.rpc import CHANNEL_OPTIONS, from_rpc
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import fleet_pb2_grpc as fleet_grpc

RENEW_WITHIN_S = 5.0  # for each of the two calls; a machine on a LAN answers within milliseconds
ADDRESSES_MAX = 16  # tried: as many as a membership holds


def is_valid(identity: MachineIdentity) -> bool:
    """Whether it may be shown at this moment, by this machine's clock."""
    return identity.valid_from_s <= time.time() < identity.expires_at_s


def is_due(identity: MachineIdentity) -> bool:
    """Whether it is time for a new one: past half of its life, or not valid by our clock."""
    return time.time() >= identity.renew_at_s or not is_valid(identity)


async def renew_valid(
    store: IdentityStore, identity: MachineIdentity, address: str
) -> MachineIdentity:
    """Renew at the mesh port ``address``, and keep the new one.

    Raises:
        MeshError: as the coordinator said; NodeLost if it does not answer.
    """
    async with mesh_channel(address, identity) as channel:
        return await renew_over(store, identity, channel)


async def renew_over(
    store: IdentityStore, identity: MachineIdentity, channel: grpc.aio.Channel
) -> MachineIdentity:
    """Renew over a channel that shows ``identity``. Raises as ``renew_valid`` does."""
    key = store.key(identity.peer.role)
    request = fleet.RenewRequest(signing_request_pem=certificate_request(key).decode())
    return _keep(store, identity, key, await _call(channel, request))


async def renew_expired(
    store: IdentityStore, identity: MachineIdentity, join_addresses: Iterable[str]
) -> MachineIdentity:
    """Renew at the first join port that answers, by proof of the key, and keep the new one.

    Raises:
        NodeLost: no coordinator answers.
        ServiceError: one did, and this machine's disk refuses to keep it.
        Forbidden, NotAuthenticated: this machine was revoked, or was away for too long.
    """
    key = store.key(identity.peer.role)
    for address in list(dict.fromkeys(join_addresses))[:ADDRESSES_MAX]:
        try:
            response = await _renew_by_proof(key, identity, address)
        except (NodeError, ServiceError):
            continue  # silent or busy: another may not be
        return _keep(store, identity, key, response)
    raise NodeLost(
        "this machine's certificate has expired, and no coordinator answers to renew it",
        hint="start the coordinator, or join again: deskmesh join CODE",
    )


async def _renew_by_proof(
    key: PrivateKey, identity: MachineIdentity, address: str
) -> fleet.JoinResponse:
    request = fleet.RenewRequest(
        signing_request_pem=certificate_request(key).decode(),
        certificate_pem=identity.certificate_pem.decode(),
    )
    options = [*CHANNEL_OPTIONS, *name_override(identity.authority_pem)]
    credentials = joining_credentials(identity.authority_pem)
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        challenge = (await _call(channel, request)).challenge
        request.challenge, request.proof = challenge, prove(key, challenge)
        return await _call(channel, request)


async def _call(channel: grpc.aio.Channel, request: fleet.RenewRequest) -> fleet.JoinResponse:
    try:
        response: fleet.JoinResponse = await fleet_grpc.EnrolmentStub(channel).Renew(
            request, timeout=RENEW_WITHIN_S
        )
    except grpc.aio.AioRpcError as failure:
        raise from_rpc(failure) from None
    return response


def _keep(
    store: IdentityStore, former: MachineIdentity, key: PrivateKey, response: fleet.JoinResponse
) -> MachineIdentity:
    renewed = assemble(key, response.certificate_pem.encode(), former.authority_pem)
    store.save(renewed)
    return renewed
