"""A share of answers is asked again of a better model, where nobody is kept waiting by it."""

import asyncio
import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from coordinator.auditing import AUDITOR
from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.core.foresight import Foreseen
from mesh.core.receipt import Basis, RungAccount
from mesh.core.types import Model, ModelId, Tier
from mesh.settings import AuditSettings, Settings
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.ledger.played_requests import settled, until
from tests.coordinator.scripted_node import ScriptedNode, model

SMALL = replace(model("small"), parameters=500_000_000)
LARGE = replace(model("large", digest="c"), parameters=70_000_000_000)
PROMPT = "Which port does SSH use?"


@pytest.fixture
def settings() -> Settings:
    return patient_settings().model_copy(update={"audits": AuditSettings(share=1.0)})


async def answered(client: MeshClient, node: ScriptedNode, text: str) -> None:
    asking = asyncio.create_task(client.ask(PROMPT, policy="frugal", request_id="r-1"))
    start = await node.told_to_start()
    await node.deliver().answer(start.attempt_id, text)
    await asking


def rows(coordinator: Coordinator, query: str) -> list[dict[str, Any]]:
    with sqlite3.connect(coordinator.ledger.folder / "ledger.db") as store:
        store.row_factory = sqlite3.Row
        return [dict(row) for row in store.execute(query)]


def labels(coordinator: Coordinator, of: Model) -> float:
    return coordinator.loop.fleet.requests.choosing.outcomes.labels(of.model_id)


@pytest.mark.parametrize(("said", "score"), [("22", 1.0), ("23", 0.0)])
async def test_a_better_model_is_asked_again_and_the_first_one_labelled(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode, said: str, score: float
) -> None:
    async with new_node(SMALL) as desk, new_node(LARGE) as shelf:
        await answered(client, desk, "22.")
        start = await shelf.told_to_start()
        assert start.request.messages[0].parts[0].text == PROMPT
        assert start.request.origin.initiator == inference.Origin.INITIATOR_EVENT
        await shelf.deliver().answer(start.attempt_id, said)
        await until(lambda: labels(coordinator, SMALL) > 0)
    await settled(coordinator.ledger)
    [label] = rows(coordinator, "SELECT * FROM labels")
    assert (label["request_id"], label["kind"], label["score"]) == ("r-1", "audit", score)
    assert labels(coordinator, LARGE) == 0.0, "nobody has judged the better one"
    [audit] = rows(coordinator, "SELECT * FROM requests WHERE principal = 'audit'")
    assert (audit["initiator"], audit["tags"], audit["state"]) == ("event", "audit", "answered")


async def test_an_audit_ends_when_somebody_waits(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(SMALL) as desk, new_node(LARGE) as shelf:
        await answered(client, desk, "22")
        await shelf.told_to_start()
        asking = asyncio.create_task(client.ask(PROMPT, model="large", request_id="r-2"))
        assert (await shelf.command()).WhichOneof("message") == "cancel"
        start = await shelf.told_to_start()
        await shelf.deliver().answer(start.attempt_id, "22")
        assert (await asking).text == "22"
    await settled(coordinator.ledger)
    states = rows(coordinator, "SELECT principal, state FROM requests WHERE principal = 'audit'")
    assert [row["state"] for row in states] == ["cancelled"]
    assert rows(coordinator, "SELECT * FROM labels") == []


async def test_where_no_slot_is_free_nothing_is_audited(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(SMALL) as desk, new_node(LARGE) as shelf:
        busy = asyncio.create_task(client.ask("hi", model="large", request_id="r-0"))
        start = await shelf.told_to_start()
        await answered(client, desk, "22")
        await shelf.deliver().answer(start.attempt_id, "x")
        await busy
    await settled(coordinator.ledger)
    assert rows(coordinator, "SELECT * FROM requests WHERE principal = 'audit'") == []


async def test_the_best_models_answers_are_not_audited(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(LARGE) as shelf:
        await answered(client, shelf, "22")
    await settled(coordinator.ledger)
    assert rows(coordinator, "SELECT * FROM requests WHERE principal = 'audit'") == []
    assert AUDITOR.identity is None


@pytest.mark.parametrize(
    ("tier", "microusd_a_day", "removed_by", "asked"),
    [
        (Tier.CLOUD, 900, "", True),
        (Tier.CLOUD, 899, "", False),
        (Tier.CLOUD, 0, "", False),
        (Tier.MESH, 900, "", False),
        (Tier.CLOUD, 900, "rule 1: teams", False),
    ],
)
async def test_the_cloud_is_asked_only_where_tier_rules_and_budget_allow(
    coordinator: Coordinator, tier: Tier, microusd_a_day: int, removed_by: str, asked: bool
) -> None:
    auditing = coordinator._auditing
    auditing.settings = AuditSettings(cloud_microusd_a_day=microusd_a_day)
    small = RungAccount(ModelId("s"), "small", basis=Basis(guess=0.6, rank=0.6))
    priced = Basis(guess=0.9, rank=0.9, cost_microusd=900.0, in_cloud=True)
    big = RungAccount(ModelId("b"), "big", removed_by=removed_by, basis=priced)
    foreseen = Foreseen((small, big), (), "", "", "", tier)
    assert (auditing._better(foreseen, small) is big) == asked
    mesh = RungAccount(ModelId("m"), "large", basis=Basis(guess=0.7, rank=0.7, cost_microusd=5.0))
    assert auditing._better(replace(foreseen, ladder=(small, big, mesh)), small) is mesh
