"""Several answers at a time on a real model: each is what it would be alone, token for token."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from random import Random

import pytest

from mesh.core.generation import Delta, Generation, Sampling, TokenLogprob
from mesh.errors import Overloaded
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import GREEDY, ask, forget, hear

SLOTS = 4
TRAINED = Path(__file__).parents[3] / "models" / "test-tiny.gguf"


@pytest.fixture(scope="module", params=["close", "close half", "trained"])
async def shared(
    request: pytest.FixtureRequest, close_model: Path, close_half_model: Path
) -> AsyncIterator[EngineProcess]:
    path = {"close": close_model, "close half": close_half_model}.get(request.param, TRAINED)
    engine = await EngineProcess.start(path, context_tokens=512, slots=SLOTS, threads=1)
    yield engine
    await engine.close()


def works(seed: int, count: int) -> list[Generation]:
    """Questions of many lengths, some of which begin alike; greedy and seeded."""
    random = Random(seed)
    story = "".join(chr(random.randrange(97, 123)) for _ in range(150))
    made = []
    for number in range(count):
        own = "".join(chr(random.randrange(97, 123)) for _ in range(random.randrange(1, 120)))
        text = (story if random.random() < 0.4 else "") + own
        hot = Sampling(temperature=1.2, top_k=0, top_p=1.0, min_p=0.0, seed=seed + number)
        sampling = random.choice((GREEDY, hot))
        # Log-probabilities show a difference of one bit, which a drawn token seldom does.
        most = random.randrange(1, 40)
        made.append(ask(text, sampling=sampling, max_tokens=most, logprobs=0))
    return made


async def alone(engine: EngineProcess, work: Generation) -> tuple[TokenLogprob, ...]:
    await forget(engine)
    return (await hear(engine, work)).logprobs


async def leave_early(engine: EngineProcess, work: Generation, tokens: int) -> None:
    async with aclosing(engine.generate(work)) as events:
        async for event in events:
            if isinstance(event, Delta) and event.token_offset >= tokens:
                return


@pytest.mark.parametrize("seed", range(3))
async def test_an_answer_among_others_is_the_answer_alone(shared: EngineProcess, seed: int) -> None:
    asked = works(seed, 10)
    expected = [await alone(shared, work) for work in asked]
    await forget(shared)
    random, room = Random(seed), asyncio.Semaphore(SLOTS)

    async def answer(work: Generation) -> tuple[TokenLogprob, ...]:
        await asyncio.sleep(random.uniform(0.0, 0.2))
        async with room:
            if random.random() < 0.3:
                await leave_early(shared, work, random.randrange(5))
            return (await hear(shared, work)).logprobs

    answers = await asyncio.gather(*(answer(work) for work in asked))
    assert answers == expected


async def test_as_many_as_there_are_slots_and_no_more(shared: EngineProcess) -> None:
    assert shared.info.slots == SLOTS
    work = ask("once upon a time", max_tokens=200)
    streams = [shared.generate(work) for _ in range(SLOTS)]
    for stream in streams:
        await anext(stream)
    with pytest.raises(Overloaded):
        await hear(shared, work)
    await streams[0].aclose()
    await hear(shared, work)
    for stream in streams:
        await stream.aclose()


async def test_what_another_is_reading_now_is_not_read_twice(shared: EngineProcess) -> None:
    await forget(shared)
    story = "a mesh of desks " * 20
    async with aclosing(shared.generate(ask(story, max_tokens=100))) as first:
        async for event in first:
            if isinstance(event, Delta):
                break
        second = await hear(shared, ask(story + "again", max_tokens=5))
        assert second.started.cached_tokens > 300
    await forget(shared)
    assert (await hear(shared, ask(story + "again", max_tokens=5))).ids == second.ids


async def test_who_leaves_does_not_disturb_the_others(endless_model: Path) -> None:
    engine = await EngineProcess.start(endless_model, context_tokens=2048, slots=2, threads=1)
    stream = engine.generate(ask("go", max_tokens=60))
    heard = []
    async for event in stream:
        heard.append(event)
        if isinstance(event, Delta):
            await leave_early(engine, ask("go", max_tokens=1000), 0)
    text = "".join(event.text for event in heard if isinstance(event, Delta))
    assert text == "round&" * 10
    await engine.close()
