"""Thousands of requests, many of them cancelled anywhere, leave nothing behind."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from random import Random

import psutil
import pytest

from mesh.core.chat import Form, FormKind
from mesh.core.generation import Delta, Finished, Generation, Sampling
from mesh.errors import MeshError
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import ask, hear

SLOTS = 4
CONTEXT_TOKENS = 256
# What an allocator keeps of 10,000 requests, once the first ones have made it grow: a leak of 1 KB
# a request would be 10 MB.
GROWTH_BYTES_MAX = 4 << 20


def a_request(random: Random) -> Generation:
    """Of any sort that the engine knows, bad ones among them."""
    text = "".join(chr(random.randrange(97, 123)) for _ in range(random.randrange(1, 180)))
    work = ask(
        text,
        max_tokens=random.randrange(1, 40),
        sampling=Sampling(temperature=random.choice((0.0, 1.0)), seed=random.randrange(99)),
        logprobs=random.choice((None, None, 2)),
    )
    form = random.choice(
        (None, None, Form(FormKind.GRAMMAR, 'root ::= "a"* "b"'), Form(FormKind.JSON, ""))
    )
    if random.random() < 0.05:
        form = Form(FormKind.GRAMMAR, "root ::= missing")
    return replace(work, form=form)


async def ask_and_maybe_leave(engine: EngineProcess, random: Random) -> None:
    """Hear it to its end, or leave before it begins, while the prompt is read, or amid it."""
    stays = random.choice((0, 1, random.randrange(2, 20), 1000))
    try:
        async with aclosing(engine.generate(a_request(random))) as events:
            async for event in events:
                stays -= 1
                if stays <= 0 and not isinstance(event, Finished):
                    return
    except MeshError:
        return


async def many(engine: EngineProcess, count: int, seed: int) -> None:
    room = asyncio.Semaphore(SLOTS)

    async def one(number: int) -> None:
        async with room:
            task = asyncio.create_task(ask_and_maybe_leave(engine, Random(f"{seed} {number}")))
            if Random(number).random() < 0.2:  # whoever asked is gone at any moment
                await asyncio.sleep(Random(number).random() * 0.01)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(one(number))


async def nothing_is_left(path: Path, *, warm_up: int, count: int) -> int:
    """Return how many bytes the process has grown by."""
    engine = await EngineProcess.start(path, context_tokens=CONTEXT_TOKENS, slots=SLOTS, threads=1)
    process = psutil.Process(engine.pid)
    await many(engine, warm_up, seed=0)
    before_bytes, threads = process.memory_info().rss, process.num_threads()
    await many(engine, count, seed=1)
    after_bytes = process.memory_info().rss
    assert process.num_threads() == threads
    # Each slot is free, and has room for a whole context: no cell of it is somebody else's.
    full = ask("x" * (CONTEXT_TOKENS - 60), max_tokens=1000)
    answers = await asyncio.gather(*(hear(engine, full) for _ in range(SLOTS)))
    for heard in answers:
        assert len(heard.started.prompt_ids) + len(heard.ids) == CONTEXT_TOKENS
        assert heard.ids == answers[0].ids
        assert any(isinstance(delta, Delta) for delta in heard.deltas)
    await engine.close()
    return after_bytes - before_bytes


async def test_hundreds_of_requests_leave_nothing_behind(random_model: Path) -> None:
    await nothing_is_left(random_model, warm_up=0, count=200)


@pytest.mark.long
async def test_ten_thousand_requests_leave_nothing_behind(random_model: Path) -> None:
    grown_bytes = await nothing_is_left(random_model, warm_up=2_000, count=10_000)
    assert grown_bytes <= GROWTH_BYTES_MAX, f"grown by {grown_bytes / 2**20:.2f} MiB"
