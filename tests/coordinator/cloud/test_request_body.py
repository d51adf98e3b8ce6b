"""What the upstream is sent: the conversation and how to answer it, and not who asks."""

import json
import re

import pytest

from coordinator.cloud.openai.api import OpenAi
from mesh.core.types import FailureCode
from mesh.errors import InvalidRequest, Unsupported
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.cloud.asking import Fleet, a_request
from tests.coordinator.cloud.played_upstream import PlayedUpstream

OUR_OWN = "who-asks-and-why"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def spoken(role: inference.Role, text: str, **fields: object) -> inference.Message:
    parts = [inference.Part(text=text)] if text else []
    return inference.Message(role=role, parts=parts, **fields)  # type: ignore[arg-type]


def body_of(**fields: object) -> dict[str, object]:
    request = a_request(**fields)  # type: ignore[arg-type]
    written = OpenAi("max_tokens").write_body(request, model="m", max_tokens=9)
    body: dict[str, object] = json.loads(written)
    return body


async def test_a_conversation_with_tools_goes_out_and_its_calls_come_back(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    call = inference.ToolCall(id="c1", name="weather", arguments_json='{"city":"Brno"}')
    request = inference.GenerateRequest(
        tier=inference.TIER_CLOUD,
        messages=[
            spoken(inference.ROLE_SYSTEM, "be brief"),
            spoken(inference.ROLE_USER, "the weather?", name="ann"),
            spoken(inference.ROLE_ASSISTANT, "", tool_calls=[call]),
            spoken(inference.ROLE_TOOL, "it rains", tool_call_id="c1"),
        ],
        tools=[
            inference.Tool(
                name="weather", description="of a city", parameters_json=json.dumps(SCHEMA)
            ),
            inference.Tool(name="bare"),
        ],
        tool_choice=inference.ToolChoice(mode=inference.ToolChoice.MODE_REQUIRED, name="weather"),
    )
    await fleet.answer(request)
    [asked] = upstream.asked
    assert asked.body["messages"] == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "the weather?", "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Brno"}'},
                }
            ],
        },
        {"role": "tool", "content": "it rains", "tool_call_id": "c1"},
    ]
    function = {"name": "weather", "description": "of a city", "parameters": SCHEMA}
    assert asked.body["tools"] == [
        {"type": "function", "function": function},
        {"type": "function", "function": {"name": "bare"}},
    ]
    assert asked.body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("mode", "written"),
    [
        (inference.ToolChoice.MODE_AUTO, "auto"),
        (inference.ToolChoice.MODE_NONE, "none"),
        (inference.ToolChoice.MODE_REQUIRED, "required"),
        (inference.ToolChoice.MODE_UNSPECIFIED, None),
    ],
)
def test_the_choice_of_a_tool_passes_through(
    mode: inference.ToolChoice.Mode, written: str | None
) -> None:
    choice = inference.ToolChoice(mode=mode)
    assert body_of(tools=[inference.Tool(name="t")], tool_choice=choice).get("tool_choice") == (
        written
    )
    assert "tool_choice" not in body_of(tool_choice=choice), "without tools the API refuses it"


def test_nothing_of_who_asks_or_of_the_mesh_is_sent() -> None:
    """Every field of a request is filled with a mark; those that may carry it are named here."""
    may_carry = {"messages", "tools", "tool_choice", "response_format", "sampling", "stop"}
    request = a_request(
        "the prompt",
        request_id=OUR_OWN,
        model=OUR_OWN,
        policy=OUR_OWN,
        session=OUR_OWN,
        domain=OUR_OWN,
        origin=inference.Origin(team=OUR_OWN, task_id=OUR_OWN, tags=[OUR_OWN]),
        route=inference.Route(origin_mesh=OUR_OWN, hop_path=[OUR_OWN]),
        resume=inference.Resume(model_id=OUR_OWN, numerics=OUR_OWN),
    )
    filled = {field.name for field, _ in request.ListFields()}
    texts = {
        field.name
        for field in request.DESCRIPTOR.fields
        if field.type in (field.TYPE_STRING, field.TYPE_MESSAGE)
    }
    assert texts - may_carry - {"adapters"} <= filled, "a new field: may the upstream see it?"
    written = OpenAi("max_tokens").write_body(request, model="m", max_tokens=9).decode()
    assert OUR_OWN not in written
    assert set(json.loads(written)) == {
        "model",
        "messages",
        "max_tokens",
        "stream",
        "stream_options",
    }


def test_thoughts_of_earlier_turns_are_not_sent() -> None:
    thought = inference.Message(
        role=inference.ROLE_ASSISTANT,
        parts=[inference.Part(reasoning="hm"), inference.Part(text="yes")],
    )
    assert body_of(messages=[thought])["messages"] == [{"role": "assistant", "content": "yes"}]


def test_an_image_goes_as_data_and_never_as_an_address() -> None:
    def image(media_type: str) -> list[inference.Message]:
        part = inference.Part(image=inference.Image(data=b"\x89PNG", media_type=media_type))
        text = inference.Part(text="what is it?")
        return [inference.Message(role=inference.ROLE_USER, parts=[text, part])]

    assert body_of(messages=image("image/png"))["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is it?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
            ],
        }
    ]
    for media_type in ("", "text/html", "image/png;x=,", "https://evil.example/a"):
        with pytest.raises(InvalidRequest, match=re.escape("messages[0] holds an image")):
            body_of(messages=image(media_type))


def test_a_schema_for_the_answer_passes_through() -> None:
    wanted = inference.ResponseFormat(json_schema=json.dumps(SCHEMA))
    assert body_of(response_format=wanted)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA},
    }


@pytest.mark.parametrize("schema", ["", "{", "[]", "7", '{"a": NaN}', "[" * 100_000])
def test_a_schema_that_is_no_json_object_is_refused_here(schema: str) -> None:
    with pytest.raises(InvalidRequest, match="is not a JSON object"):
        body_of(response_format=inference.ResponseFormat(json_schema=schema))
    if schema:
        with pytest.raises(InvalidRequest, match="the schema of tool t"):
            body_of(tools=[inference.Tool(name="t", parameters_json=schema)])


def test_what_no_upstream_can_do_is_refused_here() -> None:
    with pytest.raises(Unsupported, match="adapters"):
        body_of(adapters=["mine"])
    with pytest.raises(Unsupported, match="grammar"):
        body_of(response_format=inference.ResponseFormat(grammar='root ::= "a"'))


async def test_what_cannot_be_written_costs_nothing_and_opens_no_connection(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    failure = await fleet.failure(a_request(adapters=["mine"]))
    assert failure.code is FailureCode.UNSUPPORTED
    assert (fleet.spent_microusd, upstream.connections) == (0, 0)


async def test_a_large_prompt_arrives_whole(fleet: Fleet, upstream: PlayedUpstream) -> None:
    text = "žluťoučký kůň 🐎 \x00\u2028" * 40_000
    upstream_limit = 2 * len(text.encode())
    assert upstream_limit > 1_000_000
    assert await fleet.answer(a_request(text, max_tokens=1)) == "hello"
    assert upstream.asked[0].body["messages"][0]["content"] == text
