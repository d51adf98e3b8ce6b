"""Answers of a form that is asked for, and biases: enforced at each draw, refused with a reason."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.core.chat import Form, FormKind
from mesh.core.generation import Generation, Sampling
from mesh.core.types import FinishReason
from mesh.errors import InternalError, InvalidRequest
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import GREEDY, ask, hear
from tests.node_agent.engine.gguf_files import BrokenModel, RandomModel

HOT = Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0)
PERSON = """{"type": "object", "additionalProperties": false, "required": ["name", "age", "likes"],
  "properties": {"name": {"type": "string", "maxLength": 12},
    "age": {"type": "integer", "minimum": 0, "maximum": 150},
    "likes": {"type": "array", "items": {"enum": ["tea", "code"]}, "maxItems": 2}}}"""


# They end a process that compiles them by an overflow of its stack, and take it minutes.
REFERENCES = json.dumps(
    {
        "$ref": "#/$defs/0",
        "$defs": {str(n): {"items": {"$ref": f"#/$defs/{n + 1}"}} for n in range(1500)}
        | {"1500": {}},
    }
)
MULTIPLE = '{"type": "integer", "multipleOf": 99999989, "minimum": 0, "maximum": 1' + "0" * 30 + "}"


@pytest.fixture(scope="module")
async def shared(random_model: Path) -> AsyncIterator[EngineProcess]:
    engine = await EngineProcess.start(random_model, context_tokens=512, slots=4, threads=1)
    yield engine
    await engine.close()


def formed(kind: FormKind, source: str = "", *, seed: int = 0, most: int = 200) -> Generation:
    work = ask("go", max_tokens=most, sampling=replace(HOT, seed=seed))
    return replace(work, form=Form(kind, source))


async def test_json_matches_its_schema_whatever_the_model_would_say(shared: EngineProcess) -> None:
    asked = [formed(FormKind.JSON_SCHEMA, PERSON, seed=seed) for seed in range(4)]
    for heard in await asyncio.gather(*(hear(shared, work) for work in asked)):
        person = json.loads(heard.text)
        assert heard.finished.reason is FinishReason.STOP
        assert person.keys() == {"name", "age", "likes"}
        assert len(person["name"]) <= 12
        assert 0 <= person["age"] <= 150
        assert set(person["likes"]) <= {"tea", "code"}


async def test_a_grammar_is_kept_and_ends_the_answer(shared: EngineProcess) -> None:
    grammar = 'root ::= verb " " [0-9]{2,3}\nverb ::= "up" | "down"'
    heard = await hear(shared, formed(FormKind.GRAMMAR, grammar))
    assert re.fullmatch(r"(up|down) [0-9]{2,3}", heard.text)
    assert heard.finished.reason is FinishReason.STOP


async def test_any_json_is_an_object_as_far_as_it_goes(shared: EngineProcess) -> None:
    assert (await hear(shared, formed(FormKind.JSON, most=20))).text.startswith("{")


async def test_log_probabilities_are_the_model_s_own_in_a_form_too(shared: EngineProcess) -> None:
    free = await hear(shared, ask("go", max_tokens=1, logprobs=3))
    bound = replace(formed(FormKind.GRAMMAR, 'root ::= "ab"'), sampling=GREEDY, logprobs=3)
    heard = await hear(shared, bound)
    assert heard.text == "ab"
    assert heard.logprobs[0].alternatives == free.logprobs[0].alternatives


@pytest.mark.parametrize(
    ("kind", "source", "words"),
    [
        (FormKind.GRAMMAR, "root ::= missing", "cannot be read.*missing"),
        (FormKind.GRAMMAR, "no rules", "grammar cannot be"),
        (FormKind.GRAMMAR, "root ::= " + "(" * 20_000, "nested too deeply"),
        (FormKind.GRAMMAR, 'root ::= "' + "a" * 40_000 + '"', "40011 characters"),
        (FormKind.JSON_SCHEMA, "{", "cannot be read"),
        (FormKind.JSON_SCHEMA, '{"type": "objekt"}', "cannot be enforced.*objekt"),
        (FormKind.JSON_SCHEMA, '{"uniqueItems": true}', "cannot be enforced.*uniqueItems"),
        (FormKind.JSON_SCHEMA, '{"$ref": "http://127.0.0.1/x"}', "cannot be enforced"),
        (FormKind.JSON_SCHEMA, '{"$ref": "file:///etc/passwd"}', "cannot be enforced"),
        (FormKind.JSON_SCHEMA, '{"items":' * 5000 + "{}" + "}" * 5000, "JSON schema"),
        (FormKind.JSON_SCHEMA, '{"enum": []}', "JSON schema"),
        (FormKind.JSON_SCHEMA, '{"pattern": "(?=a)b"}', "JSON schema"),
        (FormKind.JSON_SCHEMA, '{"pattern": "("}', "JSON schema"),
        (FormKind.JSON_SCHEMA, REFERENCES, "takes too much"),
        (FormKind.JSON_SCHEMA, MULTIPLE, "takes too much"),
    ],
)
async def test_a_form_that_cannot_be_kept_is_refused_and_disturbs_nobody(
    shared: EngineProcess, kind: FormKind, source: str, words: str
) -> None:
    other = asyncio.create_task(hear(shared, ask("else", max_tokens=30)))
    with pytest.raises(InvalidRequest, match=words):
        await hear(shared, formed(kind, source))
    assert len((await other).ids) == 30
    assert shared.pid, "the process is gone"


async def test_a_vocabulary_with_an_absurd_word_ends_no_process(tmp_path: Path) -> None:
    path = RandomModel(last_special="x" * 1100).write(tmp_path / "long.gguf")
    engine = await EngineProcess.start(path, context_tokens=256, slots=1, threads=1)
    assert (await hear(engine, formed(FormKind.JSON, most=3))).text.startswith("{")
    await engine.close()


async def test_a_bias_forces_and_forbids(shared: EngineProcess) -> None:
    def biased(bias: float) -> Generation:
        sampling = replace(GREEDY, logit_bias=((ord("q"), bias), (ord("r"), bias / 2)))
        return ask("go", max_tokens=8, sampling=sampling)

    assert (await hear(shared, biased(100))).text == "q" * 8
    assert not {"q", "r"} & set((await hear(shared, biased(-100))).text)


async def test_a_bias_of_a_token_that_the_model_does_not_know_is_refused(
    shared: EngineProcess,
) -> None:
    sampling = replace(GREEDY, logit_bias=((1, 1.0), (260, 1.0)))
    with pytest.raises(InvalidRequest, match="no token 260: this model has 260"):
        await hear(shared, ask("go", sampling=sampling))


async def test_a_model_that_gives_no_numbers_fails_its_requests_by_name(tmp_path: Path) -> None:
    path = BrokenModel().write(tmp_path / "nan.gguf")
    engine = await EngineProcess.start(path, context_tokens=256, slots=2, threads=1)
    for sampling in (GREEDY, HOT):
        with pytest.raises(InternalError, match="NaN"):
            await hear(engine, ask("go", sampling=sampling))
    assert engine.pid, "the process is gone"
    await engine.close()
