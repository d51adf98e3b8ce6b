"""What an upstream of Anthropic's API is sent: the same conversation in other shapes."""

import json
import re
from typing import Any

import pytest

from coordinator.cloud.anthropic.api import Anthropic
from mesh.errors import InvalidRequest, Unsupported
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.cloud.asking import a_request

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
SYSTEM, USER = inference.ROLE_SYSTEM, inference.ROLE_USER
ASSISTANT, TOOL = inference.ROLE_ASSISTANT, inference.ROLE_TOOL


def spoken(role: inference.Role, text: str, **fields: object) -> inference.Message:
    parts = [inference.Part(text=text)] if text else []
    return inference.Message(role=role, parts=parts, **fields)  # type: ignore[arg-type]


def body_of(*messages: inference.Message, **fields: object) -> Any:
    if messages:
        fields["messages"] = list(messages)
    request = a_request(**fields)  # type: ignore[arg-type]
    return json.loads(Anthropic().write_body(request, model="m", max_tokens=9))


def said(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def test_what_is_always_sent() -> None:
    assert body_of(spoken(USER, "hi")) == {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [said("hi")]}],
        "stream": True,
    }


def test_what_the_system_says_stands_apart_wherever_it_stood() -> None:
    body = body_of(
        spoken(SYSTEM, "be brief"),
        spoken(USER, "hi"),
        spoken(SYSTEM, "and kind"),
        spoken(SYSTEM, ""),
    )
    assert body["system"] == "be brief\n\nand kind"
    assert [each["role"] for each in body["messages"]] == ["user"]


def test_turns_alternate() -> None:
    body = body_of(
        spoken(USER, "a"),
        spoken(USER, "b"),
        spoken(ASSISTANT, "c"),
        spoken(ASSISTANT, ""),
        spoken(ASSISTANT, "d"),
        spoken(USER, "e"),
    )
    assert body["messages"] == [
        {"role": "user", "content": [said("a"), said("b")]},
        {"role": "assistant", "content": [said("c"), said("d")]},
        {"role": "user", "content": [said("e")]},
    ]


def test_calls_and_their_results_are_blocks() -> None:
    first = inference.ToolCall(id="c1", name="weather", arguments_json='{"city":"Brno"}')
    second = inference.ToolCall(id="c2", name="clock")
    body = body_of(
        spoken(USER, "the weather?"),
        spoken(ASSISTANT, "let me see", tool_calls=[first, second]),
        spoken(TOOL, "it rains", tool_call_id="c1"),
        spoken(TOOL, "", tool_call_id="c2"),
        spoken(USER, "and now?"),
    )
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                said("let me see"),
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Brno"}},
                {"type": "tool_use", "id": "c2", "name": "clock", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": [said("it rains")]},
                {"type": "tool_result", "tool_use_id": "c2"},
                said("and now?"),
            ],
        },
    ]


@pytest.mark.parametrize("arguments", ["{", "[]", "7", '{"a": NaN}', "[" * 100_000])
def test_a_call_whose_arguments_are_no_object_is_refused_here(arguments: str) -> None:
    call = inference.ToolCall(id="c", name="t", arguments_json=arguments)
    with pytest.raises(InvalidRequest, match=re.escape("messages[1] calls t with what is no")):
        body_of(spoken(USER, "hi"), spoken(ASSISTANT, "", tool_calls=[call]))


def test_tools_have_a_schema_each() -> None:
    described = inference.Tool(
        name="weather", description="of a city", parameters_json=json.dumps(SCHEMA)
    )
    assert body_of(tools=[described, inference.Tool(name="bare")])["tools"] == [
        {"name": "weather", "description": "of a city", "input_schema": SCHEMA},
        {"name": "bare", "input_schema": {"type": "object"}},
    ]
    with pytest.raises(InvalidRequest, match="the schema of tool t"):
        body_of(tools=[inference.Tool(name="t", parameters_json="[]")])


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (inference.ToolChoice(), None),
        (inference.ToolChoice(mode=inference.ToolChoice.MODE_AUTO), {"type": "auto"}),
        (inference.ToolChoice(mode=inference.ToolChoice.MODE_NONE), {"type": "none"}),
        (inference.ToolChoice(mode=inference.ToolChoice.MODE_REQUIRED), {"type": "any"}),
        (
            inference.ToolChoice(mode=inference.ToolChoice.MODE_REQUIRED, name="t"),
            {"type": "tool", "name": "t"},
        ),
    ],
)
def test_the_choice_of_a_tool_passes_through(
    choice: inference.ToolChoice, written: dict[str, str] | None
) -> None:
    tools = [inference.Tool(name="t")]
    assert body_of(tools=tools, tool_choice=choice).get("tool_choice") == written
    assert "tool_choice" not in body_of(tool_choice=choice)


def test_an_image_goes_as_data() -> None:
    image = inference.Image(data=b"\x89PNG", media_type="image/png")
    message = spoken(USER, "what is it?")
    message.parts.append(inference.Part(image=image))
    [turn] = body_of(message)["messages"]
    assert turn["content"] == [
        said("what is it?"),
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="},
        },
    ]
    message.parts[1].image.media_type = "text/html"
    with pytest.raises(InvalidRequest, match=re.escape("messages[0] holds an image")):
        body_of(message)


def test_a_schema_for_the_answer_passes_through() -> None:
    wanted = inference.ResponseFormat(json_schema=json.dumps(SCHEMA))
    assert body_of(response_format=wanted)["output_config"] == {
        "format": {"type": "json_schema", "schema": SCHEMA}
    }


def test_stop_texts_pass_through() -> None:
    assert body_of(stop=["x", "y"])["stop_sequences"] == ["x", "y"]


def test_thoughts_and_names_are_not_sent() -> None:
    thought = inference.Message(
        role=ASSISTANT, parts=[inference.Part(reasoning="hm"), inference.Part(text="yes")]
    )
    body = body_of(spoken(USER, "hi", name="ann"), thought)
    assert "ann" not in json.dumps(body)
    assert body["messages"][1]["content"] == [said("yes")]


def sampled(*, sent: bool, **said: float) -> dict[str, Any]:
    request = a_request()
    request.sampling.CopyFrom(inference.Sampling(**said))  # type: ignore[arg-type]
    written = Anthropic(sampling=sent).write_body(request, model="m", max_tokens=9)
    body: dict[str, Any] = json.loads(written)
    return body


def test_sampling_is_sent_only_where_the_operator_says_so() -> None:
    said = {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "seed": 3, "min_p": 0.1}
    assert not said.keys() & sampled(sent=False, **said).keys()
    body = sampled(sent=True, **said)
    assert (body["temperature"], body["top_k"]) == (0.5, 40)
    assert not {"top_p", "seed", "min_p"} & body.keys(), "both at once are refused there"
    assert sampled(sent=True, top_p=0.9)["top_p"] == 0.9
    assert sampled(sent=True, temperature=2.0)["temperature"] == 1.0


def test_what_this_api_cannot_do_is_refused_here() -> None:
    with pytest.raises(Unsupported, match="adapters"):
        body_of(adapters=["mine"])
    with pytest.raises(Unsupported, match="log-probabilities"):
        body_of(logprobs=2)
    for wanted in (inference.ResponseFormat(json=True), inference.ResponseFormat(grammar="x")):
        with pytest.raises(Unsupported) as refused:
            body_of(response_format=wanted)
        assert refused.value.hint == "give a JSON schema"
