"""Engines that are busy, broken or hostile: none of it is ever taken for an answer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from mesh.core.chat import Message, Role
from mesh.core.generation import Delta, Finished, GenerationEvent
from mesh.core.types import Capability
from mesh.errors import (
    ContextOverflow,
    InvalidRequest,
    MeshError,
    NodeLost,
    Overloaded,
    Unsupported,
)
from node_agent.adopted.crowd import SLOTS_FIRST
from node_agent.adopted.kinds import Kind
from node_agent.adopted.openai_engine import OpenAiEngine
from tests.coordinator.cloud.played_upstream import Asked, PlayedUpstream, delta
from tests.node_agent.adopted.conftest import Watched
from tests.node_agent.adopted.test_openai_engine import HELLO, answer, answering

SECRET = "the prompt's own words"
TOO_LONG = {
    "code": 400,
    "message": f"request (9 tokens) exceeds the available context size: {SECRET}",
    "type": "exceed_context_size_error",
}


async def failure(engine: OpenAiEngine) -> tuple[list[GenerationEvent], MeshError]:
    """Return what was said before it failed, and how it did."""
    said: list[GenerationEvent] = []

    async def hear() -> None:
        async with asyncio.timeout(5):
            async for event in answering(engine):
                said.append(event)

    with pytest.raises(MeshError) as failed:
        await hear()
    assert not any(isinstance(event, Finished) for event in said)
    assert engine.crowd.running == 0
    assert SECRET not in str(failed.value)
    assert "upstream" not in str(failed.value), "it is called by its name"
    return said, failed.value


@pytest.mark.parametrize(
    ("status", "error", "means"),
    [
        (429, None, Overloaded),
        (503, {"message": "Loading model", "code": 503}, Overloaded),
        (404, {"message": f"model {SECRET} not found"}, NodeLost),
        (400, TOO_LONG, ContextOverflow),
        (413, None, ContextOverflow),
        (400, {"message": f"no such field: {SECRET}"}, InvalidRequest),
        (422, None, InvalidRequest),
        (401, None, NodeLost),
        (500, {"message": f"model requires more memory for {SECRET}"}, NodeLost),
        (501, None, Unsupported),
        (500, {"message": "image input is not supported - hint: --mmproj"}, Unsupported),
        (400, {"message": f"{SECRET} does not support tools"}, Unsupported),
        (400, {"message": '"auto" tool choice requires --enable-auto-tool-choice'}, Unsupported),
        (302, None, NodeLost),
    ],
)
async def test_a_refusal_means_here_what_it_means_there(
    engine: OpenAiEngine,
    server: PlayedUpstream,
    status: int,
    error: object,
    means: type[MeshError],
) -> None:
    server.behave = lambda asked: asked.refuse(status, error)
    said, failed = await failure(engine)
    assert said == []
    assert type(failed) is means


async def test_a_busy_engine_rests_for_as_long_as_it_says_and_gets_fewer_at_a_time(
    engine: OpenAiEngine, server: PlayedUpstream, watched: Watched
) -> None:
    server.behave = lambda asked: asked.refuse(503, more="retry-after: 0.05\r\n")
    await failure(engine)
    assert engine.resting
    assert engine.crowd.slots == 1 < SLOTS_FIRST
    changes = watched.changes
    async with asyncio.timeout(5):
        while engine.resting:  # noqa: ASYNC110 - a timer of its own
            await asyncio.sleep(0.01)
    assert watched.changes == changes + 1, "and says that it is over"


async def test_a_model_that_is_gone_raises_doubts(
    engine: OpenAiEngine, server: PlayedUpstream, watched: Watched
) -> None:
    server.behave = lambda asked: asked.refuse(404)
    await failure(engine)
    assert watched.doubts == 1


async def test_an_engine_that_nobody_runs_raises_doubts(
    engine: OpenAiEngine, server: PlayedUpstream, watched: Watched
) -> None:
    server._server.close()  # type: ignore[union-attr]
    _, failed = await failure(engine)
    assert isinstance(failed, NodeLost)
    assert watched.doubts == 1


async def silent(asked: Asked) -> None:
    await asked.left()


async def silent_after_its_head(asked: Asked) -> None:
    await asked.begin()
    await asked.left()


async def comments_alone(asked: Asked) -> None:
    await asked.begin()
    while not asked.gone.is_set():
        await asked.send(b": still here\n\n")
        await asked.event(delta({"role": "assistant"}))
        await asyncio.sleep(0.05)


async def ends_at_once(asked: Asked) -> None:
    """As llama-cpp-python's server does where a prompt is too long."""
    await asked.begin()
    await asked.raw(b"0\r\n\r\n")


async def garbage(asked: Asked) -> None:
    await asked.begin()
    await asked.send(b"data: {not json\n\n")


async def no_stream(asked: Asked) -> None:
    await asked.begin("text/html")
    await asked.send(b"<html>hello</html>")


async def not_http(asked: Asked) -> None:
    await asked.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    asked.reset()


@pytest.mark.parametrize(
    "behave",
    [silent, silent_after_its_head, comments_alone, ends_at_once, garbage, no_stream, not_http],
)
@pytest.mark.usefixtures("impatient")
async def test_without_a_token_it_is_lost(
    engine: OpenAiEngine, server: PlayedUpstream, behave: Callable[[Asked], Awaitable[None]]
) -> None:
    server.behave = behave
    said, failed = await failure(engine)
    assert isinstance(failed, NodeLost)
    assert not any(isinstance(event, Delta) for event in said)


async def resets(asked: Asked) -> None:
    asked.reset()


async def ends_early(asked: Asked) -> None:
    await asked.raw(b"0\r\n\r\n")


async def done_without_a_reason(asked: Asked) -> None:
    """As llama-cpp-python's server does when another request breaks it off."""
    await asked.done()


async def an_error(asked: Asked) -> None:
    await asked.event({"error": {"message": SECRET, "type": "server_error"}})


async def an_unknown_reason(asked: Asked) -> None:
    await asked.event(delta({}, "aliens"))


async def falls_silent(asked: Asked) -> None:
    await asked.left()


async def sends_an_endless_event(asked: Asked) -> None:
    await asked.send(b"data: ")
    while not asked.gone.is_set():
        await asked.send(b"x" * 65536)


@pytest.mark.parametrize(
    "then",
    [
        resets,
        ends_early,
        done_without_a_reason,
        an_error,
        an_unknown_reason,
        falls_silent,
        sends_an_endless_event,
    ],
)
@pytest.mark.usefixtures("impatient")
async def test_half_an_answer_is_no_answer(
    engine: OpenAiEngine, server: PlayedUpstream, then: Callable[[Asked], Awaitable[None]]
) -> None:
    async def half(asked: Asked) -> None:
        await asked.begin()
        await asked.text("half")
        await then(asked)

    server.behave = half
    said, failed = await failure(engine)
    assert isinstance(failed, NodeLost)
    assert [event.text for event in said if isinstance(event, Delta)] == ["half"]


async def test_a_prompt_that_ollama_would_cut_is_refused_before_it_is_asked(
    engine: OpenAiEngine, server: PlayedUpstream
) -> None:
    engine.kind = Kind.OLLAMA
    long = replace(HELLO, messages=(Message(Role.USER, "mesh " * 1024),))
    with pytest.raises(ContextOverflow, match="OLLAMA_CONTEXT_LENGTH"):
        await answer(engine, long)
    assert server.asked == []


@pytest.mark.parametrize(
    "told",
    [
        b"{}",
        b'{"data":[]}',
        b'{"data":[{"embedding":[]}]}',
        b'{"data":[{"embedding":["x"]}]}',
        b'{"data":[{"embedding":[0,0]}]}',
        b'{"data":[{"embedding":[1e400]}]}',
        b'{"data":[{"index":1,"embedding":[1]}]}',
        b"\xff",
    ],
)
async def test_vectors_that_are_none_are_lost(
    engine: OpenAiEngine, server: PlayedUpstream, told: bytes
) -> None:
    async def embeds(asked: Asked) -> None:
        await asked.begin("application/json")
        await asked.send(told)
        await asked.raw(b"0\r\n\r\n")

    engine.told = replace(engine.told, capabilities=frozenset({Capability.EMBED}))
    server.behave = embeds
    with pytest.raises(NodeLost):
        await engine.embed(["a"])
