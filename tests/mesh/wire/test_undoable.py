"""An engine refuses what it cannot do, and ignores nothing that it is asked for."""

import pytest

from mesh.core.chat import Message, Role, Tool, ToolCall, ToolChoice, ToolMode
from mesh.errors import Unsupported
from mesh.v1 import inference_pb2 as inference
from mesh.wire.generations import read_generation


def _request(**fields: object) -> inference.GenerateRequest:
    message = inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hi")])
    given = {"messages": [message], **fields}
    return inference.GenerateRequest(request_id="r", **given)  # type: ignore[arg-type]


def test_an_engine_refuses_what_it_would_else_ignore() -> None:
    with pytest.raises(Unsupported, match="adapters"):
        read_generation(_request(adapters=["pirate"]))
    seen = inference.Message(
        role=inference.ROLE_USER, parts=[inference.Part(image=inference.Image(data=b"x"))]
    )
    with pytest.raises(Unsupported, match="image"):
        read_generation(_request(messages=[seen]))


def test_an_engine_gets_tools_their_calls_and_their_results() -> None:
    call = inference.ToolCall(id="c1", name="weather", arguments_json='{"city": "Oslo"}')
    conversation = [
        inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="Rain?")]),
        inference.Message(role=inference.ROLE_ASSISTANT, tool_calls=[call]),
        inference.Message(
            role=inference.ROLE_TOOL, tool_call_id="c1", parts=[inference.Part(text="yes")]
        ),
    ]
    work = read_generation(
        _request(
            messages=conversation,
            tools=[inference.Tool(name="weather", parameters_json="{}")],
            tool_choice=inference.ToolChoice(
                mode=inference.ToolChoice.MODE_REQUIRED, name="weather"
            ),
        )
    )
    asked, called, told = work.messages
    assert asked == Message(Role.USER, "Rain?")
    assert called.tool_calls == (ToolCall("c1", "weather", '{"city": "Oslo"}'),)
    assert (told.role, told.tool_call_id, told.text) == (Role.TOOL, "c1", "yes")
    assert work.tools == (Tool("weather", "", "{}"),)
    assert work.tool_choice == ToolChoice(ToolMode.REQUIRED, "weather")


def test_a_plain_response_format_is_no_demand() -> None:
    assert read_generation(_request(response_format=inference.ResponseFormat(text=True)))
