"""Members and strangers that mean harm, or are broken: what they cost is bounded, and theirs."""

import asyncio
import gc
import os
from pathlib import Path
from typing import Any

import grpc
import pytest

from coordinator import desk
from coordinator.clients import ClientStream
from coordinator.coordinator import Coordinator
from coordinator.services import fleet as fleet_service
from mesh.cli.operations import calling
from mesh.client import MeshClient
from mesh.core.node import Node
from mesh.core.types import Model, NodeId, NodeState
from mesh.errors import AnswerLost, NoCapableNode, NodeLost, Overloaded
from mesh.home import Home
from mesh.identity.tls import joining_credentials, name_override
from mesh.settings import Settings
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import fleet_pb2_grpc as fleet_grpc
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.scripted_node import WITHIN_S, ScriptedNode, model
from tests.whole.machine import Machine

QWEN = model("qwen")
LARGE = "x" * 20_000_000  # far more than gRPC buffers for a peer that does not read


@pytest.fixture
def settings() -> Settings:
    return patient_settings()


def _known(coordinator: Coordinator, node: ScriptedNode) -> Node:
    return coordinator.loop.fleet.directory.nodes[NodeId(node.node_id)]


async def _offer_room(node: ScriptedNode) -> None:
    """Let the node claim a context in which a large prompt fits."""
    offers = node.hello().offers
    for offer in offers:
        offer.context_tokens = 100_000_000
    await node.attach.write(fleet.NodeMessage(inventory=fleet.InventoryChanged(offers=offers)))
    await node.report()


async def test_an_operators_drain_outlives_a_new_attach(
    coordinator: Coordinator, new_node: NewNode, tmp_path: Path
) -> None:
    async with new_node(QWEN) as node, calling(Home(tmp_path / "home")) as stub:
        await stub.DrainNode(operations.DrainNodeRequest(node_id=node.node_id))
        await node.__aenter__()
        assert _known(coordinator, node).state is NodeState.DRAINING
        await stub.DrainNode(operations.DrainNodeRequest(node_id=node.node_id, resume=True))
        assert _known(coordinator, node).state is NodeState.ALIVE


HALF = inference.TokenLogprobs(id=7, logprob=-0.5, text=b"a")
LOGPROBS_THAT_ARE_NONE = {
    "unasked": (None, [HALF]),
    "missing": (0, []),
    "of another token": (0, [inference.TokenLogprobs(id=8)]),
    "too many": (0, [HALF, HALF]),
    "more likely than certain": (0, [inference.TokenLogprobs(id=7, logprob=0.1)]),
    "no number": (0, [inference.TokenLogprobs(id=7, logprob=float("nan"))]),
    "infinite": (0, [inference.TokenLogprobs(id=7, logprob=float("-inf"))]),
    "endless": (0, [inference.TokenLogprobs(id=7, text=b"x" * 2000)]),
    "more alternatives": (
        1,
        [inference.TokenLogprobs(id=7, alternatives=[inference.TokenLogprobs.Alternative()] * 2)],
    ),
    "an alternative that is none": (
        1,
        [
            inference.TokenLogprobs(
                id=7, alternatives=[inference.TokenLogprobs.Alternative(logprob=float("inf"))]
            )
        ],
    ),
}


@pytest.mark.parametrize("lie", LOGPROBS_THAT_ARE_NONE)
async def test_log_probabilities_that_are_none_end_the_attempt_and_never_reach_a_client(
    client: MeshClient, new_node: NewNode, lie: str
) -> None:
    asked, logprobs = LOGPROBS_THAT_ARE_NONE[lie]
    async with new_node(QWEN) as node, client.generate("hi", logprobs=asked) as answer:
        pieces = aiter(answer)
        asking = asyncio.ensure_future(anext(pieces))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        await delivery.delta(ids=[7], text="a", logprobs=logprobs)
        with pytest.raises(NodeLost, match="failed: a node"):
            await asking
    assert answer.logprobs == []
    [attempt] = answer.receipt.attempts
    assert attempt.outcome == "node_lost"


@pytest.mark.parametrize(
    ("batches", "arguments"),
    [((1,), "[]"), ((129,), "{}"), ((128,) * 9, "{}")],
    ids=["no-call", "too-many-at-once", "too-many-in-all"],
)
async def test_calls_that_are_none_or_too_many_end_the_attempt(
    client: MeshClient, new_node: NewNode, batches: tuple[int, ...], arguments: str
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(client.ask("hi"))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        for batch, count in enumerate(batches):
            ids = (f"c{batch}-{number}" for number in range(count))
            await delivery.delta(
                tool_calls=[
                    inference.ToolCall(id=each, name="f", arguments_json=arguments) for each in ids
                ]
            )
        with pytest.raises((NodeLost, AnswerLost), match="a node sent"):
            await asking


async def test_a_node_that_reads_no_body_holds_no_attempt_once_the_client_has_left(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        await _offer_room(node)
        asking = asyncio.create_task(client.ask(LARGE))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        async with asyncio.timeout(WITHIN_S):
            while not coordinator._relay.deliveries:  # noqa: ASYNC110 - nothing to await
                await asyncio.sleep(0.005)
        asking.cancel()
        async with asyncio.timeout(WITHIN_S):
            while coordinator._relay.deliveries:  # noqa: ASYNC110 - nothing to await
                await asyncio.sleep(0.005)
        assert coordinator.loop.fleet.requests.running == 0
        delivery.drop()


async def test_a_body_that_is_never_taken_fails_the_attempt_when_the_stream_breaks(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        await _offer_room(node)
        asking = asyncio.create_task(client.ask(LARGE))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        async with asyncio.timeout(WITHIN_S):
            while not coordinator._relay.deliveries:  # noqa: ASYNC110 - nothing to await
                await asyncio.sleep(0.005)
        delivery.drop()
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(Exception, match="broke off"):
                await asking
        assert coordinator.loop.fleet.requests.running == 0


async def test_a_node_that_reads_no_commands_is_let_go_of_when_it_attaches_anew(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    """Its first stream is stuck in a write; nothing of it may stay."""
    async with new_node(QWEN, slots=400) as node:
        await _offer_room(node)
        first = node.attach
        asking = [asyncio.create_task(client.ask("y" * 60_000)) for _ in range(300)]
        async with asyncio.timeout(WITHIN_S):
            while coordinator.loop.fleet.requests.running < 100:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        [stuck] = coordinator._relay.connections.values()
        await node.__aenter__()
        async with asyncio.timeout(WITHIN_S):
            while stuck.connection_id in coordinator._relay.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        assert not stuck._outbox
        first.cancel()
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_prompts_that_wait_are_bounded_in_bytes(
    client: MeshClient,
    coordinator: Coordinator,
    new_node: NewNode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desk, "OPEN_BYTES_MAX", 5_000)
    async with new_node(QWEN) as node:
        first = asyncio.create_task(client.ask("a" * 4_000))
        start = await node.told_to_start()
        with pytest.raises(Overloaded, match="open requests hold"):
            await client.ask("b" * 4_000)
        await node.deliver().answer(start.attempt_id, "done")
        await first
        assert coordinator._relay.open_bytes == 0


async def test_the_prompt_of_a_refused_request_is_let_go_of_at_once(
    client: MeshClient, coordinator: Coordinator
) -> None:
    """A circle of frames would keep 32 MiB of each until the garbage is collected."""
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(NoCapableNode):
            await client.ask("a" * 1_000)
        async with asyncio.timeout(WITHIN_S):  # until gRPC is done with the call
            while any(isinstance(each, ClientStream) for each in gc.get_objects()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    finally:
        gc.enable()


async def test_a_node_keeps_a_few_silent_streams_and_no_more(
    coordinator: Coordinator, new_node: NewNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_service, "HELLO_WITHIN_S", 0.2)
    async with new_node(QWEN) as node:
        calls: list[Any] = []
        for _ in range(fleet_service.READY_MAX + 1):
            call = node._stub.Deliver()
            await call.wait_for_connection()
            calls.append(call)
        async with asyncio.timeout(WITHIN_S):
            done, kept = await asyncio.wait(
                [asyncio.create_task(call.code()) for call in calls],
                return_when=asyncio.FIRST_COMPLETED,
            )
        assert [task.result() for task in done] == [grpc.StatusCode.DEADLINE_EXCEEDED]
        assert len(kept) == fleet_service.READY_MAX
        for call in calls:
            call.cancel()
        await asyncio.wait(kept)


async def test_a_stranger_cannot_send_much_to_the_join_port(coordinator: Coordinator) -> None:
    authority_pem = coordinator.household.authority.certificate_pem
    options = name_override(authority_pem)
    address = f"127.0.0.1:{coordinator.ports.join}"
    credentials = joining_credentials(authority_pem)
    async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
        large = fleet.JoinRequest(secret=bytes(100_000))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await fleet_grpc.EnrolmentStub(channel).Join(large)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("name", ["bad[/oops]", "[red]x", "a[/]"])
async def test_names_with_brackets_are_shown_as_they_are(
    name: str, coordinator: Coordinator, new_node: NewNode, tmp_path: Path
) -> None:
    """A table's markup is not for machines to write."""
    odd: Model = model(name)
    machine = Machine(Home(tmp_path / "home"), "office", {})
    async with new_node(odd):
        for command in (("status",), ("models", "list")):
            shown = await machine.run(*command)
            assert shown.code == 0, shown.err
            assert name in shown.out
    assert os.environ["DESKMESH_HOME"] == str(machine.home.root)
