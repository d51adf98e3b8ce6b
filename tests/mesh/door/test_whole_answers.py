"""An answer that is told at its end: OpenAI's shape, and the receipt in it and in headers."""

import json
from urllib.parse import unquote

import pytest

from mesh.door import whole
from mesh.errors import (
    AnswerLost,
    ContextOverflow,
    DeadlineExceeded,
    ModelNotFound,
    NoCapableNode,
    Overloaded,
)
from mesh.testing import delta, finished, started
from mesh.v1 import inference_pb2 as inference
from tests.mesh.door.conftest import Served

RECEIPT = inference.Receipt(
    request_id="r1",
    tier=inference.TIER_CLOUD,
    policy="balanced",
    why="the only one that could",
    first_token_s=0.25,
    cost_microusd=1200,
    saved_microusd=34,
    attempts=[
        inference.Attempt(node_name="gone", model_name="qwen", outcome="node_lost"),
        inference.Attempt(node_name="desk", model_name="qwen", outcome="answered"),
    ],
)


def _call(call_id: str, name: str, arguments: str) -> inference.ToolCall:
    return inference.ToolCall(id=call_id, name=name, arguments_json=arguments)


async def test_an_answer_has_the_shape_of_a_chat_completion(served: Served) -> None:
    answered = await served.chat({"x-deskmesh-request-id": "r1"})
    assert answered.status_code == 200
    body = answered.json()
    del body["deskmesh"]
    assert body.pop("created") > 1_700_000_000
    assert body == {
        "id": "chatcmpl-r1",
        "object": "chat.completion",
        "model": "qwen",
        "system_fingerprint": "n",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 2,
            "total_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


async def test_the_receipt_is_in_the_headers_and_in_the_body(served: Served) -> None:
    told = inference.GenerationFinished(
        reason=inference.FINISH_REASON_LENGTH, usage=inference.Usage(), receipt=RECEIPT
    )
    served.asking.script = (started(), delta("a"), inference.GenerateEvent(finished=told))
    answered = await served.chat({"x-deskmesh-request-id": "r1"})
    ours = {
        name.removeprefix("x-deskmesh-"): value
        for name, value in answered.headers.items()
        if name.startswith("x-deskmesh-")
    }
    assert (
        ours.items()
        >= {
            "request-id": "r1",
            "model": "qwen",
            "node": "desk",
            "policy": "balanced",
            "attempts": "2",
            "first-token-s": "0.250000",
            "cost-microusd": "1200",
            "saved-microusd": "34",
        }.items()
    )
    assert answered.headers["x-request-id"] == "r1"
    assert [each["outcome"] for each in answered.json()["deskmesh"]["attempts"]] == [
        "node_lost",
        "answered",
    ]
    assert answered.json()["choices"][0]["finish_reason"] == "length"


async def test_a_name_cannot_forge_a_header(served: Served) -> None:
    name = "desk\r\nset-cookie: a=b\r\n\r\n<html>é%0d"
    served.asking.script = (started(node=name), delta("a"), finished())
    answered = await served.chat()
    assert answered.status_code == 200
    assert "set-cookie" not in answered.headers
    assert unquote(answered.headers["x-deskmesh-node"]) == name


async def test_tool_calls_are_collected_from_their_pieces(served: Served) -> None:
    served.asking.script = (
        started(),
        delta(tool_calls=[_call("c1", "weather", '{"city":')]),
        delta(tool_calls=[_call("c1", "", '"Bonn"}'), _call("c2", "time", "{}")]),
        finished(inference.FINISH_REASON_TOOL_CALLS),
    )
    [choice] = (await served.chat()).json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Bonn"}'},
        },
        {"id": "c2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    ]


async def test_only_one_call_is_told_where_one_was_asked_for(served: Served) -> None:
    tool = {"type": "function", "function": {"name": "weather"}}
    served.asking.script = (
        started(),
        delta(tool_calls=[_call("c1", "weather", "{}"), _call("c2", "weather", "{}")]),
        finished(inference.FINISH_REASON_TOOL_CALLS),
    )
    answered = await served.chat(tools=[tool], parallel_tool_calls=False)
    [call] = answered.json()["choices"][0]["message"]["tool_calls"]
    assert call["id"] == "c1"


async def test_thoughts_are_kept_apart(served: Served) -> None:
    served.asking.script = (started(), delta(reasoning="hm, "), delta("yes"), finished())
    message = (await served.chat()).json()["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"]) == ("yes", "hm, ")


async def test_log_probabilities_are_told_to_those_who_ask(served: Served) -> None:
    likely = inference.TokenLogprobs.Alternative(id=8, logprob=-0.5, text=b"b")
    half = inference.TokenLogprobs(id=7, logprob=float("-inf"), text=b"\xc3", alternatives=[likely])
    served.asking.script = (started(), delta("é", logprobs=[half]), finished())
    assert (await served.chat()).json()["choices"][0]["logprobs"] is None
    answered = await served.chat(logprobs=True, top_logprobs=1)
    assert served.asking.asked[-1].logprobs == 1
    [token] = answered.json()["choices"][0]["logprobs"]["content"]
    assert token == {
        "token": "\ufffd",
        "logprob": -9999.0,
        "bytes": [0xC3],
        "top_logprobs": [{"token": "b", "logprob": -0.5, "bytes": [98]}],
    }


async def test_a_number_that_is_none_is_told_as_null(served: Served) -> None:
    served.asking.script = (started(), delta("a"), finished(tokens_per_s=float("nan")))
    answered = await served.chat()
    assert json.loads(answered.content, parse_constant=pytest.fail)["deskmesh"]["tokens_per_s"] is (
        None
    )


async def test_another_machine_may_take_over_before_the_first_token(served: Served) -> None:
    served.asking.script = (started(node="gone"), started(node="desk"), delta("a"), finished())
    assert (await served.chat()).headers["x-deskmesh-node"] == "desk"


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ModelNotFound("no"), (404, "invalid_request_error", "model_not_found", "false")),
        (ContextOverflow("no"), (400, "invalid_request_error", "context_length_exceeded", "false")),
        (NoCapableNode("no"), (503, "server_error", "no_capable_node", "false")),
        (Overloaded("no"), (429, "rate_limit_error", "overloaded", "true")),
        (DeadlineExceeded("no"), (504, "server_error", "deadline_exceeded", "false")),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_has_a_status_even_where_a_stream_was_asked_for(
    served: Served, failure: Exception, told: tuple[int, str, str, str], stream: bool
) -> None:
    status, kind, code, retry = told
    event = inference.GenerationFailed(receipt=RECEIPT)
    served.asking.script = (inference.GenerateEvent(failed=event), failure)
    failed = await served.chat(stream=stream)
    assert failed.status_code == status
    error = failed.json()["error"]
    assert error == {"message": "no", "type": kind, "param": None, "code": code}
    assert failed.headers["x-should-retry"] == retry
    assert failed.headers.get("retry-after") == ("1" if status == 429 else None)
    assert len(failed.json()["deskmesh"]["attempts"]) == 2
    assert failed.headers["x-deskmesh-attempts"] == "2"


async def test_a_wait_that_somebody_knows_is_told(served: Served) -> None:
    told = inference.GenerationFailed(retry_after_ms=2_500)
    served.asking.script = (inference.GenerateEvent(failed=told), Overloaded("full"))
    assert (await served.chat()).headers["retry-after"] == "3"


async def test_half_an_answer_is_not_told_as_a_whole_one(served: Served) -> None:
    served.asking.script = (started(), delta("half "), AnswerLost("the desk burnt down"))
    failed = await served.chat()
    assert failed.status_code == 502
    assert "half" not in failed.text
    served.asking.script = (started(), delta("half "))
    assert (await served.chat()).json()["error"]["code"] == "answer_lost"


async def test_an_endless_answer_is_cut_off(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "ANSWER_BYTES_MAX", 1000)
    served.asking.script = (started(), *[delta("x" * 100)] * 20, finished())
    failed = await served.chat()
    assert failed.status_code == 502
    assert "grew past" in failed.json()["error"]["message"]
    assert served.asking.closed.is_set()
