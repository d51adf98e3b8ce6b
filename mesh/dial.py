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
NEXT_AFTER_S = 0.25  # as RFC 8305 has it for the addresses of one host


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
    """Return a ready channel to one of ``addresses`` where a coordinator of our mesh answers.

    They are tried in their order, each beside those that have not answered yet: one that swallows
    packets, as of a network left behind, keeps nobody waiting.

    Raises:
        NodeLost: none does.
    """
    left = list(addresses)
    dialled: list[asyncio.Task[grpc.aio.Channel | None]] = []
    reached: grpc.aio.Channel | None = None
    try:
        while reached is None and (left or not all(each.done() for each in dialled)):
            if left:
                dialled.append(asyncio.create_task(_dialled(left.pop(0), identity, within_s)))
            wait_s = NEXT_AFTER_S if left else None
            waiting = [each for each in dialled if not each.done()]
            done, _ = await asyncio.wait(
                waiting, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            reached = next((each.result() for each in done if each.result() is not None), None)
    finally:
        await _hang_up(dialled, reached)
    if reached is not None:
        return reached
    raise NodeLost(
        f"no coordinator of mesh {identity.peer.mesh_id} answers at {', '.join(addresses) or '-'}",
        hint="is it running? start it with `deskmesh up` or `deskmesh coordinator` on its machine",
    )


async def _dialled(
    address: str, identity: "MachineIdentity", within_s: float
) -> grpc.aio.Channel | None:
    """Return a ready channel to ``address``; None if nobody of our mesh answers there."""
    channel = mesh_channel(address, identity)
    try:
        async with asyncio.timeout(within_s):
            await _ready(channel)
    except (TimeoutError, ConnectionError):
        await channel.close()
        return None
    except BaseException:
        await channel.close()
        raise
    return channel


async def _hang_up(
    dialled: Sequence[asyncio.Task[grpc.aio.Channel | None]], kept: grpc.aio.Channel | None
) -> None:
    """End all attempts but the one that led to ``kept``."""
    for each in dialled:
        each.cancel()
    for found in await asyncio.gather(*dialled, return_exceptions=True):
        if isinstance(found, grpc.aio.Channel) and found is not kept:
            await found.close()


async def _ready(channel: grpc.aio.Channel) -> None:
    """Wait for a connection; raise ConnectionError at the first refusal instead of trying on."""
    state = channel.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            raise ConnectionError("refused")
        await channel.wait_for_state_change(state)
        state = channel.get_state()
