"""Judged answers correct what is expected of a model: soon, and not without evidence."""

from collections.abc import Iterator
from random import Random

import pytest

from mesh.core import outcomes
from mesh.core.calibration import LABELS_MIN
from mesh.core.outcomes import Label, Outcomes, Source, label
from mesh.core.types import ModelId

TARGET = 0.8
NOTICED_WITHIN_LABELS = 200
SETTLED_LABELS = 600  # twice the memory: a model that was known for long
SEEDS = 40
SMALL, OTHER = ModelId("small"), ModelId("other")


def judged(score: float, *, guess: float = 0.8, task_class: str = "sums") -> Label:
    return label(Source.FEEDBACK, SMALL, task_class, guess=guess, score=score)


def answers(accuracy: float, rng: Random) -> Iterator[float]:
    while True:
        yield float(rng.random() < accuracy)


def taught(accuracy: float, count: int, *, guess: float, seed: int = 0) -> Outcomes:
    made = Outcomes()
    for _, score in zip(range(count), answers(accuracy, Random(seed)), strict=False):
        made.learn(judged(score, guess=guess))
    return made


def labels_until_noticed(before: float, after: float, *, guess: float, seed: int) -> int:
    """How many labels after a change its P(ok) lies on the right side of the target."""
    rng = Random(seed)
    made = taught(before, SETTLED_LABELS, guess=guess, seed=seed)
    believed_good = before >= TARGET
    assert (made.p_ok(SMALL, "sums", guess) >= TARGET) == believed_good
    for count, score in enumerate(answers(after, rng), start=1):
        made.learn(judged(score, guess=guess))
        if (made.p_ok(SMALL, "sums", guess) >= TARGET) != believed_good:
            assert made.trusted(SMALL)
            return count
        assert count <= 1000, f"never noticed, seed {seed}"
    raise AssertionError


def test_nothing_is_corrected_without_labels() -> None:
    assert Outcomes().p_ok(SMALL, "sums", 0.83) == 0.83
    assert Outcomes().labels(SMALL) == 0.0


@pytest.mark.parametrize("guess", [0.5, 0.8, 0.9, 0.95])
def test_one_wrong_answer_is_no_evidence(guess: float) -> None:
    made = Outcomes()
    made.learn(judged(0.0, guess=guess))
    assert made.p_ok(SMALL, "sums", guess) == pytest.approx(guess, abs=0.01)


def test_ten_wrong_answers_are() -> None:
    made = Outcomes()
    for _ in range(10):
        made.learn(judged(0.0))
    assert made.p_ok(SMALL, "sums", 0.8) < 0.6


def test_answers_as_good_as_expected_change_nothing_to_speak_of() -> None:
    for seed in range(SEEDS):
        made = taught(0.9, SETTLED_LABELS, guess=0.9, seed=seed)
        assert made.p_ok(SMALL, "sums", 0.9) == pytest.approx(0.9, abs=0.06), f"seed {seed}"


@pytest.mark.parametrize(("accuracy", "guess"), [(0.5, 0.9), (0.9, 0.5), (0.7, 0.8)])
def test_what_was_guessed_wrongly_is_put_right(accuracy: float, guess: float) -> None:
    found = [
        taught(accuracy, SETTLED_LABELS, guess=guess, seed=seed).p_ok(SMALL, "sums", guess)
        for seed in range(SEEDS)
    ]
    assert sum(found) / SEEDS == pytest.approx(accuracy, abs=0.04)


def test_a_model_that_gets_worse_is_noticed_within_200_labels() -> None:
    found = [labels_until_noticed(0.9, 0.5, guess=0.9, seed=seed) for seed in range(SEEDS)]
    assert max(found) <= NOTICED_WITHIN_LABELS, found


def test_a_model_that_gets_better_is_noticed_within_200_labels() -> None:
    found = [labels_until_noticed(0.5, 0.9, guess=0.9, seed=seed) for seed in range(SEEDS)]
    assert max(found) <= NOTICED_WITHIN_LABELS, found


def test_so_is_one_that_no_head_knows() -> None:
    """What it was guessed at is far off: half of the changes are noticed within 100 labels."""
    found = sorted(labels_until_noticed(0.5, 0.9, guess=0.6, seed=seed) for seed in range(SEEDS))
    assert found[SEEDS // 2] <= 100, found
    assert found[SEEDS * 9 // 10] <= NOTICED_WITHIN_LABELS, found


def test_a_model_is_trusted_from_200_labels_of_its_own() -> None:
    made = taught(0.9, LABELS_MIN - 1, guess=0.6)
    assert not made.trusted(SMALL)
    for _ in range(10):  # old ones count a little less
        made.learn(judged(1.0, guess=0.6))
    assert made.trusted(SMALL)
    assert not made.trusted(OTHER)


def test_doubtful_labels_count_less_towards_trust() -> None:
    made = Outcomes()
    for _ in range(LABELS_MIN * 2):
        made.learn(label(Source.CONFIDENCE, SMALL, "sums", guess=0.8, score=0.8))
    assert 0 < made.labels(SMALL) < LABELS_MIN


def test_a_model_that_is_sure_of_all_it_says_does_not_outshout_those_who_judge_it() -> None:
    """Of twenty answers one is audited, and all of those are wrong."""
    made = Outcomes()
    for count in range(1000):
        made.learn(label(Source.CONFIDENCE, SMALL, "sums", guess=0.7, score=0.97))
        if count % 20 == 0:
            made.learn(label(Source.AUDIT, SMALL, "sums", guess=0.7, score=0.0))
    assert made.p_ok(SMALL, "sums", 0.7) < 0.6, "the least that any policy takes for good enough"


def test_a_class_without_labels_leans_on_its_model() -> None:
    made = taught(0.5, SETTLED_LABELS, guess=0.9)
    assert made.p_ok(SMALL, "poems", 0.9) == pytest.approx(0.5, abs=0.1)
    assert made.p_ok(OTHER, "sums", 0.9) == 0.9


def test_classes_of_one_model_are_told_apart() -> None:
    made, rng = Outcomes(), Random(5)
    for _ in range(SETTLED_LABELS):
        made.learn(judged(float(rng.random() < 0.95), task_class="sums"))
        made.learn(judged(float(rng.random() < 0.5), task_class="poems"))
    assert made.p_ok(SMALL, "sums", 0.8) > 0.88
    assert made.p_ok(SMALL, "poems", 0.8) < 0.6


def test_whoever_is_asked_no_more_gets_another_try() -> None:
    made = taught(0.5, SETTLED_LABELS, guess=0.9)
    assert made.p_ok(SMALL, "sums", 0.9) < TARGET
    for _ in range(5 * outcomes.FADES_OVER_LABELS):
        made.learn(label(Source.FEEDBACK, OTHER, "sums", guess=0.9, score=1.0))
    assert made.p_ok(SMALL, "sums", 0.9) > TARGET
    assert not made.trusted(SMALL)


def test_the_oldest_are_forgotten_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outcomes, "MODELS_KEPT_MAX", 2)
    monkeypatch.setattr(outcomes, "CLASSES_KEPT_MAX", 3)
    made = Outcomes()
    for number in range(5):
        model_id = ModelId(f"m{number}")
        for task_class in ("sums", "poems"):
            for _ in range(20):
                made.learn(label(Source.TEST, model_id, task_class, guess=0.8, score=0.0))
    assert [made.labels(ModelId(f"m{number}")) > 0 for number in range(5)] == [
        *(False, False, False),
        *(True, True),
    ]
