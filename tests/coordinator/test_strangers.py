"""Whoever connects, or asks, and then sends nothing: it is bounded, and keeps nobody out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing

import grpc
import pytest

from coordinator import listeners
from coordinator.coordinator import Coordinator
from mesh import receiving
from mesh.client import MeshClient
from mesh.dial import mesh_channel
from mesh.errors import NoCapableNode
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.serving import INFERENCE
from mesh.settings import Settings
from tests.coordinator.conftest import patient_settings
from tests.coordinator.scripted_node import WITHIN_S

CONNECTIONS_MAX = 8


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    few = CONNECTIONS_MAX - listeners.CONNECTIONS_OF_A_NODE
    monkeypatch.setattr(listeners, "CONNECTIONS_OF_OTHERS", few)
    monkeypatch.setattr(listeners, "HANDSHAKE_WITHIN_MS", 1_000)
    settings = patient_settings()
    fleet = settings.fleet.model_copy(update={"nodes_max": 1})
    return settings.model_copy(update={"fleet": fleet})


@pytest.fixture
async def strangers(coordinator: Coordinator) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Connections on which nothing is ever said, five times as many as there may be."""
    async with AsyncExitStack() as stack:
        readers = []
        for _ in range(5 * CONNECTIONS_MAX):
            reader, writer = await asyncio.open_connection("127.0.0.1", coordinator.ports.mesh)
            stack.enter_context(closing(writer))
            readers.append(reader)
        yield readers


async def _hung_up(reader: asyncio.StreamReader) -> None:
    try:
        assert await reader.read() == b""
    except ConnectionResetError:
        return


async def test_strangers_who_say_nothing_are_bounded_and_hung_up_on(
    strangers: list[asyncio.StreamReader], channel: grpc.aio.Channel
) -> None:
    async with asyncio.timeout(WITHIN_S):
        ended = [asyncio.create_task(_hung_up(reader)) for reader in strangers]
        for first in asyncio.as_completed(ended):
            await first
            break
        await asyncio.sleep(0.3)  # well before the time for a handshake is over
        assert sum(not task.done() for task in ended) <= CONNECTIONS_MAX
        await asyncio.gather(*ended)
        await channel.channel_ready()  # there is room for a member again
    assert list(await MeshClient(channel).models()) == []


async def test_calls_that_send_no_request_end_and_keep_no_other_caller_waiting(
    coordinator: Coordinator,
    channel: grpc.aio.Channel,
    enrolled: Callable[[PeerRole], MachineIdentity],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiving, "WITHIN_S", 2.0)
    generate: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
    generate = channel.stream_stream(f"/{INFERENCE}/Generate")
    silent = [generate() for _ in range(3 * receiving.AT_ONCE_MAX)]
    for call in silent:
        await call.wait_for_connection()
    ended = [asyncio.create_task(call.code()) for call in silent]
    address = f"127.0.0.1:{coordinator.ports.mesh}"
    async with mesh_channel(address, enrolled(PeerRole.OPERATOR)) as other:
        with pytest.raises(NoCapableNode):
            await MeshClient(other).ask("hi")
    assert not any(task.done() for task in ended)
    first, rest = await asyncio.wait(ended, timeout=WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    assert {task.result() for task in first} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert len(first) <= receiving.OF_ONE_CALLER_MAX
    for call in silent:
        call.cancel()
    await asyncio.wait(rest)
