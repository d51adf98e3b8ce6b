"""Nodes that lie, fight, crowd in or err: the effect is bounded, and no healthy node is hurt."""

import asyncio
import json
import logging
import math
import random
import time
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import httpx2
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.core.types import NodeId, NodeState
from mesh.errors import MeshError
from mesh.home import Home
from mesh.settings import Settings
from mesh.v1 import fleet_pb2 as fleet
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.scripted_node import WITHIN_S, ScriptedNode, model
from tests.whole.machine import Machine

QWEN, LLAMA = model("qwen"), model("llama", digest="c")

_FLOATS = {FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE}
_LARGEST = {
    FieldDescriptor.TYPE_UINT32: 2**32 - 1,
    FieldDescriptor.TYPE_UINT64: 2**64 - 1,
    FieldDescriptor.TYPE_FIXED64: 2**64 - 1,
}


@pytest.fixture
def settings() -> Settings:
    return patient_settings()


def make_absurd(message: Message, number: float, *, keep: frozenset[str]) -> None:
    """Write ``number`` into every float of it, and the largest there is into every integer."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                make_absurd(part, number, keep=keep)
    for each in message.DESCRIPTOR.fields:
        if each.is_repeated or each.name in keep:
            continue
        if each.type in _FLOATS:
            setattr(message, each.name, number)
        elif each.type in _LARGEST:
            setattr(message, each.name, _LARGEST[each.type])


async def _answers(client: MeshClient, node: ScriptedNode, name: str) -> str:
    asking = asyncio.create_task(client.ask("hi", model=name))
    start = await node.told_to_start()
    await node.deliver().answer(start.attempt_id, "well")
    return (await asking).text


# 100 nodes are back within 10 s of a coordinator's restart; here they say hello in its own process.
ATTACHED_WITHIN_S = 10.0
KEPT = frozenset({"ordinal", "epoch", "protocol_min", "protocol_max", "sequence"})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, -1.0, 3e38, 1e-45])
async def test_absurd_numbers_break_neither_answers_nor_views(
    number: float,
    client: MeshClient,
    coordinator: Coordinator,
    new_node: NewNode,
    tmp_path: Path,
) -> None:
    async with new_node(LLAMA) as healthy:
        liar = new_node(QWEN)
        hello = liar.hello()
        make_absurd(hello, number, keep=KEPT)
        liar.attach = liar._stub.Attach()
        await liar.attach.write(fleet.NodeMessage(hello=hello))
        liar.epoch = (await liar.command()).welcome.epoch
        report = liar.hello().report
        report.replicas[0].prefixes.add()
        make_absurd(report, number, keep=KEPT)
        report.epoch, report.sequence = liar.epoch, 2**63
        await liar.attach.write(fleet.NodeMessage(report=report))
        known = coordinator.loop.fleet.directory.nodes[NodeId(liar.node_id)]
        async with asyncio.timeout(WITHIN_S):
            while known.sequence != 2**63:  # noqa: ASYNC110 - the fleet has no events to await
                await asyncio.sleep(0.005)

        assert await _answers(client, healthy, "llama") == "well"
        machine = Machine(Home(tmp_path / "home"), "office", {})
        status = await machine.run("status", "--json")
        strict = json.loads(status.out, parse_constant=pytest.fail)  # NaN is no JSON
        assert {node["node_id"] for node in strict["nodes"]} == {healthy.node_id, liar.node_id}
        async with httpx2.AsyncClient() as browser:
            for path in ("", "metrics", f"nodes/{liar.node_id[:16]}"):
                page = await browser.get(f"http://localhost:{coordinator.ports.http}/{path}")
                assert page.status_code == 200, path
        await liar.__aexit__(None, None, None)


async def test_two_machines_with_one_identity_do_not_take_turns_for_ever(
    client: MeshClient,
    coordinator: Coordinator,
    new_node: NewNode,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with new_node(LLAMA) as healthy, new_node(QWEN) as node:
        welcomed, refused = 0, list[object]()
        for _ in range(30):
            attach = node._stub.Attach()
            await attach.write(fleet.NodeMessage(hello=node.hello()))
            try:
                async with asyncio.timeout(WITHIN_S):
                    await attach.read()
                welcomed += 1
            except grpc.aio.AioRpcError as refusal:
                refused.append((refusal.code(), refusal.details()))
        assert welcomed == 8
        told = "another machine with this identity is attached, and answers"
        assert refused == [(grpc.StatusCode.ABORTED, told)] * 22
        known = coordinator.loop.fleet.directory.nodes[NodeId(node.node_id)]
        assert (known.state, known.contested) == (NodeState.ALIVE, True)
        lines = [each.message for each in caplog.records if "share one identity" in each.message]
        assert len(lines) == 1
        assert f"two machines take turns as {node.name}" in lines[0]
        assert await _answers(client, healthy, "llama") == "well"


async def test_answers_to_pings_that_nobody_sent_shorten_nothing(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        for guessed in range(500):
            await node.attach.write(fleet.NodeMessage(pong=fleet.Pong(nonce=guessed)))
        await node.report()
        known = coordinator.loop.fleet.directory.nodes[NodeId(node.node_id)]
        async with asyncio.timeout(WITHIN_S):
            while not known.sequence:  # noqa: ASYNC110 - the fleet has no events to await
                await asyncio.sleep(0.005)
        assert known.rtt_s == 0.0


async def test_a_node_that_answers_no_pings_is_not_the_nearest(
    coordinator: Coordinator, new_node: NewNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with new_node(QWEN) as node:
        began_s = time.monotonic()
        for later_s in (0.0, 5.0, 10.0):
            monkeypatch.setattr(
                "coordinator.services.fleet.time.monotonic", lambda at=began_s + later_s: at
            )
            coordinator._fleet_service.ping_all()
        monkeypatch.undo()
        assert coordinator.loop.fleet.directory.nodes[NodeId(node.node_id)].rtt_s >= 10.0


async def _attach(node: ScriptedNode, stack: AsyncExitStack) -> None:
    """A handshake among a hundred may take longer than a dial waits: try again, as agents do."""
    for doublings in range(8):
        try:
            await stack.enter_async_context(node)
            return
        except grpc.aio.AioRpcError as failure:
            if failure.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(min(2.0, 0.2 * 2**doublings) * random.uniform(0.5, 1.0))
    raise AssertionError(f"{node.name} found no way in")


@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.long)])
async def test_many_nodes_that_attach_at_once_are_all_routable_soon(
    count: int, coordinator: Coordinator, new_node: NewNode
) -> None:
    nodes = [new_node(QWEN) for _ in range(count)]
    async with AsyncExitStack() as stack:
        began_s = time.monotonic()
        await asyncio.gather(*(_attach(node, stack) for node in nodes))
        took_s = time.monotonic() - began_s
        assert len(coordinator.loop.fleet.directory.holders(QWEN.model_id).free) == count
        assert took_s < ATTACHED_WITHIN_S


async def test_a_node_that_says_megabytes_at_once_is_cut_off(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        report = fleet.NodeReport(epoch=node.epoch, sequence=9)
        report.replicas.add(reason="x" * 3_000_000)
        await node.attach.write(fleet.NodeMessage(report=report))
        assert await node.ended() is grpc.StatusCode.INVALID_ARGUMENT
        assert coordinator.loop.fleet.directory.nodes[NodeId(node.node_id)].state is NodeState.LOST


async def test_whoever_says_much_is_read_later_and_the_others_are_not(
    coordinator: Coordinator, client: MeshClient, new_node: NewNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every word costs more than may be, so the second one waits for longer than this test."""
    async with new_node(QWEN) as talker, new_node(LLAMA) as healthy:
        monkeypatch.setattr("coordinator.services.fleet.PAUSED_FROM_S", 0.0)
        monkeypatch.setattr("coordinator.services.fleet.PAUSE_SHARE", math.inf)
        monkeypatch.setattr("coordinator.services.fleet.PAUSE_S_MAX", 60.0)
        known = coordinator.loop.fleet.directory.nodes[NodeId(talker.node_id)]
        for _ in range(3):
            await talker.report()
        async with asyncio.timeout(WITHIN_S):
            while not known.sequence:  # noqa: ASYNC110 - the fleet has no events to await
                await asyncio.sleep(0.005)
        assert await _answers(client, healthy, "llama") == "well"
        assert known.sequence == 1, "the others wait in its own stream"


async def test_a_node_that_gives_more_than_was_asked_for_has_failed(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(client.ask("hi", max_tokens=5))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        await delivery.delta(token_offset=0, ids=[7] * 3000, text="x" * 3000)
        with pytest.raises(MeshError, match="3000 tokens where 5 were asked for"):
            await asking


async def test_what_no_answer_has_is_not_booked(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(client.ask("hi"))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        await delivery.tokens(0, "well")
        await delivery.finish(2**32 - 1)
        answer = await asking
        assert answer.receipt.attempts[-1].usage.completion_tokens < 300
        assert answer.usage.completion_tokens < 300
