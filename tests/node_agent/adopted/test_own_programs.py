"""A machine's own programs, without any coordinator: adopted engines serve them as well."""

from dataclasses import replace

import pytest

from mesh.core.types import Capability, NodeId, Tier
from mesh.errors import ModelNotFound, Unsupported
from mesh.v1 import inference_pb2 as inference
from node_agent.adopted.guest import Guest
from node_agent.adopted.identity import model_of
from node_agent.adopted.openai_engine import OpenAiEngine
from node_agent.own_models import OwnModels
from node_agent.shelf import Shelf
from tests.coordinator.cloud.played_upstream import PlayedUpstream
from tests.node_agent.played_engines import Engines
from tests.node_agent.scripted_coordinator import asking


async def answer(own: OwnModels, model: str) -> list[inference.GenerateEvent]:
    request = asking("hello", model=model)
    return [each async for each in own.answer(request, why="it stays here", tier=Tier.DEVICE)]


@pytest.fixture
def own(shelf: Shelf) -> OwnModels:
    return OwnModels(shelf, NodeId("desk"), "desk")


def take_in(shelf: Shelf, engine: OpenAiEngine, *, off_host: bool = False) -> None:
    shelf.host([Guest(model_of(engine.kind, engine.told), engine, off_host)])


async def test_an_engine_of_this_machine_answers_and_the_receipt_says_which(
    shelf: Shelf, engine: OpenAiEngine, own: OwnModels
) -> None:
    take_in(shelf, engine)
    *told, last = await answer(own, "tiny")
    assert "".join(each.delta.text for each in told) == "hello"
    receipt = last.finished.receipt
    assert [each.engine for each in receipt.attempts] == ["llama.cpp b1"]
    assert list(receipt.notes) == [
        "it stays here",
        "cannot be continued elsewhere: served by llama.cpp b1",
    ]


async def test_what_is_on_another_machine_is_none_of_its_own_models(
    shelf: Shelf, engine: OpenAiEngine, own: OwnModels, server: PlayedUpstream
) -> None:
    take_in(shelf, engine, off_host=True)
    with pytest.raises(ModelNotFound):
        await answer(own, "tiny")
    assert "tiny" not in {name for view in own.models() for name in view.names}
    assert server.asked == []


async def test_of_one_name_the_warm_one_answers_and_no_second_copy_is_loaded(
    shelf: Shelf, engine: OpenAiEngine, own: OwnModels, engines: Engines
) -> None:
    engine.told = replace(engine.told, names=("echo",))
    take_in(shelf, engine)
    last = (await answer(own, "echo"))[-1]
    assert last.finished.receipt.attempts[0].engine == "llama.cpp b1"
    assert engines.loads == 0


async def test_of_one_name_whoever_can_count_counts(
    shelf: Shelf, engine: OpenAiEngine, own: OwnModels, server: PlayedUpstream
) -> None:
    engine.told = replace(engine.told, names=("echo",))  # it counts nothing, and comes first
    take_in(shelf, engine)
    said = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hello mesh")])
    told = await own.token_count(inference.CountTokensRequest(model="echo", messages=[said]))
    assert told.tokens > 0
    assert server.asked == []


async def test_an_image_goes_to_a_model_that_sees_and_to_no_other(
    shelf: Shelf, engine: OpenAiEngine, own: OwnModels, server: PlayedUpstream
) -> None:
    take_in(shelf, engine)
    png = inference.Part(image=inference.Image(media_type="image/png", data=b"x"))
    request = asking("hello", model="tiny")
    request.messages[0].parts.append(png)
    with pytest.raises(Unsupported, match="vision"):
        await anext(own.answer(request, why="", tier=Tier.DEVICE))
    said = inference.CountTokensRequest(model="tiny", messages=request.messages)
    with pytest.raises(Unsupported, match="images"):
        await own.token_count(said)
    assert server.asked == []
    engine.told = replace(engine.told, capabilities=engine.told.capabilities | {Capability.VISION})
    take_in(shelf, engine)
    *_, last = [each async for each in own.answer(request, why="", tier=Tier.DEVICE)]
    assert last.HasField("finished")
    assert [each["type"] for each in server.asked[0].body["messages"][0]["content"]] == [
        "text",
        "image_url",
    ]
