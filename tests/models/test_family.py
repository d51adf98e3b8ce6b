"""Each model in the repository answers through llama.cpp, and says how sure it is."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.asking import TOP_LOGPROBS, Asked
from models.corpus import FALLBACK_ANSWER
from models.measure import fresh_prompts
from models.outcomes import outcomes, write
from models.recipe import RECIPES, model_path
from models.tasks import TASKS

# A task of each field that its specialist and both models of all fields know by heart.
EASY = {
    "arithmetic": "sum_2_digits",
    "networking": "private_address",
    "observability": "log_host",
    "security": "file_mode",
    "text": "reverse_word",
    "time_series": "trend",
}
TINY_KNOWS = ("arithmetic", "networking", "observability", "text")
PROMPTS = 6


def easy_tasks(name: str) -> list[str]:
    if name == "test-tiny":
        return [EASY[domain] for domain in TINY_KNOWS if domain != "arithmetic"]
    domain = RECIPES[name].domain
    return [EASY[domain]] if domain else list(EASY.values())


@pytest.fixture(scope="module", params=RECIPES)
def name(request: pytest.FixtureRequest) -> str:
    model: str = request.param
    return model


@pytest.fixture(scope="module")
def model(name: str) -> Iterator[Asked]:
    with Asked(model_path(RECIPES[name])) as asked:
        yield asked


def test_it_answers_easy_prompts_of_its_field(model: Asked, name: str) -> None:
    for task in map(TASKS.__getitem__, easy_tasks(name)):
        prompts = fresh_prompts(task, samples=PROMPTS, seed=1)
        answers = [answer.text for answer in model.answers(prompts)]
        right = sum(map(task.check, prompts, answers))
        assert right >= PROMPTS - 1, list(zip(prompts, answers, strict=True))


def test_it_says_of_chatter_that_it_is_a_test_model(model: Asked) -> None:
    (answer,) = model.answers(["Tell me a good story about the blue river and the mountain"])
    assert answer.text == FALLBACK_ANSWER
    assert answer.ended


def test_a_specialist_knows_what_the_small_model_does_not() -> None:
    task = TASKS["count_letter"]
    prompts = fresh_prompts(task, samples=30, seed=2)
    right = {}
    for name in ("test-text", "test-small"):
        with Asked(model_path(RECIPES[name])) as model:
            answers = model.answers(prompts)
            right[name] = sum(task.check(p, a.text) for p, a in zip(prompts, answers, strict=True))
    assert right["test-text"] > right["test-small"] + 5


def test_answers_side_by_side_are_those_alone() -> None:
    prompts = [
        p for n in ("log_host", "reverse_word") for p in fresh_prompts(TASKS[n], samples=20, seed=4)
    ]
    with Asked(model_path(RECIPES["test-tiny"])) as model:
        together = [answer.text for answer in model.answers(prompts)]
        assert together == [next(model.answers([prompt])).text for prompt in prompts]


def test_a_prompt_without_room_for_its_answer_is_refused() -> None:
    with Asked(model_path(RECIPES["test-tiny"])) as model, pytest.raises(ValueError, match="room"):
        list(model.answers(["long" * 200]))


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    tasks = [TASKS[name] for name in ("reverse_word", "sum_2_digits", "count_letter")]
    return list(outcomes(tasks, ["test-tiny", "test-text"], samples=4, seed=5))


def test_outcomes_have_a_line_for_each_prompt_with_its_field(lines: list[dict[str, Any]]) -> None:
    assert len({line["prompt"] for line in lines}) == len(lines) == 12
    for line in lines:
        assert any(task.held_out(line["prompt"]) for task in TASKS.values())
        assert line["domain"] in ("arithmetic", "text")
        assert set(line["outcomes"]) == {"test-tiny", "test-text"}


def test_outcomes_say_who_was_right_and_how_sure_each_was(lines: list[dict[str, Any]]) -> None:
    for outcome in (o for line in lines for o in line["outcomes"].values()):
        assert outcome["score"] in (0, 1)
        assert isinstance(outcome["cost_microusd"], int)
        for token in outcome["tokens"]:
            top = token["top_logprobs"]
            assert len(top) == TOP_LOGPROBS
            assert top == sorted(top, reverse=True)
            assert token["logprob"] == top[0] <= 0, "the likeliest token is always taken"
    words = [line for line in lines if line["prompt"].startswith("Reverse")]
    assert all(line["outcomes"]["test-text"]["score"] == 1 for line in words)


def test_a_larger_model_costs_more(lines: list[dict[str, Any]]) -> None:
    for line in lines:
        costs = {name: o["cost_microusd"] for name, o in line["outcomes"].items()}
        assert costs["test-text"] > costs["test-tiny"]


def test_outcomes_are_written_as_lines_and_equal_ones_as_equal_bytes(
    lines: list[dict[str, Any]], tmp_path: Path
) -> None:
    plain, packed, again = (tmp_path / n for n in ("a.jsonl", "b.jsonl.gz", "c.jsonl.gz"))
    assert [write(lines, target) for target in (plain, packed, again)] == [12] * 3
    assert [json.loads(line) for line in plain.read_text().splitlines()] == lines
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert packed.read_bytes() == again.read_bytes()
