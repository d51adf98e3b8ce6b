"""What a node tells of its model's doubts reaches the core, and nobody else."""

import asyncio
from dataclasses import replace

import pytest

from mesh.client import MeshClient
from mesh.core.actions import Action, StartAttempt
from mesh.core.events import AttemptProgressed, Event
from mesh.core.fleet import Fleet
from mesh.core.signs import TokenSign, pack_signs
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.conftest import NewNode
from tests.coordinator.scripted_node import model

QWEN = model("qwen")
SIGNS = (TokenSign((0.5, 0.25, 0.125, 0.0), 1), TokenSign((0.75, 0.125, 0.0, 0.0), 0))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[AttemptProgressed]:
    """Every attempt is asked for signs; what the fleet hears of their tokens."""
    progressed = []
    handle = Fleet.handle

    def asking(fleet: Fleet, event: Event, now_s: float) -> list[Action]:
        if isinstance(event, AttemptProgressed):
            progressed.append(event)
        return [
            replace(action, signs=True) if isinstance(action, StartAttempt) else action
            for action in handle(fleet, event, now_s)
        ]

    monkeypatch.setattr(Fleet, "handle", asking)
    return progressed


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (pack_signs(SIGNS), SIGNS),
        (b"", ()),
        (pack_signs(SIGNS[:1]), ()),
        (b"\xff" * 18, ()),
        (b"\0" * 100_000, ()),
    ],
    ids=["honest", "an older node", "too few", "garbage", "much garbage"],
)
async def test_signs_reach_the_core_if_they_can_be_true_and_no_client_in_any_case(
    client: MeshClient,
    new_node: NewNode,
    heard: list[AttemptProgressed],
    sent: bytes,
    told: tuple[TokenSign, ...],
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(_answer(client))
        start = await node.told_to_start()
        assert start.signs
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        await delivery.delta(ids=[7, 8], text="hello", signs=sent)
        await delivery.finish(2)
        events = await asking
    assert [(each.token_offset, each.token_count, each.signs) for each in heard] == [(0, 2, told)]
    deltas = [event.delta for event in events if event.HasField("delta")]
    assert deltas == [inference.GenerationDelta(ids=[7, 8], text="hello")]
    assert events[-1].HasField("finished")


async def _answer(client: MeshClient) -> list[inference.GenerateEvent]:
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hi")])
    request = inference.GenerateRequest(request_id="r1", messages=[message])
    return [event async for event in client.answer(request)]


async def test_nobody_is_asked_to_tell_what_nobody_wants_to_know(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(client.ask("hi"))
        start = await node.told_to_start()
        assert not start.signs
        await node.deliver().answer(start.attempt_id, "yes")
        await asking
