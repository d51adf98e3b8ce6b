"""A streamed answer: one chunk an event, whatever a model says."""

import asyncio
import json
from typing import Any

import pytest

from mesh.errors import AnswerLost
from mesh.testing import delta, finished, started
from mesh.v1 import inference_pb2 as inference
from tests.mesh.door.conftest import ASKED, MESSAGES, Served

DONE = "[DONE]"


def _events(text: str) -> list[str]:
    """Read ``text`` as the standard for server-sent events says, and give each event's data."""
    assert text.endswith("\n\n")
    events = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        [line] = block.splitlines()  # which also splits at U+2028 and its like
        name, _, data = line.partition(": ")
        assert name == "data"
        events.append(data)
    return events


def _chunks(text: str) -> list[dict[str, Any]]:
    *chunks, done = _events(text)
    assert done == DONE
    return [json.loads(each) for each in chunks]


async def test_an_answer_streams_as_chunks_of_one_id(served: Served) -> None:
    answered = await served.chat({"x-deskmesh-request-id": "r1"}, stream=True)
    assert answered.status_code == 200
    assert answered.headers["content-type"] == "text/event-stream; charset=utf-8"
    chunks = _chunks(answered.text)
    for chunk in chunks:
        chunk.pop("deskmesh", None)
        assert isinstance(chunk.pop("created"), int)
        assert (
            chunk.items()
            >= {
                "id": "chatcmpl-r1",
                "object": "chat.completion.chunk",
                "model": "qwen",
                "system_fingerprint": "n",
            }.items()
        )
        assert "usage" not in chunk
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [(each["delta"], each["finish_reason"]) for each in choices] == [
        ({"role": "assistant", "content": "", "refusal": None}, None),
        ({"content": "hel"}, None),
        ({"content": "lo"}, None),
        ({}, "stop"),
    ]
    assert all(each["index"] == 0 and each["logprobs"] is None for each in choices)


async def test_what_is_known_at_the_first_token_is_in_the_headers(served: Served) -> None:
    served.asking.script = (started(node="old"), started(why="near\nby"), delta("a"), finished())
    answered = await served.chat(stream=True)
    assert answered.headers["x-deskmesh-node"] == "desk"
    assert answered.headers["x-deskmesh-model"] == "qwen"
    assert answered.headers["x-deskmesh-tier"] == "mesh"
    assert answered.headers["x-deskmesh-why"] == "near%0Aby"
    assert answered.headers["x-request-id"] == answered.headers["x-deskmesh-request-id"]


async def test_the_receipt_is_in_the_last_chunk(served: Served) -> None:
    [*_, last] = _chunks((await served.chat(stream=True)).text)
    assert last["deskmesh"]["policy"] == "balanced"


async def test_usage_comes_in_a_chunk_of_its_own_where_it_was_asked_for(served: Served) -> None:
    answered = await served.chat(stream=True, stream_options={"include_usage": True})
    [*others, last] = _chunks(answered.text)
    assert all(chunk["usage"] is None for chunk in others)
    assert others[-1]["choices"][0]["finish_reason"] == "stop"
    assert last["choices"] == []
    assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (7, 2)
    assert last["deskmesh"]["policy"] == "balanced"


@pytest.mark.parametrize(
    "said",
    [
        '\n\ndata: {"choices":[]}\n\ndata: [DONE]\n\n',
        "\r\n\r\nevent: error\r\ndata: x\r\r",
        "a\u2028b\u2029c\u0085d\x0b\x0c\x1c\x00",
        '"},"finish_reason":"stop"}]}',
        "\ufeff\U0001f600 \\u000a \\",
    ],
)
async def test_what_a_model_says_cannot_forge_an_event(served: Served, said: str) -> None:
    call = inference.ToolCall(id=said, name=said, arguments_json=said)
    served.asking.script = (
        started(model=said, numerics=said),
        delta(said),
        delta(reasoning=said, tool_calls=[call]),
        finished(why=said),
    )
    first, text, thought, last = _chunks((await served.chat(stream=True)).text)
    assert first["model"] == first["system_fingerprint"] == said
    assert text["choices"][0]["delta"] == {"content": said}
    assert thought["choices"][0]["delta"]["reasoning_content"] == said
    [told] = thought["choices"][0]["delta"]["tool_calls"]
    assert (told["id"], told["function"]) == (said, {"name": said, "arguments": said})
    assert last["deskmesh"]["why"] == said


async def test_tool_calls_stream_by_index(served: Served) -> None:
    calls = [("c1", "weather", "{"), ("c1", "", "}"), ("", "", " "), ("c2", "time", "{}")]
    deltas = [
        delta(tool_calls=[inference.ToolCall(id=key, name=name, arguments_json=arguments)])
        for key, name, arguments in calls
    ]
    last = finished(inference.FINISH_REASON_TOOL_CALLS)
    served.asking.script = (started(), *deltas, last)
    _, *told, end = _chunks((await served.chat(stream=True)).text)
    pieces = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in told]
    assert [each["index"] for each in pieces] == [0, 0, 0, 1]
    assert [each.get("id") for each in pieces] == ["c1", None, None, "c2"]
    assert end["choices"][0]["finish_reason"] == "tool_calls"


async def test_log_probabilities_stream_with_their_text(served: Served) -> None:
    token = inference.TokenLogprobs(id=7, logprob=-0.25, text=b"a")
    served.asking.script = (started(), delta("a", logprobs=[token]), finished())
    asked = await served.chat(stream=True, logprobs=True)
    assert _chunks(asked.text)[1]["choices"][0]["logprobs"] == {
        "content": [{"token": "a", "logprob": -0.25, "bytes": [97], "top_logprobs": []}],
        "refusal": None,
    }
    unasked = await served.chat(stream=True)
    assert _chunks(unasked.text)[1]["choices"][0]["logprobs"] is None


async def test_an_answer_without_a_token_still_begins_and_ends(served: Served) -> None:
    served.asking.script = (started(), finished())
    first, last = _chunks((await served.chat(stream=True)).text)
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert last["choices"][0]["finish_reason"] == "stop"


async def test_a_failure_amid_a_stream_is_told_in_it_and_never_as_done(served: Served) -> None:
    served.asking.script = (started(), delta("half "), AnswerLost("the desk burnt down"))
    told = _events((await served.chat(stream=True)).text)
    assert json.loads(told[-1]) == {
        "error": {
            "message": "the desk burnt down",
            "type": "server_error",
            "param": None,
            "code": "answer_lost",
        }
    }
    served.asking.script = (started(), delta("half "))
    told = _events((await served.chat(stream=True)).text)
    assert json.loads(told[-1])["error"]["code"] == "answer_lost"


async def test_the_first_token_does_not_wait_for_the_second(served: Served) -> None:
    second = asyncio.Event()
    served.asking.script = (started(), delta("one"), second, delta("two"), finished())
    body = {**ASKED, "stream": True}
    async with served.http.stream("POST", "/v1/chat/completions", json=body) as answered:
        pieces = answered.aiter_text()
        seen = ""
        while "one" not in seen:
            seen += await anext(pieces)
        assert "two" not in seen
        second.set()
        seen += "".join([piece async for piece in pieces])
    assert len(_chunks(seen)) == 4


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_ends_its_answer(served: Served, stream: bool) -> None:
    served.asking.script = (started(), delta("one"), asyncio.Event(), finished())
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    body = json.dumps({"model": "auto", "messages": MESSAGES, "stream": stream}).encode()
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    )
    if stream:
        await reader.readuntil(b"one")
    else:
        await served.asking.begun.wait()
    writer.close()
    await asyncio.wait_for(served.asking.closed.wait(), 10)
