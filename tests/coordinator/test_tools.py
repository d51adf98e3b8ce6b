"""A program that offers tools with the SDK is asked to call them, and tells what they said."""

import asyncio

import pytest

from mesh.client import MeshClient, Message, Tool
from mesh.settings import Settings
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.scripted_node import model

WEATHER = Tool("weather", "Tells the weather.", {"type": "object"})


@pytest.fixture
def settings() -> Settings:
    return patient_settings()


async def test_a_tool_is_called_and_its_result_told(client: MeshClient, new_node: NewNode) -> None:
    conversation = [Message("user", "Do I need a coat?")]
    async with new_node(model("qwen")) as node:
        await node.also_offer(inference.CAPABILITY_TOOLS)
        asking = asyncio.create_task(client.ask(conversation, tools=[WEATHER], tool_choice=WEATHER))
        start = await node.told_to_start()
        [told] = start.request.tools
        assert (told.name, told.parameters_json) == ("weather", '{"type": "object"}')
        assert start.request.tool_choice.name == "weather"
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        called = inference.ToolCall(id="c1", name="weather", arguments_json="{}")
        await delivery.delta(ids=[7], tool_calls=[called])
        await delivery.finish(1)
        answer = await asking
        [call] = answer.tool_calls
        assert (call.name, call.arguments, answer.text) == ("weather", "{}", "")

        conversation += [answer.message, Message("tool", "rain", tool_call_id=call.id)]
        asking = asyncio.create_task(client.ask(conversation, tools=[WEATHER]))
        start = await node.told_to_start()
        _, assistant, result = start.request.messages
        assert (list(assistant.tool_calls), list(assistant.parts)) == ([called], [])
        assert (result.role, result.tool_call_id) == (inference.ROLE_TOOL, "c1")
        await node.deliver().answer(start.attempt_id, "yes")
        assert (await asking).text == "yes"
