"""Whatever is wrong with a body or header is told as OpenAI tells it, and never with its text."""

import json
from typing import Any

import pytest

from mesh.door import body as bodies
from mesh.errors import ERROR_MESSAGE_CHARACTERS_MAX
from tests.mesh.door.conftest import ASKED, MESSAGES, Served

SECRET = "hunter2 is the password"
TOOL = {"type": "function", "function": {"name": "f"}}


def _with(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


def _part(**part: Any) -> dict[str, Any]:
    return _with({"role": "user", "content": [part]})


WRONG: list[tuple[dict[str, Any], str | None, str]] = [
    # what is wrong, the parameter that is at fault, the code
    ({"model": None}, "model", "invalid_type"),
    ({"model": ""}, "model", "empty_string"),
    ({"model": 3}, "model", "invalid_type"),
    ({"model": "m" * 257}, "model", "string_above_max_length"),
    ({"messages": []}, "messages", "empty_array"),
    ({"messages": SECRET}, "messages", "invalid_type"),
    ({"messages": [{"role": "user", "content": "x"}] * 5000}, "messages", "array_above_max_length"),
    (_with(SECRET), "messages[0]", "invalid_type"),
    (_with({"content": SECRET}), "messages[0].role", "missing_required_parameter"),
    (_with({"role": SECRET, "content": SECRET}), "messages[0].role", "invalid_value"),
    (_with({"role": 3, "content": SECRET}), "messages[0].role", "invalid_type"),
    (_with(*MESSAGES, {"role": "user"}), "messages[1].content", "missing_required_parameter"),
    (_with({"role": "user", "content": 7}), "messages[0].content", "invalid_type"),
    (_with({"role": "user", "content": None}), "messages[0].content", "invalid_type"),
    (_with({"role": "user", "content": []}), "messages[0].content", "empty_array"),
    (_with({"role": "user", "content": SECRET, "x": 1}), "messages[0].x", "unknown_parameter"),
    (_with({"role": "user", "content": "x", "name": "a b"}), "messages[0].name", "invalid_value"),
    (_with({"role": "assistant"}), "messages[0].content", "invalid_value"),
    (
        _with({"role": "tool", "content": "x"}),
        "messages[0].tool_call_id",
        "missing_required_parameter",
    ),
    (
        _with({"role": "tool", "content": "x", "tool_call_id": "none"}),
        "messages[0].tool_call_id",
        "invalid_value",
    ),
    (_part(type="text"), "messages[0].content[0].text", "missing_required_parameter"),
    (_part(type="input_audio"), "messages[0].content[0].type", "invalid_value"),
    (_part(type="refusal", refusal="no"), "messages[0].content[0].type", "invalid_value"),
    (
        _part(type="image_url", image_url={"url": "https://example.com/a.png"}),
        "messages[0].content[0].image_url.url",
        "invalid_image_url",
    ),
    (
        _part(type="image_url", image_url={"url": "data:image/png;base64,!!"}),
        "messages[0].content[0].image_url.url",
        "invalid_value",
    ),
    ({"temperature": -0.1}, "temperature", "decimal_below_min_value"),
    ({"temperature": 2.1}, "temperature", "decimal_above_max_value"),
    ({"temperature": "1"}, "temperature", "invalid_type"),
    ({"temperature": True}, "temperature", "invalid_type"),
    ({"top_p": 1.5}, "top_p", "decimal_above_max_value"),
    ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
    ({"max_tokens": -5}, "max_tokens", "integer_below_min_value"),
    ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
    ({"max_tokens": 2**63}, "max_tokens", "integer_above_max_value"),
    ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens", "invalid_value"),
    ({"seed": 2**63}, "seed", "integer_above_max_value"),
    ({"seed": 10**300}, "seed", "integer_above_max_value"),
    ({"n": 2}, "n", "unsupported_parameter"),
    ({"n": 0}, "n", "integer_below_min_value"),
    ({"stop": ["a"] * 5}, "stop", "array_above_max_length"),
    ({"stop": ""}, "stop", "empty_string"),
    ({"stop": [3]}, "stop[0]", "invalid_type"),
    ({"logit_bias": {"5": 101}}, "logit_bias.'5'", "integer_above_max_value"),
    ({"logit_bias": {"a": 1}}, "logit_bias.a", "invalid_value"),
    ({"logit_bias": [5]}, "logit_bias", "invalid_type"),
    ({"logprobs": 3}, "logprobs", "invalid_type"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "integer_above_max_value"),
    ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
    ({"stream": "yes"}, "stream", "invalid_type"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    (
        {"response_format": {"type": "json_schema"}},
        "response_format.json_schema",
        "missing_required_parameter",
    ),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
    (
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        "tools[0].function.name",
        "invalid_value",
    ),
    ({"tools": [TOOL] * 129}, "tools", "array_above_max_length"),
    ({"tool_choice": "auto"}, "tool_choice", "invalid_value"),
    ({"tools": [TOOL], "tool_choice": "some"}, "tool_choice", "invalid_value"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "tool_choice",
        "invalid_value",
    ),
    ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
    ({"best_of": 3}, "best_of", "unknown_parameter"),
]


@pytest.mark.parametrize(("wrong", "param", "code"), WRONG)
async def test_a_wrong_parameter_is_named(
    served: Served, wrong: dict[str, Any], param: str, code: str
) -> None:
    refused = await served.chat(**wrong)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"
    assert 0 < len(error["message"]) <= ERROR_MESSAGE_CHARACTERS_MAX
    assert SECRET not in refused.text
    assert refused.headers["x-should-retry"] == "false"
    assert not served.asking.asked


async def test_a_missing_model_is_asked_for(served: Served) -> None:
    refused = await served.http.post("/v1/chat/completions", json={"messages": MESSAGES})
    assert refused.status_code == 400
    assert "you must provide a model parameter" in refused.json()["error"]["message"]


async def test_an_unknown_argument_is_refused_in_the_words_of_openai(served: Served) -> None:
    refused = await served.chat(best_of=2)
    assert refused.json()["error"]["message"] == "Unrecognized request argument supplied: best_of"


DEEP = b'{"model":"auto","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "valid JSON"),
        (b"{", "valid JSON"),
        (b"[]", "must be an object"),
        (b'"text"', "must be an object"),
        (b'{"model": "auto"', "valid JSON"),
        (b'{"model": "\xff\xfe"}', "not valid UTF-8"),
        (b'{"temperature": NaN}', "no JSON numbers"),
        (b'{"temperature": -Infinity}', "no JSON numbers"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "a number is too long"),
        (b'{"model": "a", "model": "b"}', "same key twice"),
        (DEEP, "nested too deeply"),
        (b'{"messages": [' + b"{}," * 300_000 + b"{}]}", "more values"),
        (b'{"messages": [' + b'"",' * 300_000 + b'""]}', "more values"),
    ],
)
async def test_what_is_no_json_object_is_refused(served: Served, body: bytes, says: str) -> None:
    refused = await _post(served, body)
    assert refused.status_code == 400
    assert says in refused.json()["error"]["message"]
    assert refused.json()["error"]["code"] == "invalid_json"


@pytest.mark.parametrize(
    "half",
    [
        {"model": "\udc00"},
        {"\ud800": 1},
        {"stop": ["\ud800"]},
        {"messages": [{"role": "user", "content": "\ud800"}]},
        {"messages": [{"role": "user", "content": "x", "\ud800": 1}]},
        {"messages": [{"role": "user", "content": "x", "name": "\ud800"}]},
        {"tools": [{**TOOL, "function": {"name": "f", "parameters": {"\ud800": 1}}}]},
    ],
)
async def test_half_a_character_is_refused(served: Served, half: dict[str, Any]) -> None:
    refused = await _post(served, json.dumps(ASKED | half).encode())
    assert refused.status_code == 400
    assert "not valid Unicode" in refused.json()["error"]["message"]
    assert refused.json()["error"]["param"] != ""


MANY: dict[str, Any] = {f"k{index}": 1 for index in range(65)}


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        (MANY, None),
        ({"messages": [{"role": "user", "content": "x", **MANY}]}, "messages[0]"),
        ({"tools": [{"type": "function", "function": {"name": "f", **MANY}}]}, "tools[0].function"),
    ],
)
async def test_a_herd_of_unknown_keys_is_one_error(
    served: Served, wrong: dict[str, Any], param: str | None
) -> None:
    """As many errors would hold up everybody's answers."""
    refused = await served.chat(**wrong)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == param
    assert "more than 64 keys" in refused.json()["error"]["message"]


async def test_a_schema_may_have_as_many_keys_as_it_likes(served: Served) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": MANY}}}
    assert (await served.chat(tools=[tool])).status_code == 200


async def test_a_text_is_as_long_as_openai_takes_it(served: Served) -> None:
    longest = "x" * 10 * 1024 * 1024
    assert (await served.chat(messages=[{"role": "user", "content": longest}])).status_code == 200
    for content in (longest + "x", [{"type": "text", "text": longest + "x"}]):
        refused = await served.chat(messages=[{"role": "user", "content": content}])
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "string_above_max_length"


async def test_a_number_that_no_float_can_hold_is_refused(served: Served) -> None:
    body = b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "top_p": 1e999}'
    refused = await _post(served, body)
    assert refused.json()["error"]["param"] == "top_p"
    schema = body.replace(
        b'"top_p": 1e999',
        b'"tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": 1e999}}}]',
    )
    refused = await _post(served, schema)
    assert refused.json()["error"]["param"] == "tools[0].function.parameters"


async def test_a_long_prompt_full_of_brackets_is_no_attack(served: Served) -> None:
    prompt = 'a \\ "{[,' * 1_250_000  # 10 MB
    answered = await served.chat(messages=[{"role": "user", "content": prompt}])
    assert answered.status_code == 200
    assert served.asking.asked[0].messages[0].parts[0].text == prompt


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
)
async def test_another_content_type_is_refused(served: Served, kind: str) -> None:
    refused = await _post(served, b"{}", {"content-type": kind})
    assert refused.status_code == 415
    assert refused.json()["error"]["code"] == "unsupported_content_type"


async def test_a_compressed_body_is_refused(served: Served) -> None:
    refused = await _post(served, b"{}", {"content-encoding": "gzip"})
    assert refused.status_code == 415


async def test_a_body_over_the_limit_is_refused_by_its_length(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_BYTES_MAX", 1000)
    refused = await _post(served, b" " * 1001)
    assert refused.status_code == 413
    assert refused.json()["error"]["code"] == "request_too_large"
    assert (await served.chat()).status_code == 200


async def test_a_body_over_the_limit_is_refused_while_it_comes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_BYTES_MAX", 1000)

    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 100

    refused = await served.http.post(
        "/v1/chat/completions", content=endless(), headers={"content-type": "application/json"}
    )
    assert refused.status_code == 413


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-deskmesh-tier", "moon"),
        ("x-deskmesh-policy", "very greedy"),
        ("x-deskmesh-session", "s" * 129),
        ("x-deskmesh-session", "a\tb"),
        ("x-deskmesh-timeout-s", "soon"),
        ("x-deskmesh-timeout-s", "0"),
        ("x-deskmesh-timeout-s", "nan"),
        ("x-deskmesh-timeout-s", "1e9"),
        ("x-deskmesh-request-id", "a b"),
        ("x-request-id", "i" * 65),
        ("x-deskmesh-teir", "device"),
        ("x-deskmesh-domain", "d" * 65),
        ("x-deskmesh-team", "a\tb"),
        ("x-deskmesh-initiator", "ghost"),
        ("x-deskmesh-accept-substitute", "maybe"),
    ],
)
async def test_a_header_that_says_nothing_true_is_refused(
    served: Served, name: str, value: str
) -> None:
    refused = await served.chat({name: value})
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "invalid_header"
    assert refused.json()["error"]["param"] == name
    assert not served.asking.asked


async def test_a_header_given_twice_is_refused(served: Served) -> None:
    twice = [("x-deskmesh-tier", "cloud"), ("x-deskmesh-tier", "device")]
    refused = await served.http.post("/v1/chat/completions", json=ASKED, headers=twice)
    assert refused.status_code == 400


async def test_a_bug_is_told_without_its_words(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    served.asking.script = (ValueError(SECRET),)
    broken = await served.chat()
    assert broken.status_code == 500
    assert broken.json()["error"]["code"] == "internal_error"
    assert SECRET not in broken.text + caplog.text
    assert "ValueError at" in caplog.text


async def _post(served: Served, body: bytes, headers: dict[str, str] | None = None) -> Any:
    given = {"content-type": "application/json"} | (headers or {})
    return await served.http.post("/v1/chat/completions", content=body, headers=given)
