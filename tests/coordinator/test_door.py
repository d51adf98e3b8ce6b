"""The coordinator's HTTP door, asked by OpenAI's own client; nodes do what the test says."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import openai
import pytest

from coordinator.coordinator import Coordinator
from mesh.core.actions import SendMoved, SendStarted
from mesh.core.receipt import Receipt
from mesh.core.types import Failure, Request
from mesh.settings import Settings
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.scripted_node import WITHIN_S, ScriptedNode, model

QWEN = model("qwen")
MESSAGES: Any = [{"role": "user", "content": "hi"}]
TOOL: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture
def settings() -> Settings:
    return patient_settings(goes_on_within_s=0.0)


@pytest.fixture
async def tool(coordinator: Coordinator) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"http://localhost:{coordinator.ports.http}/v1", api_key="none", max_retries=0
    ) as client:
        yield client


class Comings:
    """A watcher that tells when a request came, began and went."""

    def __init__(self) -> None:
        self._seen: asyncio.Queue[str] = asyncio.Queue()

    def request_arrived(self, request: Request) -> None:
        self._seen.put_nowait(f"{request.key.request_id} came")

    def request_started(self, started: SendStarted) -> None:
        self._seen.put_nowait(f"{started.key.request_id} began")

    def request_moved(self, moved: SendMoved) -> None:
        self._seen.put_nowait(f"{moved.key.request_id} moved")

    def request_ended(self, request: Request, receipt: Receipt, failure: Failure | None) -> None:
        self._seen.put_nowait(f"{request.key.request_id} went")

    async def next(self) -> str:
        async with asyncio.timeout(WITHIN_S):
            return await self._seen.get()


async def _started(node: ScriptedNode) -> tuple[fleet.StartAttempt, Any]:
    start = await node.told_to_start()
    delivery = await node.deliver().open(start.attempt_id)
    await delivery.start()
    return start, delivery


async def test_an_answer_comes_whole_with_its_receipt(
    tool: openai.AsyncOpenAI, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.ensure_future(
            tool.chat.completions.with_raw_response.create(
                model="qwen",
                messages=MESSAGES,
                seed=42,
                stop=["END"],
                max_tokens=9,
                extra_headers={"x-deskmesh-policy": "fast", "x-deskmesh-request-id": "mine"},
            )
        )
        start = await node.told_to_start()
        assert (start.request.sampling.seed, start.request.max_tokens) == (42, 9)
        assert list(start.request.stop) == ["END"]
        await node.deliver().answer(start.attempt_id, "hel", "lo")
        raw = await asking
    answer = raw.parse()
    assert answer.choices[0].message.content == "hello"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (3, 2)
    assert raw.headers["x-deskmesh-node"] == node.name
    assert raw.headers["x-deskmesh-policy"] == "fast"
    assert raw.headers["x-deskmesh-attempts"] == "1"
    assert (answer._request_id, answer.id) == ("mine", "chatcmpl-mine")


async def test_an_answer_streams_with_headers_and_usage(
    tool: openai.AsyncOpenAI, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(
            tool.chat.completions.create(
                model="auto",
                messages=MESSAGES,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
        _, delivery = await _started(node)
        await delivery.tokens(0, "hel")
        stream = await asking
        assert stream.response.headers["x-deskmesh-node"] == node.name
        assert stream.response.headers["x-deskmesh-model"] == "qwen"
        await delivery.tokens(1, "lo")
        await delivery.finish(2)
        chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "hello"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2


async def test_tool_calls_pass_both_ways(tool: openai.AsyncOpenAI, new_node: NewNode) -> None:
    async with new_node(QWEN) as node:
        await node.also_offer(inference.CAPABILITY_TOOLS)
        asking = asyncio.create_task(
            tool.chat.completions.create(
                model="qwen", messages=MESSAGES, tools=[TOOL], tool_choice="required"
            )
        )
        start, delivery = await _started(node)
        assert start.request.tools[0].name == "weather"
        assert start.request.tool_choice.mode == inference.ToolChoice.MODE_REQUIRED
        call = inference.ToolCall(id="c1", name="weather", arguments_json="{}")
        await delivery.delta(ids=[7], tool_calls=[call])
        await delivery.finish(1)
        answered = (await asking).choices[0].message
        assert answered.tool_calls is not None
        again: Any = [
            *MESSAGES,
            answered.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": answered.tool_calls[0].id, "content": "rain"},
        ]
        asking = asyncio.create_task(
            tool.chat.completions.create(model="qwen", messages=again, tools=[TOOL])
        )
        start = await node.told_to_start()
        _, assistant, result = start.request.messages
        assert assistant.tool_calls[0] == call
        assert (result.tool_call_id, result.parts[0].text) == ("c1", "rain")
        await node.deliver().answer(start.attempt_id, "take a coat")
        assert (await asking).choices[0].message.content == "take a coat"


async def test_a_client_that_leaves_amid_a_stream_frees_its_slot(
    tool: openai.AsyncOpenAI, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(
            tool.chat.completions.create(model="qwen", messages=MESSAGES, stream=True)
        )
        _, delivery = await _started(node)
        await delivery.tokens(0, "so ")
        stream = await asking
        await stream.close()
        assert await delivery.ended() is grpc.StatusCode.OK
        assert coordinator.loop.fleet.requests.running == 0
        asking = asyncio.create_task(
            tool.chat.completions.create(model="qwen", messages=MESSAGES, stream=True)
        )
        await node.told_to_start()  # the node's only slot
        asking.cancel()


async def test_a_client_that_leaves_before_a_token_frees_its_slot(
    tool: openai.AsyncOpenAI, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        seen = Comings()
        coordinator._relay.watchers.append(seen)
        mine = {"x-deskmesh-request-id": "mine"}
        asking = asyncio.create_task(
            tool.chat.completions.create(model="qwen", messages=MESSAGES, extra_headers=mine)
        )
        _, delivery = await _started(node)
        assert [await seen.next() for _ in range(2)] == ["mine came", "mine began"]
        asking.cancel()
        assert await delivery.ended() is grpc.StatusCode.OK
        assert coordinator.loop.fleet.requests.running == 0


async def test_a_client_that_leaves_while_it_waits_is_never_started(
    tool: openai.AsyncOpenAI, coordinator: Coordinator, new_node: NewNode
) -> None:
    seen = Comings()
    coordinator._relay.watchers.append(seen)
    asking = {}
    async with new_node(QWEN) as node:
        for name in ("first", "second", "third"):
            asking[name] = asyncio.create_task(
                tool.chat.completions.create(
                    model="qwen", messages=MESSAGES, extra_headers={"x-deskmesh-request-id": name}
                )
            )
            assert await seen.next() == f"{name} came"
        start, delivery = await _started(node)
        assert start.request.request_id == "first"
        assert await seen.next() == "first began"
        asking["second"].cancel()
        assert await seen.next() == "second went"
        await delivery.finish(0)
        await asking["first"]
        assert (await node.told_to_start()).request.request_id == "third"
        asking["third"].cancel()


async def test_a_node_lost_amid_a_stream_is_an_error_and_not_an_end(
    tool: openai.AsyncOpenAI, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(
            tool.chat.completions.create(model="qwen", messages=MESSAGES, stream=True)
        )
        _, delivery = await _started(node)
        await delivery.tokens(0, "half ")
        stream = await asking
        delivery.drop()
    with pytest.raises(openai.APIError, match=node.name) as told:
        async for _ in stream:
            pass
    assert told.value.code == "answer_lost"


async def test_what_is_not_streamed_begins_anew_where_nobody_can_go_on(
    tool: openai.AsyncOpenAI, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(tool.chat.completions.create(model="qwen", messages=MESSAGES))
        delivery = await node.deliver().open((await node.told_to_start()).attempt_id)
        await delivery.start(0)  # as an engine that tells no ids
        await delivery.tokens(0, "half ")
        async with new_node(QWEN) as other:
            delivery.drop()
            start = await other.told_to_start()
            await other.deliver().answer(start.attempt_id, "whole")
            answer = await asking
    assert answer.choices[0].message.content == "whole"


async def test_the_other_node_answers_when_the_first_dies_before_a_token(
    tool: openai.AsyncOpenAI, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.ensure_future(
            tool.chat.completions.with_raw_response.create(model="qwen", messages=MESSAGES)
        )
        _, delivery = await _started(node)
        async with new_node(QWEN) as other:
            delivery.drop()
            start = await other.told_to_start()
            await other.deliver().answer(start.attempt_id, "still here")
            raw = await asking
    assert raw.headers["x-deskmesh-attempts"] == "2"
    assert raw.headers["x-deskmesh-node"] == other.name


async def test_failures_are_the_errors_that_the_client_knows(
    tool: openai.AsyncOpenAI, new_node: NewNode
) -> None:
    with pytest.raises(openai.InternalServerError, match="deskmesh node") as none:
        await tool.chat.completions.create(model="auto", messages=MESSAGES)
    assert none.value.status_code == 503
    async with new_node(QWEN) as node:
        with pytest.raises(openai.NotFoundError, match="did you mean qwen"):
            await tool.chat.completions.create(model="qwem", messages=MESSAGES)
        with pytest.raises(openai.BadRequestError, match="more than one answer") as two:
            await tool.chat.completions.create(model="qwen", messages=MESSAGES, n=2)
        assert two.value.param == "n"
        with pytest.raises(openai.InternalServerError, match="tools") as unable:
            await tool.chat.completions.create(model="qwen", messages=MESSAGES, tools=[TOOL])
        assert unable.value.code == "no_capable_node"
        asking = asyncio.create_task(
            tool.chat.completions.create(
                model="qwen", messages=MESSAGES, extra_headers={"x-deskmesh-timeout-s": "0.2"}
            )
        )
        await node.told_to_start()
        with pytest.raises(openai.InternalServerError, match="ran out") as late:
            await asking
        assert late.value.status_code == 504


async def test_a_request_id_in_use_is_refused_and_the_first_lives(
    tool: openai.AsyncOpenAI, new_node: NewNode
) -> None:
    mine = {"x-deskmesh-request-id": "same"}
    async with new_node(QWEN, slots=2) as node:
        first = asyncio.create_task(
            tool.chat.completions.create(model="qwen", messages=MESSAGES, extra_headers=mine)
        )
        start = await node.told_to_start()
        with pytest.raises(openai.ConflictError):
            await tool.chat.completions.create(model="qwen", messages=MESSAGES, extra_headers=mine)
        await node.deliver().answer(start.attempt_id, "fine")
        assert (await first).choices[0].message.content == "fine"


async def test_models_are_listed_with_their_machines(
    tool: openai.AsyncOpenAI, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        listed = [each async for each in await tool.models.list()]
        assert [each.id for each in listed] == ["auto", "qwen"]
        assert (await tool.models.retrieve(QWEN.model_id)).model_dump()["deskmesh"]["places"][0][
            "node_name"
        ] == node.name
