"""What a program says with the SDK is what the mesh is asked, or a clear refusal."""

import json
from typing import Any

import pytest

from mesh.answers import AnswerStream
from mesh.call_pieces import CallPieces
from mesh.client import Image, Message, Tool, ToolCall
from mesh.conversation import write_choice, write_prompt, write_tools
from mesh.errors import InvalidRequest
from mesh.testing import PlayedAsking, delta, finished, started
from mesh.v1 import inference_pb2 as inference

CALL = ToolCall("c1", "weather", '{"city":"Bonn"}')


def test_a_string_is_a_message_of_the_user() -> None:
    [message] = write_prompt("hi")
    assert (message.role, message.parts[0].text) == (inference.ROLE_USER, "hi")


def test_messages_and_mappings_say_the_same() -> None:
    told: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": ["see: ", Image(b"png", "image/png")], "name": "ann"},
        {"role": "assistant", "tool_calls": [CALL], "reasoning": "hm"},
        {"role": "tool", "content": "rain", "tool_call_id": "c1"},
    ]
    written = write_prompt(told)
    assert written == write_prompt([Message(**each) for each in told])
    system, user, assistant, tool = written
    assert system.role == inference.ROLE_SYSTEM
    assert user.name == "ann"
    assert user.parts[1].image == inference.Image(media_type="image/png", data=b"png")
    assert [part.WhichOneof("content") for part in assistant.parts] == ["reasoning"]
    assert assistant.tool_calls == [
        inference.ToolCall(id="c1", name="weather", arguments_json='{"city":"Bonn"}')
    ]
    assert (tool.role, tool.tool_call_id) == (inference.ROLE_TOOL, "c1")


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ([{"role": "robot", "content": "x"}], "role 'robot' is unknown; use system, user"),
        ([{"role": None, "content": "x"}], "role 'None' is unknown"),
        ([{"role": "user", "text": "x"}], "key of a message 'text' is unknown; use role, content"),
        ([{"content": "x"}], "no role"),
        (["hi"], "no role"),
        ([{"role": "user", "content": {"type": "text"}}], "cannot hold dict"),
        ([{"role": "user", "content": [{"type": "text", "text": "x"}]}], "cannot hold dict"),
        ([{"role": "user", "content": 7}], "cannot hold int"),
        ([{"role": "assistant", "tool_calls": [{"id": "c1"}]}], "tool_calls cannot hold dict"),
    ],
)
def test_what_is_no_message_is_refused(prompt: Any, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        write_prompt(prompt)


def test_a_tool_without_arguments_has_a_schema_all_the_same() -> None:
    [plain, full] = write_tools([Tool("now"), Tool("weather", "Tells it.", {"type": "object"})])
    assert json.loads(plain.parameters_json) == {"type": "object", "properties": {}}
    assert (full.name, full.description) == ("weather", "Tells it.")


@pytest.mark.parametrize("wrong", [{"a": float("nan")}, {"a": b"bytes"}, {"a": object()}])
def test_a_schema_that_is_no_json_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="no JSON schema"):
        write_tools([Tool("t", parameters=wrong)])


def test_a_choice_is_a_word_or_a_tool() -> None:
    assert write_choice("") is None
    assert write_choice("none") == inference.ToolChoice(mode=inference.ToolChoice.MODE_NONE)
    named = write_choice(Tool("auto"))  # a tool may have any name
    assert named == inference.ToolChoice(mode=inference.ToolChoice.MODE_REQUIRED, name="auto")
    with pytest.raises(InvalidRequest, match="tool_choice 'weather' is unknown"):
        write_choice("weather")


def test_a_piece_belongs_to_the_call_whose_id_it_has_or_to_the_last() -> None:
    pieces = CallPieces("call_")
    given = ["a", "", "b", "a", "", "b"]
    assert [pieces.place(inference.ToolCall(id=each)) for each in given] == [
        (0, "a"),
        (0, ""),
        (1, "b"),
        (0, ""),
        (0, ""),
        (1, ""),
    ]


def test_a_call_without_an_id_is_given_one() -> None:
    pieces = CallPieces("call_")
    assert pieces.place(inference.ToolCall(name="f")) == (0, "call_0")
    assert pieces.place(inference.ToolCall(arguments_json="{}")) == (0, "")


async def test_an_answer_tells_its_calls_and_thoughts_and_can_be_sent_back() -> None:
    def piece(call_id: str, name: str, arguments: str) -> inference.ToolCall:
        return inference.ToolCall(id=call_id, name=name, arguments_json=arguments)

    script = (
        started(),
        delta(reasoning="hm, "),
        delta("let me see", reasoning="so"),
        delta(tool_calls=[piece("c1", "weather", '{"city":')]),
        delta(tool_calls=[piece("", "", '"Bonn"}'), piece("c2", "now", "")]),
        finished(inference.FINISH_REASON_TOOL_CALLS),
    )
    asking = PlayedAsking(script)
    async with AnswerStream(asking.answer(inference.GenerateRequest())) as answer:
        assert [text async for text in answer] == ["let me see"]
    assert answer.tool_calls == (CALL, ToolCall("c2", "now", ""))
    assert (answer.reasoning, answer.finish_reason) == ("hm, so", "tool_calls")
