"""The engine in its own process answers as llama.cpp would, and lets go at once when told to."""

import asyncio
import json
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from random import Random

import pytest

from mesh.core.chat import Message, Role
from mesh.core.generation import Delta, Sampling, Started
from mesh.core.types import FinishReason
from mesh.errors import ContextOverflow, InvalidRequest, Overloaded
from models.tasks import TASKS
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import GREEDY, Heard, ask, hear
from tests.node_agent.engine.conftest import PARROT_SAYS
from tests.node_agent.engine.gguf_files import ParrotModel, RandomModel

TRAINED = Path(__file__).parents[3] / "models" / "test-small.gguf"

# In a process of its own, as its high-level classes take over llama.cpp's log.
REFERENCE = """
import itertools, json, sys
from llama_cpp import Llama
llama = Llama(sys.argv[1], n_ctx=512, n_threads=1, verbose=False, flash_attn=False)
answers = []
for prompt, count in json.loads(sys.argv[2]):
    answer = llama.create_completion(prompt, max_tokens=count, temperature=0)["choices"][0]
    llama.reset()
    ids = list(itertools.islice(llama.generate(prompt, temp=0), count))
    answers.append([ids, answer["text"]])
print(json.dumps(answers))
"""


def one_shot(model: Path, heard: list[Heard]) -> list[tuple[tuple[int, ...], str]]:
    """Answer the same prompts with ``llama_cpp.Llama``: the ids it draws, the text it returns."""
    asked = [(one.started.prompt_ids, len(one.ids)) for one in heard]
    command = [sys.executable, "-c", REFERENCE, str(model), json.dumps(asked)]
    return [(tuple(ids), text) for ids, text in json.loads(subprocess.check_output(command))]


QUESTIONS = ["What is 2 + 3?", "Reverse the word: lamp", "Zähle: 1 2 3", "Hi", "x" * 300]


async def test_greedy_answers_are_those_of_llama_cpp_python(
    random_model: Path, engine: EngineProcess
) -> None:
    heard = [await hear(engine, ask(question, max_tokens=60)) for question in QUESTIONS]
    # No word on its text: the noise of a random model is hardly UTF-8, and skipped in its own way.
    assert [one.ids for one in heard] == [ids for ids, _ in one_shot(random_model, heard)]
    for one in heard:
        assert one.text == bytes(one.ids).decode(errors="replace")


async def test_a_trained_models_answers_are_those_of_llama_cpp_python() -> None:
    engine = await EngineProcess.start(TRAINED, context_tokens=512, threads=1)
    tasks = list(TASKS.values())
    try:
        heard = [await hear(engine, ask(task.example, max_tokens=400)) for task in tasks]
    finally:
        await engine.close()
    assert [(one.ids, one.text) for one in heard] == one_shot(TRAINED, heard)
    right = [task.check(task.example, one.text) for task, one in zip(tasks, heard, strict=True)]
    assert sum(right) >= len(right) // 2  # how much it knows is the business of its own tests
    assert FinishReason.STOP in {one.finished.reason for one in heard}


async def test_characters_of_several_bytes_arrive_whole(
    parrot: EngineProcess, parrot_model: Path
) -> None:
    heard = await hear(parrot, ask("Speak", max_tokens=100))
    assert heard.text == PARROT_SAYS
    assert one_shot(parrot_model, [heard]) == [(heard.ids, PARROT_SAYS)]
    assert bytes(heard.ids).decode() == PARROT_SAYS  # every id is there, though "€" took three
    assert [delta.text for delta in heard.deltas][2:4] == ["", "ë"]
    assert heard.finished.reason is FinishReason.STOP


async def test_an_answer_that_is_cut_short_says_so(parrot: EngineProcess) -> None:
    heard = await hear(parrot, ask("Speak", max_tokens=3))
    assert heard.text == "Zo\ufffd"  # two thirds of the characters and half of one
    assert heard.finished.reason is FinishReason.LENGTH
    assert heard.finished.usage.completion_tokens == 3


@pytest.mark.parametrize(
    ("stop", "text", "tokens"),
    [
        (("oë",), "Z", 4),
        (("ë, ", "zzz"), "Zo", 6),
        (("€!",), "Zoë, 5", 11),
        (("!x",), PARROT_SAYS, 11),  # held back, and let go as the turn ended
        (("Z",), "", 1),
    ],
)
async def test_a_stop_string_ends_the_answer_across_tokens_and_is_not_shown(
    parrot: EngineProcess, stop: tuple[str, ...], text: str, tokens: int
) -> None:
    heard = await hear(parrot, ask("Speak", max_tokens=100, stop=stop))
    assert heard.text == text
    assert len(heard.ids) == tokens
    assert heard.finished.reason is FinishReason.STOP


async def test_a_seed_makes_an_answer_repeatable(engine: EngineProcess) -> None:
    texts = {
        seed: {
            (await hear(engine, ask("Roll the dice", sampling=Sampling(seed=seed)))).ids
            for _ in range(2)
        }
        for seed in (0, 1, 2**64 - 1)
    }
    assert [len(answers) for answers in texts.values()] == [1, 1, 1]
    assert len(set.union(*texts.values())) == 3


async def test_the_prompt_that_was_asked_before_is_cached(engine: EngineProcess) -> None:
    text = "Tell me of the sea, and of the ships that sail it"
    first = await hear(engine, ask(text))
    second = await hear(engine, ask(text))
    assert second.started.cached_tokens == len(first.started.prompt_ids) - 2
    assert second.ids == first.ids


async def test_a_prompt_may_fill_all_but_one_token_of_the_context(engine: EngineProcess) -> None:
    frame = len((await hear(engine, ask("x"))).started.prompt_ids) - 1
    heard = await hear(engine, ask("y" * (511 - frame), max_tokens=50))
    assert len(heard.ids) == 1
    assert heard.finished.reason is FinishReason.LENGTH
    with pytest.raises(ContextOverflow, match=r"has 512 tokens.* room for 511 and an answer"):
        await hear(engine, ask("y" * (512 - frame)))


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (ask("a", sampling=Sampling(temperature=-0.1)), "temperature is -0.1"),
        (ask("a", sampling=Sampling(temperature=float("nan"))), "temperature is nan"),
        (ask("a", sampling=Sampling(top_p=1.01)), "top_p"),
        (ask("a", sampling=Sampling(repeat_penalty=0)), "repeat_penalty"),
        (ask("a", sampling=Sampling(seed=-1)), "seed"),
        (ask("a", max_tokens=0), "max_tokens is 0"),
        (ask("a", stop=("",)), "stop string"),
        (ask("a", stop=("x",) * 65), "65 stop strings"),
        (ask("\ud800"), "Unicode"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_before_it_takes_a_slot(
    engine: EngineProcess, work: object, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        await hear(engine, work)  # type: ignore[arg-type]


async def test_a_prompt_too_long_for_a_frame_is_an_overflow(engine: EngineProcess) -> None:
    with pytest.raises(ContextOverflow, match="far too long"):
        await hear(engine, ask("x" * (17 * 1024 * 1024)))
    assert (await hear(engine, ask("still there?"))).ids


async def test_a_second_request_is_refused_while_the_slot_is_taken(endless: EngineProcess) -> None:
    async with aclosing(endless.generate(ask("one", max_tokens=8000))) as first:
        await anext(first)
        with pytest.raises(Overloaded):
            await hear(endless, ask("two"))
    assert (await hear(endless, ask("three"))).ids


async def test_the_slot_is_free_when_finished_arrives(engine: EngineProcess) -> None:
    async with aclosing(engine.generate(ask("one", max_tokens=1))) as first:
        async for event in first:
            if not isinstance(event, Started | Delta):
                assert (await hear(engine, ask("two"))).ids


async def test_a_reader_who_dawdles_misses_nothing(engine: EngineProcess) -> None:
    at_once = await hear(engine, ask("count", max_tokens=300))
    async with aclosing(engine.generate(ask("count", max_tokens=300))) as events:
        await anext(events)
        # The engine never waits for us: once it takes the next request, it is done with this one.
        while True:
            try:
                await hear(engine, ask("other"))
                break
            except Overloaded:
                await asyncio.sleep(0.01)
        deltas = [event async for event in events if isinstance(event, Delta)]
    assert "".join(delta.text for delta in deltas) == at_once.text
    assert tuple(token for delta in deltas for token in delta.ids) == at_once.ids
    assert len(deltas) < 70  # the later ones were joined while they waited


@pytest.mark.parametrize("events_first", [1, 2, 30])
async def test_a_request_cancelled_anywhere_frees_its_slot(
    endless: EngineProcess, events_first: int
) -> None:
    expected = (await hear(endless, ask("after"))).ids
    for _ in range(3):
        async with aclosing(endless.generate(ask("before", max_tokens=8000))) as events:
            for _ in range(events_first):
                await anext(events)
        assert (await hear(endless, ask("after"))).ids == expected


async def test_a_reader_that_is_cancelled_frees_its_slot(endless: EngineProcess) -> None:
    reading = asyncio.Event()

    async def read() -> None:
        async with aclosing(endless.generate(ask("x", max_tokens=8000))) as events:
            async for _ in events:
                reading.set()

    for _ in range(5):
        reading.clear()
        task = asyncio.create_task(read())
        await reading.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await hear(endless, ask("next"))).ids


async def test_a_long_prompt_is_left_at_once(slow_model: Path) -> None:
    engine = await EngineProcess.start(slow_model, context_tokens=8192, threads=1)
    loop = asyncio.get_running_loop()
    try:
        random = Random(1)
        text = "".join(random.choices("abcdefgh ", k=7000))
        async with aclosing(engine.generate(ask(text))) as events:
            assert isinstance(await anext(events), Started)
            began_s = loop.time()
        assert loop.time() - began_s < 1.0  # the whole prompt takes many seconds
        heard = await hear(engine, ask(text[:100], max_tokens=2))
        assert heard.started.cached_tokens < 200
    finally:
        await engine.close()


@pytest.mark.parametrize(
    ("template", "error", "words"),
    [
        ("{{ raise_exception('only poems') }}", InvalidRequest, "only poems"),
        ("{{ '' }}", InvalidRequest, "the prompt is empty"),
    ],
)
async def test_a_template_that_refuses_fails_that_request_only(
    tmp_path: Path, template: str, error: type[Exception], words: str
) -> None:
    spiteful = "{% if messages[0].content == 'fine' %}{{ 'fine' }}{% else %}" + template
    model = RandomModel(template=spiteful + "{% endif %}").write(tmp_path / "spiteful.gguf")
    engine = await EngineProcess.start(model, context_tokens=64, threads=1)
    try:
        with pytest.raises(error, match=words):
            await hear(engine, ask("prose"))
        assert (await hear(engine, ask("fine"))).ids
    finally:
        await engine.close()


async def test_a_model_without_a_template_is_asked_in_chatml(tmp_path: Path) -> None:
    model = ParrotModel(says="ok", template=None).write(tmp_path / "plain.gguf")
    engine = await EngineProcess.start(model, context_tokens=256, threads=1)
    try:
        work = ask("hi")
        heard = await hear(engine, work)
        wanted = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
        assert bytes(heard.started.prompt_ids).decode() == wanted
        assert heard.text == "ok"
    finally:
        await engine.close()


async def test_roles_reach_the_template(engine: EngineProcess) -> None:
    turns = (Message(Role.SYSTEM, "s"), Message(Role.USER, "u"), Message(Role.TOOL, "t"))
    work = ask("").__class__(turns, GREEDY, 1)
    marks = [token for token in (await hear(engine, work)).started.prompt_ids if token > 256]
    assert marks == [259, 257, 257, 258]
