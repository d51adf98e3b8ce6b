"""Reaching a coordinator: which address, with which identity, over which channel."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc

from mesh.errors import InvalidRequest, NodeLost
from mesh.rpc import CHANNEL_OPTIONS

if TYPE_CHECKING:
    from mesh.identity.machine import MachineIdentity

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
DIAL_WITHIN_S = 3.0  # for each address; a machine on a LAN answers within milliseconds


def plain_channel(address: str) -> grpc.aio.Channel:
    """Open a channel in plain text, to this very machine only.

    Raises:
        InvalidRequest: the address is another machine's.
    """
    host = address.rpartition(":")[0]
    if host not in LOOPBACK_HOSTS:
        raise InvalidRequest(
            f"{address} is not on this machine, and nothing leaves it in plain text",
            hint="join the mesh with `deskmesh join CODE`, then connect without an address",
        )
    return grpc.aio.insecure_channel(address, options=list(CHANNEL_OPTIONS))


def mesh_channel(address: str, identity: "MachineIdentity") -> grpc.aio.Channel:
    """Open an mTLS channel to a coordinator of the identity's mesh, whatever its address."""
    from mesh.identity.tls import channel_credentials, name_override

    options = [*CHANNEL_OPTIONS, *name_override(identity.authority_pem)]
    return grpc.aio.secure_channel(address, channel_credentials(identity), options=options)


async def first_reachable(
    addresses: Sequence[str], identity: "MachineIdentity", *, within_s: float = DIAL_WITHIN_S
) -> grpc.aio.Channel:
    """Return a ready channel to the first of ``addresses`` where a coordinator of our mesh answers.

    Raises:
        NodeLost: none does.
    """
    for address in addresses:
        channel = mesh_channel(address, identity)
        try:
            async with asyncio.timeout(within_s):
                await _ready(channel)
        except (TimeoutError, ConnectionError):
            await channel.close()
        except BaseException:
            await channel.close()
            raise
        else:
            return channel
    raise NodeLost(
        f"no coordinator of mesh {identity.peer.mesh_id} answers at {', '.join(addresses) or '-'}",
        hint="is it running? start it with `deskmesh up` or `deskmesh coordinator` on its machine",
    )


async def _ready(channel: grpc.aio.Channel) -> None:
    """Wait for a connection; raise ConnectionError at the first refusal instead of trying on."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            raise ConnectionError("refused")
        await channel.wait_for_state_change(state)
        state = channel.get_state()
