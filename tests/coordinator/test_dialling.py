"""A coordinator has several addresses, and some of them lead nowhere."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from mesh.client import MeshClient
from mesh.dial import first_reachable
from mesh.errors import NodeLost
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole

Enrolled = Callable[[PeerRole], MachineIdentity]
WITHIN_S = 60.0  # for each address: far longer than all of them together may take


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """An address where a connection is taken and nothing is ever said."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_addresses_that_swallow_everything_keep_nobody_waiting(
    mesh_address: str, silent: str, enrolled: Enrolled
) -> None:
    addresses = [silent, silent, silent, "127.0.0.1:1", mesh_address, silent]
    async with asyncio.timeout(WITHIN_S):
        channel = await first_reachable(addresses, enrolled(PeerRole.CLIENT), within_s=WITHIN_S)
    async with channel:
        assert not await MeshClient(channel).models()


async def test_where_nobody_answers_all_addresses_are_named(
    silent: str, enrolled: Enrolled
) -> None:
    with pytest.raises(NodeLost, match=rf"answers at {silent}, 127\.0\.0\.1:1;"):
        await first_reachable([silent, "127.0.0.1:1"], enrolled(PeerRole.CLIENT), within_s=0.3)


async def test_without_an_address_nobody_is_there(enrolled: Enrolled) -> None:
    with pytest.raises(NodeLost, match="answers at -"):
        await first_reachable([], enrolled(PeerRole.CLIENT))
