"""Operators ask of any recent request, running or ended, why it went where it did."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
import typer
from typer.testing import CliRunner

from coordinator.recent import ENTRIES_MAX, KEPT_MAX
from mesh.cli import ledger
from mesh.client import MeshClient
from mesh.dial import mesh_channel
from mesh.errors import Forbidden, InvalidRequest, MeshError
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.rpc import from_rpc
from mesh.settings import Settings
from mesh.v1 import operations_pb2 as operations
from mesh.v1.operations_pb2_grpc import OperationsStub
from mesh.wire.plain import to_plain
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.scripted_node import ScriptedNode, model

QWEN, OTHER = model("qwen"), model("other", digest="c")
SAID = "what the template said of a prompt"


@pytest.fixture
def settings() -> Settings:
    return patient_settings()


@pytest.fixture
async def operator(
    mesh_address: str, enrolled: Callable[[PeerRole], MachineIdentity]
) -> AsyncIterator[OperationsStub]:
    async with mesh_channel(mesh_address, enrolled(PeerRole.OPERATOR)) as channel:
        yield OperationsStub(channel)


async def explained(
    operator: OperationsStub, request_id: str = "", principal: str = ""
) -> operations.ExplainRequestResponse:
    asked = operations.ExplainRequestRequest(request_id=request_id, principal=principal)
    try:
        found: operations.ExplainRequestResponse = await operator.ExplainRequest(asked)
    except grpc.aio.AioRpcError as failure:
        raise from_rpc(failure) from None
    return found


async def answered(client: MeshClient, nodes: list[ScriptedNode], request_id: str) -> ScriptedNode:
    """Ask; whichever node is told answers. Returns it."""
    asking = asyncio.create_task(client.ask("hi", model="qwen", request_id=request_id))
    told = [asyncio.create_task(node.told_to_start()) for node in nodes]
    done, rest = await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    node = nodes[told.index(done.pop())]
    start = next(task.result() for task in told if task.done() and not task.cancelled())
    await node.deliver().answer(start.attempt_id, "a", "b")
    await asking
    return node


async def test_a_request_that_did_not_ask_has_a_reason_for_every_machine(
    client: MeshClient, operator: OperationsStub, new_node: NewNode
) -> None:
    async with new_node(QWEN) as one, new_node(QWEN) as two, new_node(OTHER) as third:
        chosen = await answered(client, [one, two], "r-1")
        found = await explained(operator, "r-1")
    receipt = found.receipt
    assert (found.state, found.failure, receipt.request_id) == ("answered", "", "r-1")
    first, second = receipt.candidates
    assert (first.node_name, first.reason) == (chosen.name, "")
    assert {first.node_name, second.node_name} == {one.name, two.name}
    assert second.reason
    assert second.predicted_first_token_s > 0
    assert second.predicted_completion_s > second.predicted_first_token_s
    (ruled,) = receipt.ruled_out
    assert (ruled.node_name, ruled.reason) == (third.name, "has other only")
    assert [each.outcome for each in receipt.attempts] == ["answered"]


async def test_a_running_request_tells_of_its_attempts_so_far(
    client: MeshClient, operator: OperationsStub, new_node: NewNode
) -> None:
    async with new_node(QWEN) as first:
        asking = asyncio.create_task(client.ask("hi", request_id="runs"))
        delivery = await first.deliver().open((await first.told_to_start()).attempt_id)
        await delivery.start()
        async with new_node(QWEN) as second:
            await delivery.fail("internal", SAID)
            start = await second.told_to_start()
            found = await explained(operator)
            await second.deliver().answer(start.attempt_id, "b")
            await asking
        after = await explained(operator)
    assert found.state == "running"
    assert [each.outcome for each in found.receipt.attempts][1:] == ["running"]
    assert after.state == "answered"
    assert [each.outcome for each in after.receipt.attempts][1:] == ["answered"]
    assert [each.node_name for each in after.receipt.attempts] == [first.name, second.name]
    (failed,) = [each for each in found.receipt.ruled_out if each.node_name == first.name]
    assert failed.reason.startswith("failed this request")
    assert SAID not in f"{found} {after}"  # it may hold something of the prompt


async def test_a_request_is_found_by_how_its_id_begins_if_that_is_one_alone(
    client: MeshClient, operator: OperationsStub, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        for request_id in ("alpha-one", "alpha-two"):
            await answered(client, [node], request_id)
        assert (await explained(operator, "alpha-t")).receipt.request_id == "alpha-two"
        assert (await explained(operator)).receipt.request_id == "alpha-two"
        principal = (await explained(operator, "alpha-one")).principal
        assert (await explained(operator, "alpha-one", principal)).principal == principal
        with pytest.raises(InvalidRequest, match="2 recent requests begin with"):
            await explained(operator, "alpha")
        with pytest.raises(InvalidRequest, match="no recent request"):
            await explained(operator, "alpha-one", "somebody else")


async def test_an_unknown_id_is_told_how_far_back_is_remembered(
    client: MeshClient, operator: OperationsStub, new_node: NewNode
) -> None:
    with pytest.raises(InvalidRequest, match="no request yet"):
        await explained(operator)
    async with new_node(QWEN) as node:
        await answered(client, [node], "r-1")
    with pytest.raises(InvalidRequest, match="no recent request 'nope'") as told:
        await explained(operator, "nope")
    assert "the last 1, of 0 min, are remembered" in told.value.hint


async def test_a_refused_request_has_its_reasons(
    client: MeshClient, operator: OperationsStub, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        with pytest.raises(MeshError):
            await client.ask("hi", model="other", request_id="r-1")
        found = await explained(operator, "r-1")
    assert (found.state, found.failure) == ("failed", "model_not_found")
    (ruled,) = found.receipt.ruled_out
    assert (ruled.node_name, ruled.reason) == (node.name, "has qwen only")


async def test_the_command_prints_what_the_operators_api_tells(
    client: MeshClient, operator: OperationsStub, new_node: NewNode
) -> None:
    commands = typer.Typer()
    ledger.register(commands)
    async with new_node(QWEN) as one, new_node(QWEN) as two:
        chosen = await answered(client, [one, two], "r-1")
        told = (await explained(operator, "r-1")).receipt
        asked = [["ledger", "explain", "r-1", "--json"], ["ledger", "explain", "chatcmpl-r-1"]]
        plain, people = [
            await asyncio.to_thread(CliRunner().invoke, commands, each) for each in asked
        ]
    assert (plain.exit_code, people.exit_code) == (0, 0)
    printed = json.loads(plain.stdout)
    assert printed["state"] == "answered"
    assert printed["receipt"]["candidates"] == [to_plain(each) for each in told.candidates]
    words = " ".join(people.stdout.split())
    assert words.startswith("request r-1 of client:")
    assert f"tried {chosen.name}: answered" in words
    assert told.candidates[1].reason in words


async def test_only_an_operator_may_ask(channel: grpc.aio.Channel) -> None:
    with pytest.raises(Forbidden):
        await explained(OperationsStub(channel))


def test_as_many_usual_requests_as_are_kept_fit_the_bound() -> None:
    assert KEPT_MAX * (32 + 8 + 1) <= ENTRIES_MAX
