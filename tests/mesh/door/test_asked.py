"""What a body asks for is what the mesh is asked."""

import json
from typing import Any

import pytest

from mesh.door.asked import Asked, read_chat
from mesh.door.asked_headers import AskedHeaders, read_headers
from mesh.door.failures import Refused
from mesh.door.parameters import IGNORED, REFUSED, ChatBody
from mesh.v1 import inference_pb2 as inference
from tests.mesh.door.conftest import ASKED

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


def _read(**body: Any) -> Asked:
    return read_chat(ASKED | body, AskedHeaders("r1"))


def _messages(*messages: dict[str, Any]) -> list[inference.Message]:
    return list(_read(messages=list(messages)).request.messages)


def test_every_sampling_parameter_arrives() -> None:
    asked = _read(
        temperature=0,
        top_p=0.5,
        top_k=3,
        min_p=0.1,
        repeat_penalty=1.5,
        presence_penalty=-2,
        frequency_penalty=2.0,
        seed=42,
    ).request.sampling
    assert asked == inference.Sampling(
        temperature=0,
        top_p=0.5,
        top_k=3,
        min_p=0.1,
        repeat_penalty=1.5,
        presence_penalty=-2,
        frequency_penalty=2,
        seed=42,
    )


def test_what_is_not_said_is_left_to_the_mesh() -> None:
    request = _read().request
    assert not request.sampling.ListFields()
    assert request.max_tokens == 0
    assert not request.HasField("logprobs")
    assert request.tier == inference.TIER_UNSPECIFIED
    assert not request.HasField("response_format")


def test_null_is_as_if_it_were_not_said() -> None:
    silent = {name: None for name in ChatBody.model_fields if name not in ASKED}
    assert _read(**silent).request == _read().request


@pytest.mark.parametrize("name", IGNORED)
def test_a_harmless_parameter_changes_nothing(name: str) -> None:
    assert _read(**{name: {"any": ["thing"]}}).request == _read().request


@pytest.mark.parametrize("name", REFUSED)
def test_a_parameter_that_would_change_the_answer_is_refused(name: str) -> None:
    with pytest.raises(Refused) as refused:
        _read(**{name: {"any": "thing"}})
    assert refused.value.param == name
    assert _read(**{name: None}).request == _read().request


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_limit_are_known(name: str) -> None:
    assert _read(**{name: 5}).request.max_tokens == 5
    assert _read(**{name: 2**62}).request.max_tokens == 2**31 - 1


@pytest.mark.parametrize(
    ("given", "stop"), [("a", ["a"]), (["a", "b"], ["a", "b"]), ([], []), (None, [])]
)
def test_stop_is_a_string_or_several(given: Any, stop: list[str]) -> None:
    assert list(_read(stop=given).request.stop) == stop


@pytest.mark.parametrize(("given", "seed"), [(-1, 2**64 - 1), (-(2**63), 2**63), (0, 0)])
def test_a_negative_seed_is_a_seed(given: int, seed: int) -> None:
    assert _read(seed=given).request.sampling.seed == seed


def test_a_share_of_nothing_leaves_the_likeliest_token() -> None:
    assert 0 < _read(top_p=0).request.sampling.top_p < 1e-6


@pytest.mark.parametrize(("given", "asked"), [({}, 0), ({"top_logprobs": 20}, 20)])
def test_log_probabilities_are_asked_for(given: dict[str, int], asked: int) -> None:
    request = _read(logprobs=True, **given)
    assert request.logprobs
    assert request.request.HasField("logprobs")
    assert request.request.logprobs == asked


def test_every_role_is_known() -> None:
    said = [{"role": role, "content": "x"} for role in ("system", "developer", "user", "assistant")]
    roles = [message.role for message in _messages(*said)]
    assert roles == [
        inference.ROLE_SYSTEM,
        inference.ROLE_SYSTEM,
        inference.ROLE_USER,
        inference.ROLE_ASSISTANT,
    ]


def test_a_conversation_with_tools_arrives_whole() -> None:
    [_, call, result] = _messages(
        {"role": "user", "content": "hi", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": [{"type": "text", "text": "rain"}], "tool_call_id": "c1"},
    )
    assert call.tool_calls == [inference.ToolCall(id="c1", name="weather", arguments_json="{}")]
    assert not call.parts
    assert (result.role, result.tool_call_id) == (inference.ROLE_TOOL, "c1")
    assert result.parts[0].text == "rain"


def test_an_answer_can_be_sent_back_as_it_came() -> None:
    [_, back] = _messages(
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "yes",
            "refusal": None,
            "annotations": [],
            "audio": None,
            "function_call": None,
            "tool_calls": None,
            "reasoning_content": "hm",
        },
    )
    assert [part.WhichOneof("content") for part in back.parts] == ["reasoning", "text"]


def test_an_image_is_read_from_its_data_url() -> None:
    url = "data:image/png;base64,aGVsbG8="
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url}}]
    [message] = _messages({"role": "user", "content": parts})
    assert message.parts[1].image == inference.Image(media_type="image/png", data=b"hello")


def test_tools_and_the_choice_of_one_arrive() -> None:
    choice = {"type": "function", "function": {"name": "weather"}}
    asked = _read(tools=[TOOL], tool_choice=choice, parallel_tool_calls=False)
    [tool] = asked.request.tools
    assert (tool.name, json.loads(tool.parameters_json)) == ("weather", {"type": "object"})
    assert asked.request.tool_choice.mode == inference.ToolChoice.MODE_REQUIRED
    assert asked.request.tool_choice.name == "weather"
    assert asked.one_call_only


@pytest.mark.parametrize(
    ("word", "mode"),
    [
        ("auto", inference.ToolChoice.MODE_AUTO),
        ("none", inference.ToolChoice.MODE_NONE),
        ("required", inference.ToolChoice.MODE_REQUIRED),
    ],
)
def test_a_mode_of_choosing_arrives(word: str, mode: int) -> None:
    assert _read(tools=[TOOL], tool_choice=word).request.tool_choice.mode == mode


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, "json"),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
            "json_schema",
        ),
    ],
)
def test_a_format_arrives(given: dict[str, Any], kind: str | None) -> None:
    assert _read(response_format=given).request.response_format.WhichOneof("format") == kind


def test_who_began_a_request_is_said_by_headers() -> None:
    said = {
        "domain": "networking",
        "initiator": "agent",
        "team": "blue",
        "task": "t-1",
        "tags": "a, b,,",
        "accept-substitute": "true",
    }
    headers = [(f"x-deskmesh-{name}".encode(), value.encode()) for name, value in said.items()]
    read = read_headers({"type": "http", "headers": headers})
    assert (read.domain, read.accept_substitute) == ("networking", True)
    assert read.origin == inference.Origin(
        initiator=inference.Origin.INITIATOR_AGENT, team="blue", task_id="t-1", tags=["a", "b"]
    )
