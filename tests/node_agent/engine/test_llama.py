"""llama.cpp, in this process: what its memory holds, what breaks it off, what decides a draw."""

import platform
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Timer

import pytest

from mesh.core.generation import Sampling
from node_agent.engine.abort import Aborted, AbortFlag
from node_agent.engine.bindings import devices, native
from node_agent.engine.chunks import CHUNK_TOKENS_MAX
from node_agent.engine.llama import LoadError
from node_agent.engine.sampler import Sampler, draw_seed
from tests.node_agent.engine.alone import Alone

PROMPT = [Random(7).randrange(256) for _ in range(300)]
WARM = Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=11)


@pytest.fixture(scope="module")
def load(close_model: Path) -> Callable[..., Alone]:
    def load(
        path: Path = close_model, *, threads: int = 1, abort: AbortFlag | None = None
    ) -> Alone:
        return Alone(path, threads=threads, abort=abort)

    return load


def drawn(llama: Alone, prompt: list[int], sampling: Sampling, count: int) -> list[int]:
    """Draw ``count`` tokens after ``prompt`` from a cold start."""
    llama.reuse([-1])
    return resumed(llama, prompt, [], sampling, count)


def resumed(
    llama: Alone, prompt: list[int], emitted: list[int], sampling: Sampling, count: int
) -> list[int]:
    """Draw up to ``count`` tokens, as an engine would that has the first ones already."""
    llama.reuse(prompt)
    row = llama.feed(prompt[len(llama.held) :])
    for token in emitted:
        row = llama.feed([token])
    tokens = list(emitted)
    with closing(Sampler(llama, sampling, [*prompt, *emitted])) as sampler:
        for position in range(len(emitted), count):
            tokens.append(sampler.draw(row, position))
            row = llama.feed(tokens[-1:])
    return tokens


def test_a_seed_decides_what_is_drawn(load: Callable[..., Alone]) -> None:
    llama = load()
    first = drawn(llama, PROMPT, WARM, 40)
    other_seed = Sampling(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=12)
    assert drawn(llama, PROMPT, WARM, 40) == first
    assert drawn(llama, PROMPT, other_seed, 40) != first


def test_a_temperature_near_zero_is_greedy(load: Callable[..., Alone]) -> None:
    llama = load()
    frozen = Sampling(temperature=1e-38, top_k=0, top_p=1.0, min_p=0.0)
    assert drawn(llama, PROMPT, frozen, 10) == drawn(llama, PROMPT, Sampling(temperature=0), 10)


@pytest.mark.parametrize(
    "sampling",
    [
        pytest.param(WARM, id="seeded"),
        pytest.param(Sampling(temperature=0), id="greedy"),
        pytest.param(Sampling(seed=3, repeat_penalty=1.3, presence_penalty=0.5), id="penalties"),
    ],
)
def test_an_answer_resumed_at_any_token_goes_on_the_same(
    load: Callable[..., Alone], sampling: Sampling
) -> None:
    whole = drawn(load(), PROMPT, sampling, 24)
    elsewhere = load()
    for position in range(len(whole)):
        elsewhere.reuse([-1])
        assert resumed(elsewhere, PROMPT, whole[:position], sampling, len(whole)) == whole


def logits(llama: Alone, *parts: list[int]) -> list[list[float]]:
    """Return all logits after ``parts``, decoded one by one, and after each of five more tokens."""
    llama.reuse([-1])
    rows = [llama.feed(part) for part in parts][-1:]
    found = []
    for token in range(6):
        values = native.llama_get_logits_ith(llama.context, rows[-1])
        found.append(values[: llama.vocabulary_size])
        rows.append(llama.feed([token]))
    return found


@pytest.mark.skipif(any(device.gpu for device in devices()), reason="about CPUs")
def test_the_number_of_threads_does_not_change_one_bit(load: Callable[..., Alone]) -> None:
    assert logits(load(threads=2), PROMPT) == logits(load(threads=1), PROMPT)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="measured there only")
@pytest.mark.parametrize("cut", [2, 77, 128, 200, 298])
def test_where_a_prompt_is_cut_does_not_change_one_bit(
    load: Callable[..., Alone], cut: int
) -> None:
    llama = load()
    assert logits(llama, PROMPT[:cut], PROMPT[cut:]) == logits(llama, PROMPT)


def test_the_same_logits_are_drawn_from_anew_at_each_position(load: Callable[..., Alone]) -> None:
    llama = load()
    row = llama.feed(PROMPT)
    with closing(Sampler(llama, WARM, PROMPT)) as sampler:
        tokens = [sampler.draw(row, position) for position in range(50)]
        again = [sampler.draw(row, position) for position in range(50)]
    assert tokens == again
    assert len(set(tokens)) > 20


def test_each_position_has_a_seed_of_its_own_and_none_means_random() -> None:
    seeds = [draw_seed(seed, position) for seed in range(50) for position in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 - 1 for seed in seeds)


def test_the_shared_beginning_of_two_prompts_is_kept(load: Callable[..., Alone]) -> None:
    llama = load()
    llama.feed(PROMPT)
    assert llama.reuse([*PROMPT[:100], 1, 2, 3]) == 100
    assert llama.held == PROMPT[:100]
    assert llama.reuse(PROMPT[:50]) == 48  # two are read: one alone may be rounded otherwise
    assert llama.reuse(PROMPT) == 48
    assert llama.reuse([254, 255]) == 0
    assert llama.held == []


def test_a_prefix_that_is_kept_was_worth_keeping(load: Callable[..., Alone]) -> None:
    llama = load()
    cold = drawn(llama, PROMPT, WARM, 10)
    llama.reuse([*PROMPT[:150], 9, 9, 9])
    llama.feed([9, 9, 9])
    assert llama.reuse(PROMPT) == 150
    assert resumed(llama, PROMPT, [], WARM, 10) == cold


class NativeFlag(AbortFlag):
    """Seen by llama.cpp only, never by us between two decodes."""

    def is_set(self) -> bool:
        return False


@pytest.mark.parametrize("flag", [AbortFlag, NativeFlag])
def test_a_prompt_is_broken_off_from_another_thread(
    slow_model: Path, load: Callable[..., Alone], flag: type[AbortFlag]
) -> None:
    abort = flag()
    llama = load(slow_model, abort=abort)
    prompt = PROMPT * 3
    expected = drawn(llama, prompt[:200], WARM, 5)
    llama.reuse([-1])
    Timer(0.02, abort.set).start()
    with pytest.raises(Aborted):
        llama.feed(prompt)
    assert len(llama.held) < len(prompt)
    assert len(llama.held) % CHUNK_TOKENS_MAX == 0
    abort.clear()
    assert resumed(llama, prompt[:200], [], WARM, 5) == expected


def test_nothing_is_decoded_once_the_flag_is_set(load: Callable[..., Alone]) -> None:
    abort = AbortFlag()
    llama = load(abort=abort)
    abort.set()
    with pytest.raises(Aborted):
        llama.feed([1])
    assert llama.held == []


def test_a_context_is_never_longer_than_what_the_model_was_trained_for(
    random_model: Path,
) -> None:
    llama = Alone(random_model, context_tokens=100_000)
    assert llama.context_tokens == 1024


def test_a_token_is_its_byte_and_a_turn_mark_is_nothing(load: Callable[..., Alone]) -> None:
    llama = load()
    assert [llama.piece(token) for token in (65, 0xC3, 0, 257)] == [b"A", b"\xc3", b"\0", b""]
    assert llama.tokenise("<|user|>é") == [257, 0xC3, 0xA9]
    assert [token for token in range(260) if llama.ends_turn(token)] == [256]


def test_the_fingerprint_of_numerics_is_the_same_for_equal_engines(
    load: Callable[..., Alone], random_model: Path
) -> None:
    assert load().numerics == load(random_model, threads=2).numerics
    assert len(load().numerics) == 12


def test_a_file_that_is_no_model_says_why(tmp_path: Path) -> None:
    file = tmp_path / "novel.gguf"
    file.write_text("It was a dark and stormy night.")
    with pytest.raises(LoadError, match=r"invalid magic characters: 'It w', expected 'GGUF'"):
        Alone(file)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0, presence_penalty=0.3),
        Sampling(temperature=0, frequency_penalty=0.02),
        Sampling(temperature=0, frequency_penalty=-0.02),
        Sampling(temperature=0, repeat_penalty=1.2, presence_penalty=-0.01, frequency_penalty=0.01),
    ],
    ids=["presence", "frequency", "frequency-favoured", "all"],
)
def test_penalties_take_from_what_the_last_64_tokens_said(
    load: Callable[..., Alone], sampling: Sampling
) -> None:
    llama = load()
    row = llama.feed(PROMPT)
    logits = native.llama_get_logits_ith(llama.context, row)[: llama.vocabulary_size]
    said, expected = list(PROMPT), []
    for _ in range(100):
        counts = Counter(said[-64:])

        def penalised(token: int, counts: Counter[int] = counts) -> float:
            logit: float = logits[token]
            if token not in counts:
                return logit
            logit = (
                logit / sampling.repeat_penalty if logit > 0 else logit * sampling.repeat_penalty
            )
            return logit - counts[token] * sampling.frequency_penalty - sampling.presence_penalty

        said.append(max(range(llama.vocabulary_size), key=penalised))
        expected.append(said[-1])
    with closing(Sampler(llama, sampling, PROMPT)) as sampler:
        drawn = [sampler.draw(row, position) for position in range(100)]
    assert drawn == expected
    if sampling.frequency_penalty >= 0:
        assert len(set(drawn)) > 1  # without penalties, one token a hundred times
