"""Operators read the ledger through a real coordinator, whose node answers as the test says."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest

from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.dial import mesh_channel
from mesh.errors import InvalidRequest, ModelNotFound, NoCapableNode, Overloaded
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.rpc import from_rpc
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations
from mesh.v1.operations_pb2_grpc import OperationsStub
from tests.coordinator.conftest import NewNode
from tests.coordinator.ledger.played_requests import bytes_of, rows, settled, states, until
from tests.coordinator.scripted_node import ScriptedNode, model

PROMPT = "the prompt that no file may hold"
TOKENS = ("an answer ", "that no file ", "may hold")


@pytest.fixture
async def operator(
    mesh_address: str, enrolled: Callable[[PeerRole], MachineIdentity]
) -> AsyncIterator[OperationsStub]:
    async with mesh_channel(mesh_address, enrolled(PeerRole.OPERATOR)) as channel:
        yield OperationsStub(channel)


@pytest.fixture
async def node(new_node: NewNode) -> AsyncIterator[ScriptedNode]:
    async with new_node(model("qwen")) as attached:
        yield attached


@pytest.fixture
def folder(coordinator: Coordinator) -> Path:
    return coordinator.ledger.folder


async def ask(client: MeshClient, node: ScriptedNode, request_id: str = "") -> None:
    asking = asyncio.create_task(client.ask(PROMPT, request_id=request_id, session="s"))
    start = await node.told_to_start()
    await node.deliver().answer(start.attempt_id, *TOKENS)
    await asking


async def listed(operator: OperationsStub, **asked: object) -> list[operations.LedgerRequest]:
    request = operations.LedgerRequestsRequest(**asked)  # type: ignore[arg-type]
    return list((await operator.ListLedgerRequests(request)).requests)


async def summary(operator: OperationsStub, since_s: float = 0.0) -> operations.LedgerSummary:
    found: operations.LedgerSummary = await operator.GetLedgerSummary(
        operations.LedgerSummaryRequest(since_s=since_s)
    )
    return found


async def test_an_answered_request_can_be_read_with_who_answered_and_what_it_took(
    coordinator: Coordinator, client: MeshClient, node: ScriptedNode, operator: OperationsStub
) -> None:
    await ask(client, node, "r1")
    await settled(coordinator.ledger)
    [row] = await listed(operator)
    assert (row.request_id, row.state, row.failure) == ("r1", "answered", "")
    assert (row.asked_model, row.served_model, row.place) == ("auto", "qwen", node.name)
    assert (row.tier, row.attempts, row.cost_microusd) == (inference.TIER_MESH, 1, 0)
    assert (row.usage.prompt_tokens, row.usage.completion_tokens) == (3, 3)
    assert not row.usage.estimated
    assert row.total_s > 0
    assert row.principal
    told = await summary(operator)
    assert (told.requests, told.answered, told.trouble) == (1, 1, "")
    assert (told.prompt_tokens, told.completion_tokens, told.rows_waiting) == (3, 3, 0)
    assert [(each.name, each.requests) for each in told.places] == [(node.name, 1)]
    assert [(each.name, each.requests) for each in told.models] == [("qwen", 1)]


async def test_no_word_of_a_prompt_or_an_answer_is_in_any_file(
    coordinator: Coordinator, client: MeshClient, node: ScriptedNode, folder: Path
) -> None:
    await ask(client, node, "r-in-the-files")
    await settled(coordinator.ledger)
    kept = bytes_of(folder)
    assert kept.count(b"r-in-the-files") >= 2, "journal and store are both looked at"
    for words in (PROMPT, *TOKENS):
        assert words.strip().encode() not in kept


async def test_requests_are_listed_the_newest_first_by_state_and_up_to_a_limit(
    coordinator: Coordinator, client: MeshClient, node: ScriptedNode, operator: OperationsStub
) -> None:
    for number in range(4):
        await ask(client, node, f"r{number}")
    with pytest.raises(ModelNotFound):
        await client.ask(PROMPT, model="nobody", request_id="bad")
    await settled(coordinator.ledger)
    ids = [row.request_id for row in await listed(operator)]
    assert ids == ["bad", "r3", "r2", "r1", "r0"]
    assert [row.request_id for row in await listed(operator, limit=2)] == ["bad", "r3"]
    [failed] = await listed(operator, state="failed")
    assert (failed.request_id, failed.failure) == ("bad", "model_not_found")
    arrived_s = (await listed(operator, state="answered"))[1].arrived_at_s
    assert len(await listed(operator, since_s=arrived_s, state="answered")) == 2
    told = await summary(operator)
    assert [(each.name, each.requests) for each in told.failures] == [("model_not_found", 1)]


async def test_a_client_that_leaves_has_a_cancelled_row_with_what_it_got(
    coordinator: Coordinator, client: MeshClient, node: ScriptedNode, folder: Path
) -> None:
    async def listen_a_while() -> None:
        async with client.generate(PROMPT) as answer:
            async for _ in answer:
                return

    asking = asyncio.create_task(listen_a_while())
    start = await node.told_to_start()
    delivery = await node.deliver().open(start.attempt_id)
    await delivery.start()
    await delivery.tokens(0, TOKENS[0])
    await asking
    await delivery.ended()
    await settled(coordinator.ledger)
    [row] = rows(folder)
    assert (row["state"], row["attempts"], row["usage_source"]) == ("cancelled", 1, "coordinator")
    assert (row["prompt_tokens"], row["completion_tokens"]) == (3, 1)


async def test_answers_go_on_while_the_store_is_locked_and_the_operator_is_told(
    coordinator: Coordinator,
    client: MeshClient,
    node: ScriptedNode,
    operator: OperationsStub,
    folder: Path,
) -> None:
    await ask(client, node)
    await settled(coordinator.ledger)
    lock = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    for _ in range(3):
        await ask(client, node)
    await until(lambda: coordinator.ledger.trouble)
    told = await summary(operator)
    assert told.trouble == "another process holds a lock on it"
    assert told.rows_waiting == 6
    lock.close()
    await settled(coordinator.ledger)
    assert states(folder) == {"answered": 4}
    told = await summary(operator)
    assert (told.answered, told.trouble, told.rows_waiting) == (4, "", 0)


async def test_where_the_store_cannot_be_read_today_is_told_from_memory(
    coordinator: Coordinator,
    client: MeshClient,
    node: ScriptedNode,
    operator: OperationsStub,
    folder: Path,
) -> None:
    await ask(client, node)
    await settled(coordinator.ledger)
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (folder / name).unlink(missing_ok=True)  # its writer keeps them, and mends nothing here
    (folder / "ledger.db").write_bytes(b"no database at all" * 1000)
    await ask(client, node)
    told = await summary(operator)
    assert (told.requests, told.answered) == (2, 2)
    for asking in (listed(operator), summary(operator, since_s=1.0)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asking
        failure = from_rpc(refused.value)
        assert isinstance(failure, Overloaded)
        assert "cannot be read now" in failure.message
        assert PROMPT not in failure.message


@pytest.mark.parametrize("since_s", [-1.0, float("nan"), float("inf"), 1e12])
async def test_a_moment_that_is_none_is_refused(operator: OperationsStub, since_s: float) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await summary(operator, since_s)
    assert isinstance(from_rpc(refused.value), InvalidRequest)


async def test_a_state_that_nobody_knows_is_refused(operator: OperationsStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await listed(operator, state="open")
    failure = from_rpc(refused.value)
    assert isinstance(failure, InvalidRequest)
    assert failure.hint == "use answered, failed, cancelled, lost"


async def test_a_request_that_no_machine_can_answer_has_its_row(
    coordinator: Coordinator, client: MeshClient, folder: Path
) -> None:
    with pytest.raises(NoCapableNode):
        await client.ask(PROMPT)
    await settled(coordinator.ledger)
    [row] = rows(folder)
    assert (row["state"], row["failure"], row["attempts"]) == ("failed", "no_capable_node", 0)
