"""A call that is required is made, and its arguments follow the schema: whatever the model is."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mesh.core.chat import (
    Tool,
    ToolChoice,
    ToolMode,
)
from mesh.core.generation import Generation, Resume, Sampling
from mesh.core.types import FinishReason
from mesh.errors import InvalidRequest
from models import tokenizer
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import Heard, ask, hear
from tests.node_agent.engine.schemas import random_schema

TINY = Path(__file__).parents[3] / "models" / "test-tiny.gguf"
SLOTS = 4
SCHEMA_CHARACTERS_MAX = 400
REQUIRED = ToolChoice(ToolMode.REQUIRED)
CITY = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Bonn"]}}, "required": ["city"]}
WEATHER = Tool("weather", "Tells it.", json.dumps(CITY))
NOW = Tool("now")


@pytest.fixture(scope="module")
async def tiny() -> AsyncIterator[EngineProcess]:
    engine = await EngineProcess.start(TINY, context_tokens=1024, threads=1, slots=SLOTS)
    yield engine
    await engine.close()


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
    assert await make_calls(tiny, range(25)) > 15


@pytest.mark.long
async def test_required_calls_follow_five_hundred_random_schemas(tiny: EngineProcess) -> None:
    assert await make_calls(tiny, range(1000, 1500)) > 400
