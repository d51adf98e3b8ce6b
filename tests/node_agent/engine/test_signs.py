"""An engine that is asked tells how sure its model was, and does nothing else differently."""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.chat import Form, FormKind
from mesh.core.generation import Generation, Sampling
from mesh.core.signs import CANDIDATES, TOP, TokenSign
from node_agent.engine.signs import sign_of
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import GREEDY, Heard, ask, forget, hear

QUESTION = "Reverse the word: lamp"
HOT = Sampling(temperature=4.0, top_k=0, top_p=1.0, min_p=0.0, seed=5)
PENALISED = Sampling(
    temperature=0.7, repeat_penalty=1.5, presence_penalty=2.0, seed=3, logit_bias=((101, 3.0),)
)
JSON = Form(FormKind.JSON_SCHEMA, '{"type": "array", "items": {"type": "boolean"}}')


@pytest.fixture(scope="module")
async def close(close_model: Path) -> AsyncIterator[EngineProcess]:
    """Its best logits differ by little: whatever changed a bit of one would be drawn."""
    engine = await EngineProcess.start(close_model, context_tokens=384, threads=1)
    yield engine
    await engine.close()


def by_logprobs(heard: Heard) -> list[TokenSign]:
    """Return what the same answer's log-probabilities make of its signs."""
    signs = []
    for told in heard.logprobs:
        weights = [math.exp(one.logprob) for one in told.alternatives[:CANDIDATES]]
        rank = sum(one.logprob > told.logprob for one in told.alternatives[:CANDIDATES])
        top = tuple(weight / math.fsum(weights) for weight in weights[:TOP])
        signs.append(TokenSign(top, rank))
    return signs


def check(heard: Heard) -> None:
    assert len(heard.signs) == len(heard.ids) > 0
    for sign, expected in zip(heard.signs, by_logprobs(heard), strict=True):
        assert sign.top == pytest.approx(expected.top, abs=1e-4)
        assert sign.rank == expected.rank


async def test_a_model_that_knows_the_answer_is_sure_of_each_token(tiny: EngineProcess) -> None:
    heard = await hear(tiny, ask(QUESTION, max_tokens=40, signs=True))
    assert heard.text.strip() == "pmal"
    assert len(heard.signs) == len(heard.ids)
    for sign in heard.signs:
        assert 0.95 < sign.top[0] <= 1
        assert sum(sign.top) <= 1
        assert sign.rank == 0


async def test_a_model_that_knows_nothing_is_sure_of_nothing(close: EngineProcess) -> None:
    heard = await hear(close, ask("Speak", signs=True))
    assert all(sign.top[0] < 0.5 for sign in heard.signs)


@pytest.mark.parametrize("sampling", [GREEDY, HOT, PENALISED], ids=["greedy", "hot", "penalised"])
async def test_they_are_those_of_the_likeliest_tokens(
    tiny: EngineProcess, sampling: Sampling
) -> None:
    asked = ask(QUESTION, sampling=sampling, max_tokens=40, logprobs=CANDIDATES, signs=True)
    heard = await hear(tiny, asked)
    check(heard)
    if sampling is HOT:
        assert {sign.rank for sign in heard.signs} >= {0, CANDIDATES}


async def test_each_of_several_answers_has_its_own(tiny: EngineProcess) -> None:
    asked = [
        ask(text, sampling=sampling, max_tokens=30, logprobs=CANDIDATES, signs=True)
        for text, sampling in ((QUESTION, GREEDY), ("Speak", HOT), ("Count from 1 to 9", GREEDY))
    ]
    together = await asyncio.gather(
        hear(tiny, ask(QUESTION, sampling=HOT)), *(hear(tiny, work) for work in asked)
    )
    for heard in together[1:]:
        check(heard)


WORKS = {
    "greedy": ask("Speak", max_tokens=60, logprobs=3),
    "hot": ask("Speak", max_tokens=60, sampling=HOT, logprobs=3),
    "penalised": ask("Speak", max_tokens=60, sampling=PENALISED, logprobs=3),
    "a form": replace(ask("Speak", max_tokens=60, sampling=HOT, logprobs=3), form=JSON),
}


@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS.keys())
async def test_asking_changes_no_token_and_no_bit(close: EngineProcess, work: Generation) -> None:
    heard = []
    for signs in (False, True, False):
        await forget(close)
        heard.append(await hear(close, replace(work, signs=signs)))
    plain, told, again = heard
    assert [plain.signs, again.signs] == [(), ()]
    assert (plain.ids, plain.text, plain.logprobs) == (again.ids, again.text, again.logprobs)
    assert (told.ids, told.text, told.logprobs) == (plain.ids, plain.text, plain.logprobs)
    assert len(told.signs) == len(told.ids)


async def test_they_are_the_models_own_whatever_is_done_to_the_draw(tiny: EngineProcess) -> None:
    tops = set()
    for work in (
        ask("Hi", max_tokens=1, signs=True),
        ask("Hi", max_tokens=1, sampling=replace(PENALISED, presence_penalty=50.0), signs=True),
        ask("Hi", max_tokens=1, sampling=replace(HOT, top_k=2), signs=True),
        replace(ask("Hi", max_tokens=1, signs=True), form=JSON),
    ):
        heard = await hear(tiny, work)
        tops.add(heard.signs[0].top)
    assert len(tops) == 1


@given(st.integers(1, 6000), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 0.999]))
def test_the_likeliest_are_found_wherever_they_are(words: int, seed: int, forbidden: float) -> None:
    """In vocabularies of any size, among tokens that are forbidden, and where some are equal."""
    random = np.random.default_rng(seed)
    logits = np.round(random.standard_normal(words) * 3, 1).astype(np.float32)
    logits[random.random(words) < forbidden] = -np.inf
    logits[random.integers(words)] = 1.0  # one is always allowed
    token = int(random.integers(words))
    sign = sign_of(logits, token)
    ranked = np.sort(logits.astype(np.float64))[::-1][:CANDIDATES]
    weights = np.exp(ranked - ranked[0])
    assert sign.top == pytest.approx((weights / weights.sum())[:TOP].tolist())
    assert sign.rank == int((ranked > logits[token]).sum())
