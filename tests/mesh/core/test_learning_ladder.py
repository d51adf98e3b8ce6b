"""The ladder climbs by what judged answers have taught."""

from dataclasses import replace
from random import Random

import pytest

from mesh.core import events
from mesh.core.actions import FinishRequest, StartAttempt
from mesh.core.asked import BIG, SMALL, Assessment
from mesh.core.outcomes import Source, label
from mesh.core.policies import Policy
from mesh.core.types import Model
from tests.mesh.core.script import Script, a_model, kinds, only

TINY = a_model("tiny", parameters=1_000_000)
LARGE = a_model("large", parameters=100_000_000)
POLICY = Policy("own", target=0.8)
HEADS = {"tiny": 0.9, "large": 0.95}
WITH_HEADS = Assessment(task_class="sums", p_ok=HEADS, trusted=frozenset(HEADS))
WITHOUT = Assessment(task_class="sums", p_ok={SMALL: 0.6, BIG: 0.9})


@pytest.fixture
def script() -> Script:
    made = Script()
    made.attach("desk", TINY)
    made.attach("shelf", LARGE)
    return made


def first(script: Script, request_id: str, assessment: Assessment = WITH_HEADS) -> str:
    """Ask, have it answered, and say by whom."""
    asked = script.ask(request_id, "auto", policy=POLICY, assessment=assessment)
    start = only(asked, StartAttempt)
    script.open(start)
    script.say_started(start)
    receipt = only(script.finish(start, 3), FinishRequest).receipt
    return receipt.attempts[-1].model_name


def judge(script: Script, model: Model, accuracy: float, count: int, guess: float) -> None:
    rng = Random(11)
    for _ in range(count):
        score = float(rng.random() < accuracy)
        made = label(Source.FEEDBACK, model.model_id, "sums", guess=guess, score=score)
        told = script.happens(events.AnswersJudged((made,)))
        assert set(kinds(told)) <= {"TellOperator"}, "of how far a newcomer has come"


def test_a_model_that_gets_worse_is_no_longer_chosen_and_comes_back(script: Script) -> None:
    judge(script, TINY, 0.9, 600, 0.9)
    assert first(script, "r1") == "tiny"
    judge(script, TINY, 0.5, 200, 0.9)
    assert first(script, "r2") == "large"
    judge(script, TINY, 0.9, 200, 0.9)
    assert first(script, "r3") == "tiny"


def test_a_few_bad_answers_do_not_cost_a_model_its_place(script: Script) -> None:
    judge(script, TINY, 0.0, 2, 0.9)
    assert first(script, "r1") == "tiny"


def test_a_model_without_a_head_is_chosen_once_its_own_labels_say_so(script: Script) -> None:
    judge(script, LARGE, 0.95, 250, 0.8)
    assert first(script, "r1", WITHOUT) == "large"
    judge(script, TINY, 0.95, 150, 0.6)
    assert first(script, "r2", WITHOUT) == "large", "150 labels are a guess"
    judge(script, TINY, 0.95, 100, 0.6)
    assert first(script, "r3", WITHOUT) == "tiny"


def test_a_receipt_says_what_was_guessed_and_what_was_learned(script: Script) -> None:
    judge(script, TINY, 0.5, 300, 0.9)
    start = only(script.ask("r1", "auto", policy=POLICY, assessment=WITH_HEADS), StartAttempt)
    script.open(start)
    script.say_started(start)
    receipt = only(script.finish(start, 3), FinishRequest).receipt
    rungs = {each.model_name: each for each in receipt.ladder}
    assert rungs["tiny"].basis.guess == 0.9
    assert rungs["tiny"].p_ok == pytest.approx(0.5, abs=0.1)
    assert rungs["large"].p_ok == rungs["large"].basis.guess == 0.95


def step(script: Script, number: int, worked: float | None, *, principal: str = "ann") -> str:
    """A call of a session; ``worked`` is what became of the one before. Say who answers."""
    assessment = replace(WITH_HEADS, calls_worked=worked)
    asked = script.ask(
        f"{principal} {number}",
        "auto",
        policy=POLICY,
        assessment=assessment,
        session="s",
        principal=principal,
    )
    start = only(asked, StartAttempt)
    script.open(start)
    script.say_started(start)
    return only(script.finish(start, 3), FinishRequest).receipt.attempts[-1].model_name


def labels(script: Script, model: Model) -> float:
    return script.fleet.requests.choosing.outcomes.labels(model.model_id)


def test_a_model_whose_calls_fail_in_execution_loses_its_place(script: Script) -> None:
    answered = [step(script, number, 0.0 if number else None) for number in range(60)]
    assert answered[0] == "tiny"
    assert "large" in answered
    assert "large" not in answered[:5], "a few failed calls say little"


def test_a_model_whose_calls_work_keeps_its_place(script: Script) -> None:
    assert {step(script, number, 1.0 if number else None) for number in range(60)} == {"tiny"}
    assert labels(script, TINY) > 10


def test_an_answer_is_told_of_its_calls_once(script: Script) -> None:
    step(script, 0, None)
    once = replace(WITH_HEADS, calls_worked=0.0)
    for number in range(1, 9):  # the same turn, sent again and again before any answer
        script.ask(f"again {number}", "auto", policy=POLICY, assessment=once, session="s")
    assert labels(script, TINY) == pytest.approx(0.3)


def test_results_without_a_session_or_from_another_principal_teach_nothing(script: Script) -> None:
    step(script, 0, None)
    assert first(script, "x", replace(WITH_HEADS, calls_worked=0.0)) == "tiny"
    assert step(script, 1, 0.0, principal="eve") == "tiny"
    assert labels(script, TINY) == 0.0
