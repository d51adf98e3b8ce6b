"""A real engine tells which beginnings its slots hold, and a node reports them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.core.blocks import canonical_bytes
from mesh.core.generation import Generation
from mesh.core.types import PrefixHeld
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import ask, hear
from tests.node_agent.engine.gguf_files import RandomModel


@pytest.fixture
async def engine(models: Path) -> AsyncIterator[EngineProcess]:
    model = RandomModel(context_tokens=2048).write(models / "longer.gguf")
    engine = await EngineProcess.start(model, context_tokens=2048, slots=2, threads=1)
    yield engine
    await engine.close()


def hashed(text: str, *hashes: int) -> Generation:
    return replace(ask(text, max_tokens=2), block_hashes=hashes)


async def until_held(engine: EngineProcess, *hashes: int) -> dict[int, int]:
    """Wait until exactly these are held; return the tokens of each."""
    changed = asyncio.Event()
    engine.watch_prefixes(changed.set)
    async with asyncio.timeout(20):
        while {each.block_hash for each in engine.prefixes} != set(hashes):
            changed.clear()
            await changed.wait()
    return {each.block_hash: each.tokens for each in engine.prefixes}


async def test_an_idle_engine_tells_what_it_has_read_and_what_it_had_to_forget(
    engine: EngineProcess,
) -> None:
    work = hashed("a" * 1200, 2**64 - 1, 2)
    heard = await hear(engine, work)
    tokens = await until_held(engine, 2**64 - 1, 2)
    prompt_tokens = heard.finished.usage.prompt_tokens
    size_bytes = canonical_bytes(work.tools, work.messages)
    assert tokens == {2**64 - 1: prompt_tokens * 512 // size_bytes, 2: tokens[2]}
    assert tokens[2] == prompt_tokens * 1024 // size_bytes

    await hear(engine, hashed("b" * 600, 3))
    await until_held(engine, 2**64 - 1, 2, 3)
    await hear(engine, hashed("c" * 600, 4))
    await until_held(engine, 3, 4)


async def test_what_is_told_is_cached_when_it_is_asked_again(engine: EngineProcess) -> None:
    first = await hear(engine, hashed("ab" * 400 + "x" * 300, 1, 2))
    tokens = await until_held(engine, 1, 2)
    again = await hear(engine, hashed("ab" * 400 + "y" * 300, 1, 3))
    assert again.started.cached_tokens >= tokens[1] > 0
    assert first.finished.usage.prompt_tokens >= tokens[2]


async def test_a_prompt_without_hashes_is_told_to_nobody(engine: EngineProcess) -> None:
    await hear(engine, hashed("secret " * 200))
    await hear(engine, hashed("z" * 600, 5))
    await until_held(engine, 5)
    assert all(isinstance(each, PrefixHeld) for each in engine.prefixes)
