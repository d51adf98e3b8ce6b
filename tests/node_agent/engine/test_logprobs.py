"""Log-probabilities are exact, the model's own, and cost nothing where nobody asks."""

import json
import math
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from mesh.core.generation import LOGPROB_MIN, Sampling
from mesh.core.types import Capability, FinishReason
from mesh.errors import InvalidRequest
from node_agent.engine.capabilities import CAPABILITIES
from node_agent.engine.logprobs import logprob_of, token_logprob
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.alone import Alone
from tests.node_agent.engine.asking import Heard, ask, hear

TRAINED = Path(__file__).parents[3] / "models" / "test-tiny.gguf"
QUESTION = "Reverse the word: lamp"
HOT = Sampling(temperature=4.0, top_k=0, top_p=1.0, min_p=0.0, seed=5)

# In a process of its own, and by other means: the high-level class, a plain softmax in float64.
REFERENCE = """
import json, sys
import numpy as np
from llama_cpp import Llama
llama = Llama(sys.argv[1], n_ctx=512, n_threads=1, verbose=False, flash_attn=False, logits_all=True)
prompt, answer = json.loads(sys.argv[2])
llama.eval(prompt)
for token in answer:
    llama.eval([token])
logits = llama.scores[len(prompt) - 1 : len(prompt) + len(answer) - 1].astype(np.float64)
print(json.dumps((logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).tolist()))
"""


def softmax_of(model: Path, heard: Heard) -> list[list[float]]:
    """Return the logarithm of every token's probability, at each position of an answer."""
    asked = json.dumps([heard.started.prompt_ids, heard.ids])
    command = [sys.executable, "-c", REFERENCE, str(model), asked]
    logprobs: list[list[float]] = json.loads(subprocess.check_output(command))
    return logprobs


@pytest.fixture(scope="module")
async def trained() -> AsyncIterator[EngineProcess]:
    engine = await EngineProcess.start(TRAINED, context_tokens=512, threads=1)
    yield engine
    await engine.close()


def numpy_is_loaded(engine: EngineProcess) -> bool:
    return any("numpy" in each.path for each in psutil.Process(engine.pid).memory_maps())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_who_does_not_ask_pays_nothing() -> None:
    engine = await EngineProcess.start(TRAINED, context_tokens=512, threads=1)
    try:
        assert (await hear(engine, ask(QUESTION))).logprobs == ()
        assert not numpy_is_loaded(engine)
        await hear(engine, ask(QUESTION, logprobs=0))
        assert numpy_is_loaded(engine)
    finally:
        await engine.close()


@pytest.mark.parametrize("sampling", [Sampling(temperature=0), HOT], ids=["greedy", "hot"])
async def test_they_are_those_of_a_softmax_of_all_logits(
    trained: EngineProcess, sampling: Sampling
) -> None:
    heard = await hear(trained, ask(QUESTION, sampling=sampling, max_tokens=40, logprobs=20))
    reference = softmax_of(TRAINED, heard)
    assert len(heard.logprobs) == len(reference) >= 4
    for told, whole in zip(heard.logprobs, reference, strict=True):
        assert told.logprob == pytest.approx(whole[told.id], abs=1e-3)
        highest = sorted(whole, reverse=True)[:20]
        assert [one.logprob for one in told.alternatives] == pytest.approx(highest, abs=1e-3)
        for one in told.alternatives:
            assert one.logprob == pytest.approx(whole[one.id], abs=1e-3)


async def test_a_greedy_token_is_the_likeliest_and_its_bytes_are_the_text(
    trained: EngineProcess,
) -> None:
    heard = await hear(trained, ask(QUESTION, max_tokens=40, logprobs=3))
    assert heard.finished.reason is FinishReason.STOP
    assert b"".join(told.text for told in heard.logprobs).decode() == heard.text
    for told in heard.logprobs:
        top, *_ = told.alternatives
        assert (top.id, top.logprob, top.text) == (told.id, told.logprob, told.text)


async def test_half_a_character_is_told_as_its_byte(parrot: EngineProcess) -> None:
    heard = await hear(parrot, ask("Speak", max_tokens=100, logprobs=1))
    assert [told.text for told in heard.logprobs][2:4] == [b"\xc3", b"\xab"]
    assert [delta.text for delta in heard.deltas][2:4] == ["", "ë"]
    assert b"".join(told.text for told in heard.logprobs).decode() == heard.text


async def test_every_id_has_one_also_where_a_stop_string_takes_its_text(
    parrot: EngineProcess,
) -> None:
    heard = await hear(parrot, ask("Speak", max_tokens=100, stop=("oë",), logprobs=0))
    assert heard.text == "Z"
    assert [told.text for told in heard.logprobs] == [b"Z", b"o", b"\xc3", b"\xab"]
    assert all(told.alternatives == () for told in heard.logprobs)


async def test_asking_does_not_change_what_is_drawn_and_a_seed_repeats_all_of_it(
    trained: EngineProcess,
) -> None:
    work = ask(QUESTION, sampling=HOT, max_tokens=30)
    plain = await hear(trained, work)
    once = await hear(trained, replace(work, logprobs=5))
    again = await hear(trained, replace(work, logprobs=5))
    assert once.ids == plain.ids
    assert once.logprobs == again.logprobs


async def test_they_are_the_models_own_whatever_the_sampler_does(trained: EngineProcess) -> None:
    first = []
    for sampling in (
        Sampling(temperature=0),
        Sampling(temperature=9.0, top_k=2, repeat_penalty=9.0, presence_penalty=50.0),
    ):
        heard = await hear(trained, ask("Hi", sampling=sampling, max_tokens=1, logprobs=20))
        first += [told.alternatives for told in heard.logprobs]
    assert first[0] == first[1]


async def test_more_alternatives_than_anyone_may_ask_for_are_refused(
    trained: EngineProcess,
) -> None:
    for count in (-1, 21):
        with pytest.raises(InvalidRequest, match=f"logprobs is {count}"):
            await hear(trained, ask("x", logprobs=count))


async def test_what_is_offered_before_a_load_is_what_the_loaded_engine_offers(
    trained: EngineProcess,
) -> None:
    assert trained.info.capabilities == CAPABILITIES
    assert Capability.LOGPROBS in CAPABILITIES


def test_the_probabilities_of_all_tokens_add_up_to_one(close_model: Path) -> None:
    llama = Alone(close_model)
    row = llama.feed([1, 2, 3])
    told = token_logprob(llama, row, 65, llama.vocabulary_size)
    assert len(told.alternatives) == llama.vocabulary_size
    assert math.fsum(math.exp(one.logprob) for one in told.alternatives) == pytest.approx(1)
    logprobs = [one.logprob for one in told.alternatives]
    assert logprobs == sorted(logprobs, reverse=True)
    assert told.logprob == next(one.logprob for one in told.alternatives if one.id == 65)
    assert told.text == b"A"


def of(logits: list[float], token: int, alternatives: int) -> tuple[float, list[int]]:
    values = np.array(logits, np.float32)
    told = logprob_of(values, token, alternatives, lambda id_: bytes([id_]))
    for logprob in (told.logprob, *(one.logprob for one in told.alternatives)):
        assert LOGPROB_MIN <= logprob <= 0
    return told.logprob, [one.id for one in told.alternatives]


def test_equal_tokens_are_told_by_their_ids() -> None:
    logprob, likeliest = of([1.0, 2.0, 2.0, 2.0, 0.0], 3, 2)
    assert logprob == pytest.approx(2 - math.log(3 * math.e**2 + math.e + 1))
    assert likeliest == [1, 2]


def test_a_forbidden_token_has_the_least_there_is() -> None:
    assert of([0.0, -math.inf], 1, 2) == (LOGPROB_MIN, [0, 1])


def test_a_logit_of_any_size_is_taken() -> None:
    assert of([3e38, -3e38, 0.0], 0, 1) == (0.0, [0])


@pytest.mark.parametrize(
    "logits", [[math.nan] * 3, [0.0, math.nan, 1.0], [math.inf, 0.0, 1.0], [-math.inf] * 3]
)
def test_a_broken_model_is_sure_of_nothing(logits: list[float]) -> None:
    logprob, _ = of(logits, 0, 2)
    assert logprob == LOGPROB_MIN
