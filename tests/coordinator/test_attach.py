"""Nodes attach, report, fall silent and leave, over real mTLS."""

import asyncio
import time

import grpc
import pytest

from coordinator.coordinator import Coordinator
from mesh.core.node import Node
from mesh.core.types import NodeId, NodeState
from mesh.settings import Settings
from mesh.v1 import fleet_pb2 as fleet
from tests.coordinator.conftest import NewNode, quick_settings
from tests.coordinator.scripted_node import WITHIN_S, ScriptedNode, model

QWEN = model("qwen")


@pytest.fixture
def settings() -> Settings:
    return quick_settings()


async def _state(coordinator: Coordinator, node: ScriptedNode, wanted: NodeState) -> Node:
    async with asyncio.timeout(WITHIN_S):
        while True:
            known = coordinator.loop.fleet.directory.nodes.get(NodeId(node.node_id))
            if known is not None and known.state is wanted:
                return known
            await asyncio.sleep(0.005)


async def test_a_node_is_routable_as_soon_as_it_is_welcomed(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        known = await _state(coordinator, node, NodeState.ALIVE)
        assert known.name == node.name
        assert not known.on_coordinator_host, "loopback alone proves nothing"
        assert list(known.replicas) == [QWEN.model_id]


async def test_a_reset_connection_is_noticed_at_once(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        await _state(coordinator, node, NodeState.ALIVE)
    assert (await _state(coordinator, node, NodeState.LOST)).state_reason


async def test_silence_makes_a_node_suspect_and_a_report_clears_it(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        known = await _state(coordinator, node, NodeState.SUSPECT)
        assert "silent" in known.state_reason
        await node.report()
        await _state(coordinator, node, NodeState.ALIVE)


async def test_long_silence_ends_the_connection(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        assert await node.ended() is grpc.StatusCode.UNAVAILABLE
        await _state(coordinator, node, NodeState.LOST)


async def test_one_that_goes_to_sleep_is_asleep_and_not_lost(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        leaving = fleet.Leaving(why=fleet.Leaving.WHY_SLEEP)
        await node.attach.write(fleet.NodeMessage(leaving=leaving))
        await _state(coordinator, node, NodeState.ASLEEP)


async def test_the_same_node_elsewhere_supersedes_the_first(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        first, epoch = node.attach, node.epoch
        await node.__aenter__()
        assert node.epoch > epoch
        async with asyncio.timeout(WITHIN_S):
            assert await first.code() is grpc.StatusCode.ABORTED
        await _state(coordinator, node, NodeState.ALIVE)


async def test_a_node_that_borrows_another_id_is_refused(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    node = new_node(QWEN)
    async with new_node(QWEN) as other:
        hello = node.hello()
        hello.node_id = other.node_id
        call = node._stub.Attach()
        await call.write(fleet.NodeMessage(hello=hello))
        async with asyncio.timeout(WITHIN_S):
            assert await call.code() is grpc.StatusCode.PERMISSION_DENIED
            assert "another id" in await call.details()
    await node.__aexit__(None, None, None)


async def test_a_node_of_another_protocol_is_told_to_update(new_node: NewNode) -> None:
    node = new_node(QWEN)
    hello = node.hello()
    hello.protocol_min = hello.protocol_max = 99
    call = node._stub.Attach()
    await call.write(fleet.NodeMessage(hello=hello))
    async with asyncio.timeout(WITHIN_S):
        assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
    await node.__aexit__(None, None, None)


async def test_the_round_trip_is_measured_here(coordinator: Coordinator, new_node: NewNode) -> None:
    async with new_node(QWEN) as node:
        coordinator._fleet_service.ping_all()
        ping = await node.command(pings=True)
        await node.attach.write(fleet.NodeMessage(pong=fleet.Pong(nonce=ping.ping.nonce)))
        known = coordinator.loop.fleet.directory.nodes[NodeId(node.node_id)]
        async with asyncio.timeout(WITHIN_S):
            while not known.rtt_s:  # noqa: ASYNC110 - the fleet has no events to await
                await asyncio.sleep(0.005)
        assert known.rtt_s < WITHIN_S


async def test_a_hello_with_absurd_numbers_is_taken_with_bounds(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    node = new_node(QWEN)
    hello = node.hello()
    hello.report.cpu_share = float("nan")
    hello.report.replicas[0].decode_tokens_per_s = float("inf")
    hello.report.replicas[0].slots = 2**31
    call = node._stub.Attach()
    await call.write(fleet.NodeMessage(hello=hello))
    known = await _state(coordinator, node, NodeState.ALIVE)
    [replica] = known.replicas.values()
    assert known.load.cpu == 1.0
    assert replica.status.decode_tokens_per_s == 0.0
    assert replica.status.slots == 1024
    call.cancel()
    await node.__aexit__(None, None, None)


@pytest.mark.parametrize("years", [10, -10])
async def test_a_wall_clock_that_jumps_moves_no_limit_of_silence(
    years: int, coordinator: Coordinator, new_node: NewNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with new_node(QWEN) as node:
        known = await _state(coordinator, node, NodeState.ALIVE)
        jumped_s = time.time() + years * 365 * 86_400
        monkeypatch.setattr(time, "time", lambda: jumped_s)
        for _ in range(10):  # for longer than a silence may last
            await node.report()
            await asyncio.sleep(0.1)
            assert known.state is NodeState.ALIVE
        await _state(coordinator, node, NodeState.SUSPECT)


async def test_a_loop_that_stalls_blames_nobody_for_it(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        known = await _state(coordinator, node, NodeState.ALIVE)
        states = set()
        for _ in range(3):
            await node.report()
            time.sleep(1.2)  # noqa: ASYNC251 - longer than a node may be silent before it is lost
            for _ in range(10):
                await asyncio.sleep(0.01)
                states.add(known.state)
        assert states == {NodeState.ALIVE}
        await _state(coordinator, node, NodeState.LOST)  # and silence is noticed as ever
