"""An answer that was cut goes on elsewhere from exactly there: no token lost, none twice."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from bench.random_models import CLOSE, random_model
from mesh.core.chat import Form, FormKind
from mesh.core.generation import Delta, Finished, Generation, Resume, Sampling, Started
from mesh.core.types import FinishReason
from mesh.errors import InvalidRequest, NodeLost
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import GREEDY, Heard, ask, forget, hear

TRAINED = Path(__file__).parents[3] / "models" / "test-tiny.gguf"
HOT = Sampling(temperature=1.2, top_k=0, top_p=1.0, min_p=0.0, repeat_penalty=1.3, seed=5)
SLOTS = (1, 3)


@pytest.fixture(scope="module", params=["close", "close half", "wide half", "trained"])
def path(
    request: pytest.FixtureRequest, models: Path, close_model: Path, close_half_model: Path
) -> Path:
    """In the wide one, attention shows within some tokens that it adds up one row otherwise."""
    if request.param == "wide half":
        return random_model(CLOSE, "f16", models)
    return {"close": close_model, "close half": close_half_model}.get(request.param, TRAINED)


@pytest.fixture(scope="module", params=SLOTS)
async def engines(
    request: pytest.FixtureRequest, path: Path
) -> AsyncIterator[tuple[EngineProcess, EngineProcess]]:
    """Two processes with the same model and fingerprint: where it began, and where it goes on."""
    slots = request.param
    first, second = await asyncio.gather(
        *(
            EngineProcess.start(path, context_tokens=384, slots=slots, threads=threads)
            for threads in (1, 2)
        )
    )
    yield first, second
    await asyncio.gather(first.close(), second.close())


def works(max_tokens: int) -> list[Generation]:
    """Greedy and seeded, short and long prompts, with stop strings and forms."""
    story = "".join(chr(Random(3).randrange(97, 123)) for _ in range(160))
    asked = [
        ask("Count from 1 to 60", max_tokens=max_tokens, logprobs=0),
        ask(story, max_tokens=max_tokens, sampling=HOT, logprobs=0, stop=("ab", "1\n"), signs=True),
        ask("go", max_tokens=max_tokens, sampling=HOT, logprobs=1),
    ]
    schema = Form(FormKind.JSON_SCHEMA, '{"type": "array", "items": {"type": "boolean"}}')
    return [*asked, replace(asked[0], form=schema, sampling=HOT)]


def cut(work: Generation, whole: Heard, at: int, *, unsent: int = 0) -> Generation:
    """Return the work that goes on after ``at`` tokens, of whose text some never arrived."""
    text = "".join(delta.text for delta in whole.deltas[:at]).encode()
    sent = len(text.decode()[: max(0, len(text.decode()) - unsent)].encode())
    return replace(work, resume=Resume(whole.started.prompt_ids, whole.ids[:at], sent))


async def go_on(engine: EngineProcess, work: Generation, whole: Heard) -> None:
    """Resume, and hold the rest against the whole answer, bit for bit."""
    resume = work.resume
    assert resume is not None
    at = len(resume.emitted_ids)
    events = [event async for event in engine.generate(work)]
    started, *deltas, finished = events
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)
    said = [delta for delta in deltas if isinstance(delta, Delta)]
    assert started.prompt_ids == whole.started.prompt_ids
    assert [each.token_offset for each in said] == list(range(at, at + len(said)))
    assert resume.emitted_ids + tuple(id_ for each in said for id_ in each.ids) == whole.ids
    told = tuple(each for delta in said for each in delta.logprobs)
    assert told == whole.logprobs[at:], f"the numbers are others from token {at} on"
    assert tuple(each for delta in said for each in delta.signs) == whole.signs[at:]
    rest = "".join(each.text for each in said).encode()
    assert rest == whole.text.encode()[resume.text_bytes_sent :]
    assert finished.reason == whole.finished.reason
    assert finished.usage.prompt_tokens == whole.finished.usage.prompt_tokens
    assert finished.usage.completion_tokens == whole.finished.usage.completion_tokens


async def test_equal_files_have_equal_fingerprints_whatever_the_threads(
    engines: tuple[EngineProcess, EngineProcess],
) -> None:
    assert engines[0].info.numerics == engines[1].info.numerics


async def gone_on(
    engines: tuple[EngineProcess, EngineProcess], work: Generation, positions: slice
) -> None:
    first, second = engines
    await forget(first)
    whole = await hear(first, work)
    for at in range(len(whole.ids) + 1)[positions]:
        await forget(second, characters=40)
        await go_on(second, cut(work, whole, at, unsent=at % 3), whole)


@pytest.mark.parametrize("number", range(4))
async def test_it_goes_on_from_anywhere(
    engines: tuple[EngineProcess, EngineProcess], number: int
) -> None:
    await gone_on(engines, works(20)[number], slice(number, None, 7))


@pytest.mark.long
@pytest.mark.parametrize("number", range(4))
async def test_it_goes_on_from_every_position(
    engines: tuple[EngineProcess, EngineProcess], number: int
) -> None:
    await gone_on(engines, works(60)[number], slice(None))


async def test_it_goes_on_among_others(engines: tuple[EngineProcess, EngineProcess]) -> None:
    first, second = engines
    asked = works(40)[: second.info.slots]
    wholes = []
    for work in asked:
        await forget(first)
        wholes.append(await hear(first, work))
    await forget(second)
    cuts = [cut(w, whole, len(whole.ids) // 2) for w, whole in zip(asked, wholes, strict=True)]
    each = zip(cuts, wholes, strict=True)
    await asyncio.gather(*(go_on(second, work, whole) for work, whole in each))


async def killed_at(path: Path, work: Generation, tokens: int) -> Heard:
    """Return what was heard of an answer whose engine process was killed after so many tokens."""
    engine = await EngineProcess.start(path, context_tokens=384, slots=3, threads=1)
    heard: list[Delta] = []
    started: Started | None = None
    try:
        async with aclosing(engine.generate(work)) as events:
            async for event in events:
                if isinstance(event, Started):
                    started = event
                if isinstance(event, Delta):
                    heard.append(event)
                if started is not None and len(heard) == tokens:
                    os.kill(engine.pid, signal.SIGKILL)
    except NodeLost:
        pass
    await engine.close()
    assert started is not None
    return Heard(started, None, heard)  # type: ignore[arg-type]  # it never finished


async def killed_and_resumed(path: Path, positions: range) -> None:
    work = ask("Count from 1 to 60", max_tokens=30, sampling=HOT, logprobs=0)
    second = await EngineProcess.start(path, context_tokens=384, slots=3, threads=1)
    whole = await hear(second, work)
    for position in positions:
        cut_off = await killed_at(path, work, position)
        assert cut_off.ids == whole.ids[: len(cut_off.ids)]
        await forget(second)
        resume = Resume(cut_off.started.prompt_ids, cut_off.ids, len(cut_off.text.encode()))
        await go_on(second, replace(work, resume=resume), whole)
    await second.close()


async def test_a_killed_engine_s_answer_goes_on(path: Path) -> None:
    await killed_and_resumed(path, range(3, 30, 20))


@pytest.mark.long
async def test_a_killed_engine_s_answer_goes_on_from_every_position(path: Path) -> None:
    await killed_and_resumed(path, range(30))


async def test_an_answer_that_was_whole_only_tells_its_end(engine: EngineProcess) -> None:
    work = ask("go", max_tokens=6)
    whole = await hear(engine, work)
    await go_on(engine, cut(work, whole, 6, unsent=2), whole)
    assert whole.finished.reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"emitted_ids": (999,)}, "no token 999"),
        ({"prompt_ids": ()}, "the prompt is empty"),
        ({"emitted_ids": (1,) * 7}, "more ids than the answer can have"),
        ({"text_bytes_sent": 10_000}, "10000 bytes of text"),
    ],
)
async def test_what_cannot_be_the_beginning_is_refused(
    engine: EngineProcess, changes: dict[str, object], words: str
) -> None:
    work = ask("go", max_tokens=6, sampling=GREEDY)
    whole = await hear(engine, work)
    resume = Resume(whole.started.prompt_ids, whole.ids[:3], 0)
    with pytest.raises(InvalidRequest, match=words):
        await hear(engine, replace(work, resume=replace(resume, **changes)))  # type: ignore[arg-type]
    assert (await hear(engine, work)).ids == whole.ids, "others are disturbed"


async def test_text_that_came_with_the_end_of_a_turn_does_not_come_twice(
    parrot: EngineProcess,
) -> None:
    """The last of it was held back, as it might have been a stop string."""
    whole = await hear(parrot, ask("go", max_tokens=50, stop=("€!x",)))
    assert whole.deltas[-1].ids == ()
    resume = Resume(whole.started.prompt_ids, whole.ids, len(whole.text.encode()))
    work = replace(ask("go", max_tokens=50, stop=("€!x",)), resume=resume)
    *_, finished = [event async for event in parrot.generate(work)]
    assert isinstance(finished, Finished)
    assert finished.reason is FinishReason.STOP
