"""The benchmark of the ladder: what is asked, what is learned from, and how strategies add up."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.ladder import Given, measure, refuse_useless
from bench.ladder_answers import Told, cost_microusd
from bench.ladder_learning import Label, plan, without_domain, write_outcomes
from bench.ladder_questions import Question, drawn, of_domain
from bench.ladder_risk import calibrations, foreign_share
from bench.ladder_rungs import LARGE, own_models, repository_family
from bench.ladder_strategies import LARGE as ALWAYS_LARGE
from bench.ladder_strategies import SMALL as ALWAYS_SMALL
from bench.ladder_strategies import Tally, at_random, oracle, table
from bench.ladder_trace import STEPS, Trace, steps_of
from mesh.errors import InvalidRequest, ServiceError
from mesh.v1 import inference_pb2 as inference
from models.tasks import TASKS


@pytest.fixture(scope="module")
def asked() -> list[Question]:
    return drawn(3, seed="asked")


@pytest.fixture(scope="module")
def learned(asked: Sequence[Question]) -> list[Question]:
    return drawn(60, seed="learned", without={each.prompt for each in asked})


def told(question: Question, *, right: bool, cost: float, paid: bool = False) -> Told:
    return Told(question, "", right, "m", ("m",), paid, cost, 0.1, 0.2)


def test_an_upstream_that_gets_nothing_right_is_no_measure(asked: list[Question]) -> None:
    wrong = told(asked[0], right=False, cost=1.0, paid=True)
    lost = replace(wrong, failure="node_lost")
    with pytest.raises(ServiceError, match=r"none of 3 questions right \(2 node_lost\)"):
        refuse_useless([wrong, lost, lost])
    refuse_useless([wrong, lost, replace(wrong, right=True)])


def test_every_task_is_asked_and_no_question_twice(asked: list[Question]) -> None:
    assert len(asked) == 3 * len(TASKS) == len({each.prompt for each in asked})
    assert {each.task.name for each in asked} == set(TASKS)


def test_the_same_seed_asks_the_same(asked: list[Question]) -> None:
    assert drawn(3, seed="asked") == asked
    assert drawn(3, seed="other") != asked


def test_nothing_is_learned_of_what_is_asked(
    asked: list[Question], learned: list[Question]
) -> None:
    assert not {each.prompt for each in asked} & {each.prompt for each in learned}


def test_specialists_are_asked_all_of_their_field_and_a_little_of_others(
    learned: list[Question],
) -> None:
    rungs = repository_family()
    asked = plan(rungs, learned)
    assert list(asked)[:2] == [LARGE, "test-small"]
    assert rungs.small.name == "test-small"
    security = asked["test-security"]
    own = [each for each in security if each.domain == "security"]
    assert len(own) == len(of_domain(learned, "security")) >= 200
    assert 0 < len(security) - len(own) < len(own)


def test_the_energy_of_all_that_were_tried_counts_beside_the_money() -> None:
    rungs = repository_family()
    attempts = [
        inference.Attempt(
            model_name=name, usage=inference.Usage(prompt_tokens=1000, completion_tokens=100)
        )
        for name in ("test-security", "test-small", LARGE)
    ]
    receipt = inference.Receipt(cost_microusd=7, attempts=attempts)
    whole = cost_microusd(receipt, rungs)
    security, small = rungs.of("test-security"), rungs.small
    assert security is not None
    assert whole == 7 + security.energy_microusd(1000, 100) + small.energy_microusd(1000, 100)
    assert 0 < security.energy_microusd(1000, 100) < small.energy_microusd(1000, 100)


def test_the_oracle_takes_the_cheapest_right_answer_and_else_the_cheapest(
    asked: list[Question],
) -> None:
    one, two, three = asked[:3]
    found = oracle(
        {
            ALWAYS_SMALL: [
                told(one, right=True, cost=1),
                told(two, right=False, cost=1),
                told(three, right=False, cost=1),
            ],
            ALWAYS_LARGE: [
                told(one, right=True, cost=9, paid=True),
                told(two, right=True, cost=9, paid=True),
                told(three, right=False, cost=9, paid=True),
            ],
        }
    )
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.paid_share == pytest.approx(1 / 3)
    assert found.cost_microusd == pytest.approx(11 / 3)


def test_chance_at_the_same_share_of_paid_calls_lies_between_small_and_large(
    asked: list[Question],
) -> None:
    sides = {
        ALWAYS_SMALL: [told(each, right=False, cost=0) for each in asked],
        ALWAYS_LARGE: [told(each, right=True, cost=8, paid=True) for each in asked],
    }
    chance = at_random(sides, 0.25)
    assert (chance.accuracy, chance.cost_microusd, chance.paid_share) == (0.25, 2.0, 0.25)
    shown = list(table({**{n: Tally.of(t) for n, t in sides.items()}, "random": chance}))
    assert len(shown) == 2 + 3
    assert "| 25.0% | 25.0% | 25.0% | 2.0000 | 25.00% |" in shown[-1]


def test_what_is_learned_from_is_what_route_train_reads(
    learned: list[Question], tmp_path: Path
) -> None:
    file = tmp_path / "outcomes.jsonl"
    one, two = learned[:2]
    write_outcomes(file, learned, {"a": {one.prompt: Label(True, ((-0.1, -3.0),))}, "b": {}})
    (line,) = file.read_text().splitlines()
    assert json.loads(line) == {
        "prompt": one.prompt,
        "domain": one.domain,
        "outcomes": {"a": {"score": 1, "tokens": [{"top_logprobs": [-0.1, -3.0]}]}},
    }
    assert two.prompt not in line
    assert without_domain(file, one.domain, tmp_path).read_text() == ""
    assert without_domain(file, "another", tmp_path).read_text() == file.read_text()


def test_a_field_that_was_not_learned_of_is_noticed(
    asked: list[Question], learned: list[Question]
) -> None:
    shares = foreign_share(learned, asked)
    assert len(shares) == 6
    assert sum(shares.values()) / 6 > 0.9


def test_calibrations_are_judged_on_answers_that_they_have_not_seen(
    learned: list[Question], tmp_path: Path
) -> None:
    file, questions = tmp_path / "outcomes.jsonl", drawn(80, seed="more")
    sure, unsure = ((-0.001, -7.0),), ((-0.6, -0.8),)
    labels = {
        each.prompt: Label(place % 3 > 0, sure if place % 3 else unsure)
        for place, each in enumerate(questions)
    }
    write_outcomes(file, questions, {"m": labels})
    found = calibrations(file, ["m"], count=6)
    assert {each.model for each in found} == {"m"}
    assert all(each.tested >= 150 for each in found)
    assert sum(each.wrong for each in found) == 0, "who is unsure is wrong, and does not stand"
    assert 0.5 < sum(each.accepted for each in found) / sum(each.tested for each in found) < 0.8


def test_an_agents_task_fits_the_test_models_and_tells_changes_of_model(
    learned: list[Question],
) -> None:
    steps = steps_of(learned)
    assert len(steps) == STEPS
    marks_and_answer = 4 + 9  # tokens
    assert sum(len(each.prompt) + marks_and_answer for each in steps) < 1024
    changed = [
        Told(steps[0], "", True, model, (model,), model == "b", 1.0, 0.1, 0.2) for model in "aabba"
    ]
    trace = Trace.of(changed)
    assert (trace.changes, trace.cost_microusd, trace.paid_share) == (2, 5.0, 0.4)


def test_a_model_of_ones_own_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"nobody\.gguf"):
        own_models([tmp_path / "nobody.gguf"], "http://localhost:1/v1", "x", (1.0, 2.0))


@pytest.mark.long
async def test_the_ladder_in_a_real_mesh_pays_for_few_answers_and_is_as_right(
    tmp_path: Path,
) -> None:
    figures = await measure(True, Given(repository_family(), outcomes=tmp_path / "outcomes.jsonl"))
    assert (figures["accuracy_ratio"] or 0) >= 0.9
    assert figures["paid_share"] is not None
    assert figures["paid_share"] <= 0.35
    assert figures["answers_lost"] == 0
