"""An engine asked over HTTP, on a real socket: what it is asked, and what its answers mean."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from mesh.core.chat import Form, FormKind, Image, Message, Role, Tool, ToolCall
from mesh.core.generation import (
    Delta,
    Finished,
    Generation,
    GenerationEvent,
    Resume,
    Sampling,
    Started,
)
from mesh.core.types import Capability, FinishReason
from mesh.errors import ContextOverflow, NodeLost, Unsupported
from node_agent.adopted.kinds import Kind
from node_agent.adopted.openai_engine import OpenAiEngine
from tests.coordinator.cloud.played_upstream import Asked, PlayedUpstream, delta, usage

HELLO = Generation((Message(Role.USER, "hello"),), Sampling(temperature=0.0, seed=7), 50)


def answering(
    engine: OpenAiEngine, work: Generation = HELLO
) -> AsyncGenerator[GenerationEvent, None]:
    return engine.generate(work)


async def answer(engine: OpenAiEngine, work: Generation = HELLO) -> list[GenerationEvent]:
    async with asyncio.timeout(5):
        return [event async for event in answering(engine, work)]


def text(events: list[GenerationEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


async def test_an_answer_comes_token_by_token_with_offsets_and_usage(engine: OpenAiEngine) -> None:
    started, *deltas, finished = await answer(engine)
    assert started == Started((), 0, 1024, "")
    assert text(deltas) == "hello"
    offset = 0
    for event in deltas:
        assert isinstance(event, Delta)
        assert (event.token_offset, event.ids) == (offset, ())
        offset += event.tokens
    assert offset == 2
    assert isinstance(finished, Finished)
    assert finished.reason is FinishReason.STOP
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens) == (10, 2)
    assert not finished.usage.estimated
    assert engine.crowd.running == 0


async def test_usage_that_is_not_told_is_estimated_and_marked(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    server.behave = lambda asked: asked.answer("a", "b", "c")
    finished = (await answer(engine))[-1]
    assert isinstance(finished, Finished)
    assert finished.usage.estimated
    assert finished.usage.completion_tokens == 3


async def test_it_is_asked_for_what_the_request_says(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    work = Generation(
        (
            Message(Role.SYSTEM, "be brief"),
            Message(Role.USER, "look"),
            Message(Role.ASSISTANT, "", (ToolCall("c1", "look", "{}"),)),
            Message(Role.TOOL, "a mesh", tool_call_id="c1"),
        ),
        Sampling(temperature=0.5, top_k=3, min_p=0.1, seed=2**31 + 5, logit_bias=((9, -5.0),)),
        max_tokens=12,
        stop=("END",),
        logprobs=2,
        tools=(Tool("look", "looks", '{"type":"object"}'),),
        form=Form(FormKind.JSON_SCHEMA, '{"type":"object"}'),
    )
    await answer(engine, work)
    [asked] = server.asked
    assert asked.line.startswith("POST /v1/chat/completions ")
    body: dict[str, Any] = asked.body
    assert [each["role"] for each in body["messages"]] == ["system", "user", "assistant", "tool"]
    assert body["messages"][2]["tool_calls"][0]["function"]["name"] == "look"
    assert body["tools"][0]["function"]["parameters"] == {"type": "object"}
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert (body["model"], body["max_tokens"], body["stop"]) == ("tiny", 12, ["END"])
    assert (body["temperature"], body["top_k"], body["min_p"]) == (0.5, 3, 0.1)
    assert (body["seed"], body["logit_bias"]) == (5, {"9": -5.0})
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)


async def test_all_there_is_asks_for_no_number(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    await answer(engine, replace(HELLO, max_tokens=2**31 - 1))
    assert "max_tokens" not in server.asked[0].body


async def test_a_grammar_goes_to_llama_cpp_and_to_nobody_else(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    grammar = replace(HELLO, form=Form(FormKind.GRAMMAR, 'root ::= "a"'))
    await answer(engine, grammar)
    assert server.asked[0].body["grammar"] == 'root ::= "a"'
    engine.kind = Kind.OLLAMA
    with pytest.raises(Unsupported, match="GBNF"):
        await answer(engine, grammar)
    assert len(server.asked) == 1


async def test_it_goes_on_with_nobodys_answer(engine: OpenAiEngine, server: PlayedUpstream) -> None:
    assert Capability.RESUME not in engine.info.capabilities
    with pytest.raises(Unsupported, match="cannot go on"):
        await answer(engine, replace(HELLO, resume=Resume((1,), (2,))))
    assert server.asked == []


async def test_tool_calls_come_whole_with_an_id_and_arguments(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    async def calls(asked: Asked) -> None:
        await asked.begin()
        first = {"index": 0, "id": "call:1!", "function": {"name": "look", "arguments": '{"a"'}}
        await asked.event(delta({"tool_calls": [first]}))
        await asked.event(delta({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}))
        await asked.event(delta({"tool_calls": [{"index": 1, "function": {"name": "stop"}}]}))
        await asked.event(delta({}, "stop"))  # as some engines end it
        await asked.done()

    server.behave = calls
    events = await answer(engine)
    called = [call for event in events if isinstance(event, Delta) for call in event.tool_calls]
    assert called == [ToolCall("call1", "look", '{"a":1}'), ToolCall("call_2", "stop", "{}")]
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.reason is FinishReason.TOOL_CALLS


async def test_log_probabilities_are_bounded_and_no_more_than_were_asked_for(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    async def tells(asked: Asked) -> None:
        await asked.begin()
        top = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -2.0}]
        told = {"token": "a", "logprob": -1e30, "top_logprobs": top}
        choice = delta({"content": "a"})
        choice["choices"][0]["logprobs"] = {"content": [told]}
        await asked.event(choice)
        await asked.event(delta({}, "stop"))
        await asked.done()

    server.behave = tells
    [_, first, _] = await answer(engine, replace(HELLO, logprobs=1))
    assert isinstance(first, Delta)
    [told] = first.logprobs
    assert told.logprob == -9999.0
    assert len(told.alternatives) == 1
    [_, untold, _] = await answer(engine)
    assert isinstance(untold, Delta)
    assert untold.logprobs == (), "nobody asked"


async def test_closing_an_answer_closes_its_connection_at_once(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    async def goes_on(asked: Asked) -> None:
        await asked.begin()
        await asked.text("once")
        await asked.left()

    server.behave = goes_on
    async with aclosing(answering(engine)) as events:
        await anext(events)
        assert isinstance(await anext(events), Delta)
        assert engine.crowd.running == 1
    assert engine.crowd.running == 0
    await server.asked[0].left()


async def test_a_task_that_is_cancelled_before_the_first_token_closes_it_too(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    server.behave = lambda asked: asked.left()
    task = asyncio.create_task(answer(engine))
    asked = await server.next()
    task.cancel()
    await asyncio.wait([task])
    await asked.left()
    assert engine.crowd.running == 0


async def test_vectors_are_one_for_each_text_and_of_length_one(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    async def embeds(asked: Asked) -> None:
        data = [{"index": 1, "embedding": [0, 2.0]}, {"index": 0, "embedding": [3.0, 4.0]}]
        told = {"data": data, "usage": {"prompt_tokens": 5}}
        await asked.begin("application/json")
        await asked.send(json.dumps(told).encode())
        await asked.raw(b"0\r\n\r\n")

    with pytest.raises(Unsupported, match="writes text"):
        await engine.embed(["a"])
    engine.told = replace(engine.told, capabilities=frozenset({Capability.EMBED}))
    server.behave = embeds
    made = await engine.embed(["a", "b"])
    assert [[round(each, 6) for each in vector] for vector in made.vectors] == [
        [0.6, 0.8],
        [0.0, 1.0],
    ]
    assert made.prompt_tokens == 5
    assert server.asked[0].body["input"] == ["a", "b"]
    with pytest.raises(Unsupported, match="embeds text"):
        await answer(engine)


@pytest.mark.usefixtures("impatient")
async def test_usage_comes_after_the_answer_or_not_at_all(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    async def never_ends(asked: Asked) -> None:
        await asked.begin()
        await asked.event(delta({"content": "a"}), delta({}, "stop"))
        await asked.left()

    server.behave = never_ends
    finished = (await answer(engine))[-1]
    assert isinstance(finished, Finished), "it was whole"
    assert finished.usage.estimated


async def test_a_length_is_told_as_such(engine: OpenAiEngine, server: PlayedUpstream) -> None:
    server.behave = lambda asked: asked.answer("a", usage=usage(), reason="length")
    finished = (await answer(engine))[-1]
    assert isinstance(finished, Finished)
    assert finished.reason is FinishReason.LENGTH


async def test_what_it_counted_makes_the_next_guess_better_and_never_the_check_laxer(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    engine.kind = Kind.OLLAMA  # of a context of 1,024
    english = replace(HELLO, messages=(Message(Role.USER, "mesh " * 160),))  # 800 bytes
    server.behave = lambda asked: asked.answer("a", usage=usage(160))  # 5 bytes a token
    await answer(engine, english)
    server.behave = lambda asked: asked.answer("a")
    finished = (await answer(engine, english))[-1]
    assert isinstance(finished, Finished)
    assert finished.usage.estimated
    assert finished.usage.prompt_tokens == 160
    chinese = replace(HELLO, messages=(Message(Role.USER, "网" * 1100),))  # three bytes each
    with pytest.raises(ContextOverflow):
        await answer(engine, chinese)
    server.behave = lambda asked: asked.answer("a", usage=usage(800))  # a byte a token
    for _ in range(30):
        await answer(engine, english)
    with pytest.raises(ContextOverflow):
        await answer(engine, replace(HELLO, messages=(Message(Role.USER, "?" * 1400),)))


async def test_tokens_are_counted_by_the_engines_that_document_it(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    async def counts(asked: Asked) -> None:
        path = asked.line.split(" ")[1]
        if path == "/apply-template":
            await whole(asked, {"prompt": "<user>hello"})
        else:
            await whole(asked, {"tokens": [1, 2, 3], "count": 4})

    server.behave = counts
    said, tools = (Message(Role.USER, "hello"),), (Tool("look"),)
    with pytest.raises(Unsupported):
        await engine.count_tokens(said, tools)
    assert server.asked == []
    engine.told = replace(engine.told, counts=True)
    assert await engine.count_tokens(said, tools) == 3
    templated, tokenized = server.asked
    assert templated.body["messages"] == [{"role": "user", "content": "hello"}]
    assert templated.body["tools"][0]["function"]["name"] == "look"
    assert tokenized.body["content"] == "<user>hello"
    engine.kind = Kind.VLLM
    assert await engine.count_tokens(said, tools) == 4
    assert server.asked[-1].body.keys() == {"model", "messages", "tools"}
    server.behave = lambda asked: whole(asked, {"tokens": "many"})
    with pytest.raises(NodeLost):
        await engine.count_tokens(said, tools)


async def whole(asked: Asked, told: object) -> None:
    body = json.dumps(told).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    await asked.raw(f"{head}\r\n\r\n".encode() + body)


async def test_images_are_shown_where_they_stood_and_teach_nothing_of_density(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    shown = Message(Role.USER, "look", images=(Image("image/png", b"x", 2),))
    server.behave = lambda asked: asked.answer("a", usage=usage(800))
    await answer(engine, replace(HELLO, messages=(shown,)))
    assert server.asked[0].body["messages"][0]["content"] == [
        {"type": "text", "text": "lo"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}},
        {"type": "text", "text": "ok"},
    ]
    assert engine.density.likely_tokens(300) == 100
    engine.kind = Kind.OLLAMA  # of a context of 1,024, which would cut what one picture leaves over
    with pytest.raises(ContextOverflow):
        await answer(engine, replace(HELLO, messages=(shown,)))
