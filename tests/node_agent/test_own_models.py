"""What a machine answers by itself: from its own shelf, with a receipt, sharing its slots."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from mesh.core.generation import Generation, GenerationEvent
from mesh.core.types import ModelId, NodeId, Tier
from mesh.errors import (
    AnswerLost,
    DeadlineExceeded,
    InternalError,
    MeshError,
    ModelNotFound,
    NoCapableNode,
    Overloaded,
    Unsupported,
)
from mesh.settings import NodeSettings
from mesh.v1 import inference_pb2 as inference
from node_agent import line
from node_agent.engine.echo import EchoEngine
from node_agent.own_models import OwnModels
from node_agent.shelf import Shelf
from node_agent.slot import Slot
from tests.node_agent.played_engines import Engines, MortalEngine, entry, library
from tests.node_agent.scripted_coordinator import asking

WHY = "no coordinator answers"
Events = list[inference.GenerateEvent]


@pytest.fixture
def own(shelf: Shelf) -> OwnModels:
    return OwnModels(shelf, NodeId("node-of-the-test"), "desk")


async def answered(own: OwnModels, request: inference.GenerateRequest) -> Events:
    return [event async for event in own.answer(request, why=WHY, tier=Tier.DEVICE)]


async def take(answer: AsyncGenerator[inference.GenerateEvent, None], into: Events) -> None:
    async with aclosing(answer) as events:
        async for event in events:
            into.append(event)


async def failed(
    own: OwnModels, request: inference.GenerateRequest
) -> tuple[inference.GenerationFailed, MeshError]:
    """Return the last event, and the error after it."""
    events: Events = []
    with pytest.raises(MeshError) as raised:
        await take(own.answer(request, why=WHY, tier=Tier.DEVICE), events)
    return events[-1].failed, raised.value


def taken(shelf: Shelf) -> int:
    return sum(status.slots_taken for _, status in shelf.statuses())


def first(shelf: Shelf) -> ModelId:
    return shelf.offers()[0][1].model.model_id


async def test_an_answer_tells_who_gave_it_and_why(own: OwnModels, shelf: Shelf) -> None:
    started, *deltas, finished = await answered(own, asking("one two three"))
    assert started.started.node_name == "desk"
    assert started.started.model_name == "echo"
    assert started.started.tier == inference.TIER_DEVICE
    assert started.started.why == WHY
    assert "".join(event.delta.text for event in deltas).split() == ["one", "two", "three"]
    receipt = finished.finished.receipt
    assert (receipt.coordinator, receipt.tier) == ("", inference.TIER_DEVICE)
    assert list(receipt.notes) == [WHY]
    [attempt] = receipt.attempts
    assert (attempt.outcome, attempt.node_name) == ("answered", "desk")
    assert attempt.usage.completion_tokens == 3
    assert 0 < attempt.first_token_s <= receipt.first_token_s
    assert taken(shelf) == 0


async def test_a_name_is_read_without_its_case_and_an_identity_is_a_name(
    own: OwnModels, shelf: Shelf
) -> None:
    for name in ("ECHO", first(shelf), "auto", ""):
        assert (await answered(own, asking("hi", model=name)))[-1].HasField("finished")


async def test_what_this_machine_lacks_is_told_with_what_it_has(own: OwnModels) -> None:
    with pytest.raises(ModelNotFound, match=r"no model named 'gpt' of its own; it has echo"):
        await answered(own, asking("hi", model="gpt"))
    with pytest.raises(Unsupported):
        await answered(own, asking("hi", adapters=["pirate"]))


async def test_a_machine_without_a_model_says_what_to_do() -> None:
    empty = Shelf(Engines().load, NodeSettings())
    with pytest.raises(NoCapableNode, match="put a GGUF file into"):
        await answered(OwnModels(empty, NodeId("n"), "desk"), asking("hi"))
    with pytest.raises(NoCapableNode, match="only uses the mesh"):
        await answered(OwnModels(empty, NodeId("n"), "desk", lends=False), asking("hi"))


async def test_a_test_model_stands_behind_every_other(own: OwnModels, shelf: Shelf) -> None:
    bench = entry("bench")
    object.__setattr__(bench.model, "test", True)
    object.__setattr__(bench.model, "parameters", 1 << 40)
    shelf.show(library(bench, entry()))
    assert (await answered(own, asking("hi")))[0].started.model_name == "echo"
    assert [view.names[0] for view in own.models()] == ["echo", "bench"]


async def test_those_who_wait_are_served_when_the_mesh_frees_its_slot(
    own: OwnModels, shelf: Shelf
) -> None:
    held = shelf.take(first(shelf))
    assert isinstance(held, Slot)
    waiting = asyncio.create_task(answered(own, asking("hi")))
    await asyncio.sleep(0)  # to its place in the line
    assert shelf.watchers
    assert not waiting.done()
    held.free()
    assert (await waiting)[-1].HasField("finished")
    assert not shelf.watchers


async def test_a_wait_ends_with_the_time_that_was_given(own: OwnModels, shelf: Shelf) -> None:
    shelf.take(first(shelf))
    told, error = await failed(own, asking("hi", deadline_ms=50))
    assert isinstance(error, DeadlineExceeded)
    assert told.code == "deadline_exceeded"
    assert told.receipt.request_id == "r"


async def test_a_line_is_only_so_long(
    own: OwnModels, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "WAITING_MAX", 1)
    held = shelf.take(first(shelf))
    assert isinstance(held, Slot)
    waiting = asyncio.create_task(answered(own, asking("hi")))
    await asyncio.sleep(0)  # to its place in the line
    assert shelf.watchers
    _, error = await failed(own, asking("hi"))
    assert isinstance(error, Overloaded)
    held.free()
    await waiting


async def test_leaving_frees_the_slot(shelf: Shelf, engines: Engines, own: OwnModels) -> None:
    engines.new = lambda: EchoEngine(tokens_per_s=50.0)
    async with aclosing(own.answer(asking("a b c d"), why=WHY, tier=Tier.DEVICE)) as answer:
        async for event in answer:
            if event.HasField("delta"):
                assert taken(shelf) == 1
                break
    assert taken(shelf) == 0


async def test_an_engine_that_dies_mid_answer_ends_it_with_an_error(
    own: OwnModels, shelf: Shelf, engines: Engines
) -> None:
    mortal = MortalEngine()
    engines.new = lambda: mortal
    asked = own.answer(asking("a b c d"), why=WHY, tier=Tier.DEVICE)
    events = [await anext(asked), await anext(asked)]
    assert events[-1].HasField("delta")
    mortal.die()
    with pytest.raises(AnswerLost, match="desk failed mid-answer"):
        await take(asked, events)
    assert events[-1].failed.code == "answer_lost"
    assert taken(shelf) == 0


class _Buggy(EchoEngine):
    async def generate(self, work: Generation) -> AsyncGenerator[GenerationEvent, None]:
        raise KeyError(work.messages[0].text)
        yield


async def test_a_bug_is_told_without_the_prompt(
    own: OwnModels, engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    engines.new = _Buggy
    told, error = await failed(own, asking("a-secret"))
    assert isinstance(error, InternalError)
    assert "a-secret" not in f"{told}{caplog.text}"
    assert "KeyError at " in caplog.text
