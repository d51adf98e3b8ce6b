"""A call that is required is made, and its arguments follow the schema: whatever the model is."""

import asyncio
import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mesh.core.chat import Form, FormKind, Tool, ToolChoice, ToolMode
from mesh.core.generation import Delta, Finished, Generation, Resume, Sampling
from mesh.core.types import FinishReason
from mesh.errors import ContextOverflow, InvalidRequest
from models import tokenizer
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import Heard, ask, hear
from tests.node_agent.engine.gguf_files import RandomModel
from tests.node_agent.engine.schemas import random_schema

SLOTS = 4  # of the engine
SCHEMA_CHARACTERS_MAX = 400
CITY = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Bonn"]}}, "required": ["city"]}
WEATHER = Tool("weather", "Tells it.", json.dumps(CITY))
NOW = Tool("now")


def required(*tools: Tool, name: str = "", seed: int = 0) -> Generation:
    """It may write whatever the grammar lets it, likely or not."""
    sampling = Sampling(temperature=1, top_k=0, top_p=1, min_p=0, seed=seed)
    work = ask("Count from 1 to 60", max_tokens=1024, sampling=sampling)
    return replace(work, tools=tools, tool_choice=ToolChoice(ToolMode.REQUIRED, name))


def call_of(schema: dict[str, Any], seed: int) -> Generation:
    """The model's context is short, so a long schema is not told; it could not read it anyway."""
    told = json.dumps(schema)
    work = required(Tool("f", "", told), seed=seed)
    if len(told) > SCHEMA_CHARACTERS_MAX:
        prompt = (tokenizer.USER, *tokenizer.encode("\nMake a call."), *tokenizer.opening())
        work = replace(work, resume=Resume(prompt, ()))
    return work


async def make_calls(engine: EngineProcess, seeds: range) -> int:
    """Ask for a call of a random tool for each seed; return how many were not cut."""
    whole = 0

    async def one(seed: int) -> None:
        nonlocal whole
        schema = random_schema(random.Random(seed))
        try:
            heard = await hear(engine, call_of(schema, seed))
        except InvalidRequest as failure:
            raise AssertionError(f"seed {seed}: {failure}: {json.dumps(schema)}") from failure
        if heard.finished.reason is FinishReason.LENGTH:
            return
        check(heard, schema, seed)
        whole += 1

    busy = asyncio.Semaphore(SLOTS)

    async def in_turn(seed: int) -> None:
        async with busy:
            await one(seed)

    async with asyncio.TaskGroup() as group:
        for seed in seeds:
            group.create_task(in_turn(seed))
    return whole


def check(heard: Heard, schema: dict[str, Any], seed: int) -> None:
    assert heard.finished.reason is FinishReason.TOOL_CALLS, (seed, heard.text)
    [call] = heard.calls
    assert (call.name, heard.text) == ("f", ""), seed
    jsonschema.validate(json.loads(call.arguments_json), schema)


async def test_required_calls_follow_random_schemas(tiny: EngineProcess) -> None:
    assert await make_calls(tiny, range(25)) >= 24


@pytest.mark.long
async def test_required_calls_follow_five_hundred_random_schemas(tiny: EngineProcess) -> None:
    assert await make_calls(tiny, range(1000, 1500)) >= 490


async def test_the_tool_that_is_named_is_called_and_any_of_several_otherwise(
    tiny: EngineProcess,
) -> None:
    for name in ("now", "weather"):
        [call] = (await hear(tiny, required(WEATHER, NOW, name=name))).calls
        assert call.name == name
        likes = replace(required().sampling, logit_bias=((ord(name[0]), 50.0),))
        [call] = (await hear(tiny, replace(required(WEATHER, NOW), sampling=likes))).calls
        assert call.name == name


async def test_a_tool_without_parameters_is_called_without_arguments(tiny: EngineProcess) -> None:
    [call] = (await hear(tiny, required(NOW))).calls
    assert json.loads(call.arguments_json) == {}


async def test_a_required_call_that_was_cut_goes_on_and_comes_once(tiny: EngineProcess) -> None:
    work = required(WEATHER, seed=3)
    whole = await hear(tiny, work)
    [call] = whole.calls
    for cut in range(0, len(whole.ids) + 1, 7):
        resume = Resume(whole.started.prompt_ids, whole.ids[:cut])
        events = [event async for event in tiny.generate(replace(work, resume=resume))]
        deltas = [event for event in events if isinstance(event, Delta)]
        assert whole.ids[cut:] == tuple(token for each in deltas for token in each.ids)
        assert "".join(each.text for each in deltas) == ""
        assert [again for each in deltas for again in each.tool_calls] in ([call], [])
        last = events[-1]
        assert isinstance(last, Finished)
        assert last.reason is FinishReason.TOOL_CALLS
        assert last.usage == whole.finished.usage or last.usage.cached_tokens


async def test_a_required_call_that_finds_no_room_is_told_as_far_as_it_came(
    tiny: EngineProcess,
) -> None:
    heard = await hear(tiny, replace(required(WEATHER), max_tokens=20))
    assert heard.finished.reason is FinishReason.LENGTH
    assert "".join(heard.text.split()) in '<tool_call>{"name":"weather"'
    assert (len(heard.text), heard.calls) == (20, ())


async def test_a_stop_string_does_not_cut_a_required_call(tiny: EngineProcess) -> None:
    heard = await hear(tiny, replace(required(WEATHER), stop=("\n", "city", "{")))
    assert heard.finished.reason is FinishReason.TOOL_CALLS
    assert len(heard.calls) == 1


async def test_marks_that_are_control_tokens_are_written_and_read(tmp_path: Path) -> None:
    opening, arguments = 258, 259
    template = (
        "{{ tools | tojson }}{% for message in messages %}[INST]{{ message.content }}"
        "{% for call in message.tool_calls or [] %}[TOOL_CALLS]{{ call.function.name }}[ARGS]"
        "{{ call.function.arguments | tojson }}{% endfor %}{% endfor %}\n"
    )
    model = RandomModel(
        template=template, special=("<|end|>", "[INST]", "[TOOL_CALLS]", "[ARGS]")
    ).write(tmp_path / "marks.gguf")
    engine = await EngineProcess.start(model, context_tokens=1024, threads=1)
    try:
        heard = await hear(engine, required(WEATHER))
        assert [call.name for call in heard.calls] == ["weather"]
        assert heard.ids[0] == opening
        assert arguments in heard.ids
        resume = Resume(heard.started.prompt_ids, heard.ids)
        plain = replace(ask("", max_tokens=len(heard.ids)), resume=resume)
        said = (await hear(engine, plain)).text
        assert said.startswith("weather{")  # for whoever has no tools they are no text
    finally:
        await engine.close()


def parameters(schema: object) -> str:
    return schema if isinstance(schema, str) else json.dumps(schema)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("{", "tool bad are no JSON schema"),
        ("[]", "tool bad are no JSON schema"),
        ('{"title": "\\ud800"}', "tool bad are no JSON schema"),
        ({"type": "string"}, "tool bad do not describe an object"),
        ({"properties": {"a": {"not": {}}}}, "tool bad: .*not"),
        ({"properties": {"a": {"type": "string", "pattern": "("}}}, "tool bad: .*regex"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "tool bad: "),
        ("{" + '"title": "' + "x" * 300_000 + '"}', "the prompt|tool bad have 3000"),
    ],
)
async def test_a_schema_that_cannot_be_enforced_is_refused_with_its_tools_name(
    tiny: EngineProcess, schema: object, words: str
) -> None:
    bad = Tool("bad", "", parameters(schema))
    with pytest.raises((InvalidRequest, ContextOverflow), match=words):
        await hear(tiny, required(WEATHER, bad))


async def test_what_contradicts_a_required_call_is_refused(tiny: EngineProcess) -> None:
    for work, words in (
        (required(WEATHER, name="now"), "tool now, which is not among"),
        (required(), "a tool, which is not among"),
        (replace(required(NOW), form=Form(FormKind.JSON)), "cannot be both"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            await hear(tiny, work)


async def test_a_form_binds_where_the_model_may_decide(tiny: EngineProcess) -> None:
    schema = json.dumps({"type": "object", "properties": {}, "additionalProperties": False})
    form = Form(FormKind.JSON_SCHEMA, schema)
    heard = await hear(tiny, replace(ask("What is 3 + 4?"), tools=(NOW,), form=form))
    assert (json.loads(heard.text), heard.finished.reason) == ({}, FinishReason.STOP)
