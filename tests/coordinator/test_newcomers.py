"""A model that is new to `auto` is compared with the usual one before it answers anybody."""

import asyncio
import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.core.events import AnswersJudged
from mesh.core.outcomes import Source, label
from mesh.core.trial import SHADOW_ANSWERS, Standing
from mesh.settings import AuditSettings, Settings
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.ledger.played_requests import settled, until
from tests.coordinator.scripted_node import ScriptedNode, model

MINE = replace(model("mine"), parameters=500_000_000, domains=("networking",))
LARGE = replace(model("large", digest="c"), parameters=70_000_000_000)
PROMPT = "Which port does SSH use?"


@pytest.fixture
def settings() -> Settings:
    """Nothing is audited by chance: what is asked again, a newcomer's trial asks."""
    return patient_settings().model_copy(update={"audits": AuditSettings(share=0.0)})


@pytest.fixture
def always(coordinator: Coordinator) -> Coordinator:
    coordinator.loop.fleet.requests.choosing.newcomers.share = 1.0
    return coordinator


async def ask(client: MeshClient, node: ScriptedNode, text: str, number: int) -> Any:
    asking = asyncio.create_task(
        client.ask(PROMPT, domain="networking", request_id=f"r-{number}", explain=True)
    )
    start = await node.told_to_start()
    await node.deliver().answer(start.attempt_id, text)
    return await asking


def labels(coordinator: Coordinator) -> list[dict[str, Any]]:
    with sqlite3.connect(coordinator.ledger.folder / "ledger.db") as store:
        store.row_factory = sqlite3.Row
        return [dict(row) for row in store.execute("SELECT * FROM labels")]


def standing(coordinator: Coordinator) -> Standing | None:
    return coordinator.loop.fleet.requests.choosing.newcomers.standing(MINE.model_id)


@pytest.mark.parametrize(("said", "score"), [("22", 1.0), ("23", 0.0)])
async def test_a_shadow_answers_a_copy_that_nobody_sees_and_is_labelled_by_it(
    client: MeshClient, always: Coordinator, new_node: NewNode, said: str, score: float
) -> None:
    async with new_node(MINE) as desk, new_node(LARGE) as shelf:
        await ask(client, shelf, "22", 0)  # from now on it is known to be new
        answer = await ask(client, shelf, "22.", 1)
        assert answer.text == "22."
        start = await desk.told_to_start()
        assert start.request.messages[0].parts[0].text == PROMPT
        assert start.request.origin.initiator == inference.Origin.INITIATOR_EVENT
        await desk.deliver().answer(start.attempt_id, said)
        outcomes = always.loop.fleet.requests.choosing.outcomes
        await until(lambda: outcomes.labels(MINE.model_id) > 0)
        shown = {each.names[0]: each.standing for each in await client.models()}
        assert shown == {"mine": "shadow", "large": ""}
    await settled(always.ledger)
    [row] = labels(always)
    assert (row["kind"], row["request_id"], row["score"]) == ("shadow", "r-1", score)
    assert (row["model_id"], row["label"]) == (MINE.model_id, LARGE.model_id)
    rungs = {each.model_name: each.standing for each in answer.receipt.ladder}
    assert rungs == {"large": "", "mine": "shadow"}


async def test_a_comparison_that_tells_nothing_is_counted_and_no_label(
    client: MeshClient, always: Coordinator, new_node: NewNode
) -> None:
    async with new_node(MINE) as desk, new_node(LARGE) as shelf:
        await ask(client, shelf, "22", 0)
        await ask(client, shelf, "22", 1)
        start = await desk.told_to_start()
        await desk.deliver().answer(start.attempt_id, "That would be hard to say in a few words.")
        record = always.loop.fleet.requests.choosing.newcomers._trial(MINE.model_id).record
        await until(lambda: record.untold == 1)
    await settled(always.ledger)
    assert labels(always) == []


async def test_a_canary_answers_itself_and_the_usual_one_is_asked_beside_it(
    client: MeshClient, always: Coordinator, new_node: NewNode
) -> None:
    async with new_node(MINE) as desk, new_node(LARGE) as shelf:
        always.loop.fleet.requests.choosing.newcomers.share = 1e-9  # met, and not drawn
        await ask(client, shelf, "22", 1)
        good = label(Source.TEST, MINE.model_id, "networking", guess=0.5, score=1.0)
        always.loop.post(AnswersJudged((good,) * SHADOW_ANSWERS))
        assert standing(always) is Standing.CANARY
        always.loop.fleet.requests.choosing.newcomers.share = 1.0
        answer = await ask(client, desk, "22", 2)
        assert answer.receipt.why.startswith("mine is new: a canary")
        start = await shelf.told_to_start()
        assert start.request.messages[0].parts[0].text == PROMPT
        await shelf.deliver().answer(start.attempt_id, "22.")
        counted = always.loop.fleet.requests.choosing.newcomers._trial(MINE.model_id).record
        await until(lambda: counted.answers == SHADOW_ANSWERS + 1)
    await settled(always.ledger)
    [row] = labels(always)
    assert (row["kind"], row["request_id"], row["score"]) == ("audit", "r-2", 1.0)
    assert row["model_id"] == MINE.model_id


async def test_where_no_slot_is_free_a_shadow_is_not_asked(
    client: MeshClient, always: Coordinator, new_node: NewNode
) -> None:
    async with new_node(MINE) as desk, new_node(LARGE) as shelf:
        busy = asyncio.create_task(client.ask("hi", model="mine", request_id="r-0"))
        start = await desk.told_to_start()
        await ask(client, shelf, "22", 1)
        await ask(client, shelf, "22", 2)
        await desk.deliver().answer(start.attempt_id, "x")
        await busy
    await settled(always.ledger)
    assert labels(always) == []
