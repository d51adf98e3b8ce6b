"""OpenAI's own client, unmodified, against a real coordinator, node and engine."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import openai
import pytest

from mesh.home import Home
from tests.whole.conftest import attached
from tests.whole.machine import WITHIN_S, Machine

PROMPT: Any = [{"role": "user", "content": "Reverse the word: mesh"}]
CITY: Any = {
    "type": "object",
    "properties": {"city": {"enum": ["Oslo", "Bonn"]}, "days": {"type": "integer", "maximum": 9}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "description": "Tells it.", "parameters": CITY},
}
LONG: Any = [{"role": "user", "content": "Once upon a time"}]


@pytest.fixture(scope="module")
async def tool(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[openai.AsyncOpenAI]:
    home = Home(tmp_path_factory.mktemp("office"))
    office = Machine(home, "office", {"DESKMESH_DISCOVERY__MULTICAST": "false"})
    async with office.running("up") as up:
        await up.says("Ctrl-C stops it")
        await attached(up)
        said = re.search(r"http://localhost:\d+", up.text)
        assert said, up.text
        async with openai.AsyncOpenAI(
            base_url=f"{said[0]}/v1", api_key="none", max_retries=0
        ) as client:
            yield client


async def test_an_answer_is_the_same_whole_and_streamed(tool: openai.AsyncOpenAI) -> None:
    whole = await tool.chat.completions.create(model="auto", messages=PROMPT, temperature=0)
    assert whole.choices[0].message.content == "hsem"
    assert whole.choices[0].finish_reason == "stop"
    stream = await tool.chat.completions.create(
        model="test-tiny",
        messages=PROMPT,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    told = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(told) == "hsem"
    used, streamed = whole.usage, chunks[-1].usage
    assert used is not None
    assert streamed is not None
    assert streamed.completion_tokens == used.completion_tokens > 0
    assert streamed.prompt_tokens == used.prompt_tokens > 0


async def test_a_seed_repeats_an_answer(tool: openai.AsyncOpenAI) -> None:
    said = [
        await tool.chat.completions.create(
            model="auto",
            messages=LONG,
            temperature=2,
            top_p=1,
            seed=seed,
            max_tokens=24,
            extra_body={"top_k": 0, "min_p": 0},  # whatever the model could say
        )
        for seed in (1, 1, 2, -1)
    ]
    texts = [each.choices[0].message.content for each in said]
    assert texts[0] == texts[1]
    assert len({*texts}) > 1
    assert said[0].system_fingerprint


async def test_an_answer_ends_where_it_was_told_to(tool: openai.AsyncOpenAI) -> None:
    stopped = await tool.chat.completions.create(
        model="auto", messages=PROMPT, temperature=0, stop="em"
    )
    assert (stopped.choices[0].message.content, stopped.choices[0].finish_reason) == ("hs", "stop")
    cut = await tool.chat.completions.create(model="auto", messages=LONG, max_completion_tokens=2)
    assert cut.choices[0].finish_reason == "length"
    assert cut.usage is not None
    assert cut.usage.completion_tokens == 2


async def test_log_probabilities_tell_each_token_of_the_text(tool: openai.AsyncOpenAI) -> None:
    told = await tool.chat.completions.create(
        model="auto", messages=PROMPT, temperature=0, logprobs=True, top_logprobs=3
    )
    logprobs = told.choices[0].logprobs
    assert logprobs is not None
    tokens = logprobs.content or []
    spelt = b"".join(bytes(each.bytes or []) for each in tokens)
    assert spelt == b"hsem"
    for each in tokens:
        assert each.logprob <= 0
        assert len(each.top_logprobs) == 3
        assert each.top_logprobs[0].token == each.token  # greedy


async def test_a_prompt_longer_than_the_context_is_told_as_openai_does(
    tool: openai.AsyncOpenAI,
) -> None:
    for words in (2_000, 200_000):  # what the node counts, and what the coordinator knows already
        prompt: Any = [{"role": "user", "content": "word " * words}]
        with pytest.raises(openai.BadRequestError) as refused:
            await tool.chat.completions.create(model="auto", messages=prompt)
        assert refused.value.code == "context_length_exceeded"


async def test_many_clients_that_leave_take_no_slot_with_them(tool: openai.AsyncOpenAI) -> None:
    async def leaves() -> None:
        stream = await tool.chat.completions.create(model="auto", messages=LONG, stream=True)
        async for _ in stream:
            break
        await stream.close()

    async with asyncio.timeout(WITHIN_S):
        await asyncio.gather(*(leaves() for _ in range(20)))
        after = await tool.chat.completions.create(model="auto", messages=PROMPT, temperature=0)
    assert after.choices[0].message.content == "hsem"


async def test_a_required_tool_is_called_and_its_result_is_heard(tool: openai.AsyncOpenAI) -> None:
    conversation = [*PROMPT]
    asked: Any = {"model": "auto", "messages": conversation, "tools": [WEATHER], "temperature": 0}
    called = await tool.chat.completions.create(**asked, tool_choice="required")
    [choice] = called.choices
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "weather"
    jsonschema.validate(json.loads(call.function.arguments), CITY)
    assert not choice.message.content

    conversation.append(choice.message.model_dump(exclude_none=True))
    conversation.append({"role": "tool", "tool_call_id": call.id, "content": "rain"})
    told = await tool.chat.completions.create(**asked, max_tokens=64)
    assert told.choices[0].finish_reason in ("stop", "length")
    assert told.choices[0].message.content


async def test_a_streamed_call_comes_whole(tool: openai.AsyncOpenAI) -> None:
    named: Any = {"type": "function", "function": {"name": "weather"}}
    stream = await tool.chat.completions.create(
        model="auto", messages=PROMPT, tools=[WEATHER], tool_choice=named, stream=True, seed=1
    )
    choices = [choice async for chunk in stream for choice in chunk.choices]
    [call] = [call for choice in choices for call in choice.delta.tool_calls or ()]
    assert call.function is not None
    assert (call.index, call.function.name) == (0, "weather")
    jsonschema.validate(json.loads(call.function.arguments or ""), CITY)
    assert not "".join(choice.delta.content or "" for choice in choices)
    assert choices[-1].finish_reason == "tool_calls"


async def test_an_answer_has_the_form_that_its_schema_gives(tool: openai.AsyncOpenAI) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}
    told = await tool.chat.completions.create(
        model="auto", messages=PROMPT, response_format=form, temperature=0
    )
    assert told.choices[0].finish_reason == "stop"
    jsonschema.validate(json.loads(told.choices[0].message.content or ""), CITY)


async def test_a_tool_that_cannot_be_enforced_is_named(tool: openai.AsyncOpenAI) -> None:
    odd: Any = {"type": "object", "properties": {"a": {"not": {}}}}
    bad: Any = {"type": "function", "function": {"name": "odd", "parameters": odd}}
    with pytest.raises(openai.BadRequestError, match=r"tool odd: .*not"):
        await tool.chat.completions.create(
            model="auto", messages=PROMPT, tools=[WEATHER, bad], tool_choice="required"
        )
