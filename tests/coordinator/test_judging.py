"""Whoever asked says how good the answer was: it is kept, and the ladder learns from it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.core.types import AUTO
from mesh.dial import mesh_channel
from mesh.errors import InvalidRequest
from mesh.home import Home
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.settings import Settings
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.ledger.played_requests import settled
from tests.coordinator.scripted_node import ScriptedNode, model

QWEN = model("qwen")
TASK = inference.Origin(task_id="fix-42")


@pytest.fixture
def settings() -> Settings:
    return patient_settings()


@pytest.fixture
async def operator(
    mesh_address: str, enrolled: Callable[[PeerRole], MachineIdentity]
) -> AsyncIterator[MeshClient]:
    async with mesh_channel(mesh_address, enrolled(PeerRole.OPERATOR)) as channel:
        yield MeshClient(channel)


@pytest.fixture
async def stranger(
    mesh_address: str, enrolled: Callable[[PeerRole], MachineIdentity]
) -> AsyncIterator[MeshClient]:
    async with mesh_channel(mesh_address, enrolled(PeerRole.CLIENT)) as channel:
        yield MeshClient(channel)


async def answered(client: MeshClient, node: ScriptedNode, request_id: str) -> None:
    request = inference.GenerateRequest(
        request_id=request_id,
        model=AUTO,
        messages=[
            inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="a secret")])
        ],
        origin=TASK,
    )

    async def ask() -> None:
        async for _ in client.answer(request):
            pass

    asking = asyncio.create_task(ask())
    start = await node.told_to_start()
    await node.deliver().answer(start.attempt_id, "a", "b")
    await asking


def labels(coordinator: Coordinator) -> float:
    """How many labels of the model count."""
    return coordinator.loop.fleet.requests.choosing.outcomes.labels(QWEN.model_id)


async def kept(coordinator: Coordinator, query: str) -> list[dict[str, Any]]:
    """Read the store once all is in it."""
    await settled(coordinator.ledger)
    with sqlite3.connect(coordinator.ledger.folder / "ledger.db") as store:
        store.row_factory = sqlite3.Row
        return [dict(row) for row in store.execute(query)]


async def test_feedback_is_kept_and_learned_from(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        await answered(client, node, "r-1")
    await client.judge("r-1", 0.25, label="off by one", source="test")
    assert labels(coordinator) == pytest.approx(1.0)
    [row] = await kept(coordinator, "SELECT * FROM labels")
    assert (row["request_id"], row["score"], row["source"]) == ("r-1", 0.25, "test")
    assert (row["label"], row["kind"], row["model_id"]) == (
        *("off by one", "feedback"),
        QWEN.model_id,
    )
    assert 0 < row["guess"] < 1
    assert "secret" not in str(await kept(coordinator, "SELECT * FROM requests"))


async def test_the_last_word_counts_once(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        await answered(client, node, "r-1")
    for score in (0.0, 1.0, 0.0, 1.0):
        await client.judge("chatcmpl-r-1", score)
    assert labels(coordinator) == pytest.approx(1.0)
    rows = await kept(coordinator, "SELECT score FROM labels")
    assert [row["score"] for row in rows] == [1.0]
    outcomes = coordinator.loop.fleet.requests.choosing.outcomes
    assert outcomes.p_ok(QWEN.model_id, "", 0.5) >= 0.5, "what was taken back teaches nothing"


async def test_only_who_asked_and_operators_may_judge(
    client: MeshClient, operator: MeshClient, stranger: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        await answered(client, node, "r-1")
    with pytest.raises(InvalidRequest, match="no request of yours that has ended is called r-1"):
        await stranger.judge("r-1", 0.0)
    await operator.judge("r-1", 0.0)
    await client.judge("r-1", 1.0)


async def test_a_request_that_ended_long_ago_is_found_in_the_store(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        await answered(client, node, "r-1")
    await client.judge("r-1", 0.0)
    await kept(coordinator, "SELECT 1")
    coordinator.ledger._ended.clear()
    coordinator._judging._told.clear()
    await client.judge("r-1", 1.0)
    assert labels(coordinator) == pytest.approx(1.0), "the second word replaced the first"
    [row] = await kept(coordinator, "SELECT score FROM labels")
    assert row["score"] == 1.0


async def test_what_was_learned_is_known_after_a_restart(
    client: MeshClient,
    coordinator: Coordinator,
    new_node: NewNode,
    tmp_path: Path,
    settings: Settings,
) -> None:
    async with new_node(QWEN) as node:
        await answered(client, node, "r-1")
    await client.judge("r-1", 0.0)
    await kept(coordinator, "SELECT 1")
    again = Coordinator(Home(tmp_path / "home"), settings)
    await again._judging.relearn()
    assert labels(again) == pytest.approx(1.0)


async def test_a_task_has_its_outcome(
    client: MeshClient, stranger: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        await answered(client, node, "r-1")
    told = inference.Outcome(task_id="fix-42", outcome="merged", value=3.0)
    with pytest.raises(InvalidRequest, match="no request of yours belongs to task fix-42"):
        await stranger.outcome(told)
    await client.outcome(told)
    told.value = 4.0
    await client.outcome(told)
    rows = await kept(coordinator, "SELECT task, outcome, value FROM outcomes")
    assert [tuple(row.values()) for row in rows] == [("fix-42", "merged", 4.0)]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("score", 1.5, "score is out of range"),
        ("score", float("nan"), "score is out of range"),
        ("request_id", "", "request_id"),
        ("label", "x" * 65, "label"),
        ("source", "oracle", "source 'oracle' is unknown"),
    ],
)
async def test_feedback_that_makes_no_sense_is_refused(
    client: MeshClient, field: str, value: object, words: str
) -> None:
    given = {"request_id": "r-1", "score": 1.0, field: value}
    with pytest.raises(InvalidRequest, match=words):
        await client.feedback(inference.Feedback(**given))  # type: ignore[arg-type]
