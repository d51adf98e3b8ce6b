"""Both adapters against a server that others wrote: llama.cpp's, which speaks both APIs.

It is no provider's, but nor is it ours: what it understands of a request, and how it writes an
answer, was decided without this project.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec

import pytest

from mesh.cloud_settings import CloudSettings
from mesh.core import events
from mesh.core.types import FailureCode
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.cloud.asking import Fleet, a_request, adapter
from tests.whole.machine import ROOT, WITHIN_S

pytestmark = pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra dev")

MODEL = ROOT / "models" / "test-tiny.gguf"
CONTEXT_TOKENS = 1024
LOOK = inference.Tool(name="look", parameters_json='{"type":"object"}')


def spoken(role: inference.Role, text: str, **fields: object) -> inference.Message:
    parts = [inference.Part(text=text)] if text else []
    return inference.Message(role=role, parts=parts, **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
async def address() -> AsyncIterator[str]:
    told, silent = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    arguments = ("-m", "bench.llama_server", str(MODEL), "1", str(CONTEXT_TOKENS), "1", "-1")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=ROOT, stdin=told, stdout=told, stderr=silent
    )
    assert process.stdin
    assert process.stdout
    try:
        async with asyncio.timeout(WITHIN_S):
            address = (await process.stdout.readline()).decode().strip()
        assert address, "it did not start"
        yield address
    finally:
        process.stdin.close()  # it serves until then
        await process.wait()


@pytest.fixture(params=["openai", "anthropic"])
async def fleet(request: pytest.FixtureRequest, address: str) -> AsyncIterator[Fleet]:
    table = {
        "kind": request.param,
        "base_url": f"{address}/v1",
        "model": "test-tiny",
        "sampling": True,
        "input_usd_per_million_tokens": 2.0,
        "output_usd_per_million_tokens": 10.0,
    }
    settings = {"max_usd_per_day": 5.0, "upstreams": {"there": table}}
    async with adapter(CloudSettings.model_validate(settings)) as running:
        yield running


def reverses(text: str = "Reverse the word: mesh", **fields: object) -> inference.GenerateRequest:
    messages = [spoken(inference.ROLE_SYSTEM, "be brief"), spoken(inference.ROLE_USER, text)]
    request = a_request(**{"messages": messages, "max_tokens": 20, **fields})  # type: ignore[arg-type]
    request.sampling.temperature = 0.0
    return request


async def test_it_answers_and_counts(fleet: Fleet) -> None:
    ended = await fleet.ask(reverses())
    assert isinstance(ended, events.AttemptFinished), ended
    assert fleet.text == "hsem"
    assert isinstance(ended.payload, inference.GenerationFinished)
    assert ended.payload.reason == inference.FINISH_REASON_STOP
    usage = ended.usage
    assert not usage.estimated
    assert 20 < usage.prompt_tokens < 100, "whether or not it holds the beginning still"
    assert 1 <= usage.completion_tokens <= 20
    assert ended.cost_microusd == usage.prompt_tokens * 2 + usage.completion_tokens * 10


async def test_what_it_holds_of_a_prompt_is_a_part_of_the_prompt(fleet: Fleet) -> None:
    first, second = [await fleet.ask(reverses()) for _ in range(2)]
    assert isinstance(first, events.AttemptFinished)
    assert isinstance(second, events.AttemptFinished)
    assert second.usage.prompt_tokens == first.usage.prompt_tokens
    assert 0 < second.usage.cached_tokens < second.usage.prompt_tokens


async def test_a_limit_ends_it(fleet: Fleet) -> None:
    ended = await fleet.ask(reverses(max_tokens=1))
    assert isinstance(ended, events.AttemptFinished)
    assert isinstance(ended.payload, inference.GenerationFinished)
    assert ended.payload.reason == inference.FINISH_REASON_LENGTH
    assert ended.usage.completion_tokens == 1


async def test_it_takes_a_conversation_with_tools(fleet: Fleet) -> None:
    """The test model calls none; that the server understands it all is what is seen here."""
    call = inference.ToolCall(id="c1", name="look", arguments_json='{"a":"b"}')
    messages = [
        spoken(inference.ROLE_SYSTEM, "be brief"),
        spoken(inference.ROLE_USER, "Reverse the word: mesh"),
        spoken(inference.ROLE_ASSISTANT, "", tool_calls=[call]),
        spoken(inference.ROLE_TOOL, "hsem", tool_call_id="c1"),
    ]
    ended = await fleet.ask(reverses(messages=messages, tools=[LOOK]))
    assert isinstance(ended, events.AttemptFinished), ended
    assert fleet.text


async def test_a_prompt_that_does_not_fit_is_told_as_such(fleet: Fleet) -> None:
    failure = await fleet.failure(reverses("mesh " * CONTEXT_TOKENS * 4))
    assert failure.code is FailureCode.CONTEXT_OVERFLOW
    assert fleet.spent_microusd == 0
