"""Heads learn what decides between two models, and nothing of what they are judged on."""

from pathlib import Path

import numpy as np
import pytest

from mesh.core.asked import BIG, SMALL
from mesh.core.features import prompt_features
from mesh.core.scorer_format import scorer_from_text, scorer_to_text
from mesh.training.evaluating import PROMPT_ONLY, Pair
from mesh.training.learning import Ground, learn, seen_of
from mesh.training.outcomes import Outcomes, Row, read_outcomes
from mesh.training.ridge import fit_ridge
from mesh.training.sparse import Sparse
from tests.mesh.training.made import write_rows


def ground(path: Path, rows: int, seed: int = 0, *, domains: bool = True) -> Ground:
    file = write_rows(path / f"{rows}-{seed}", rows, seed=seed, domains=domains)
    return Ground.of(read_outcomes([file]))


def test_sparse_products_are_those_of_the_whole_matrix() -> None:
    die = np.random.default_rng(0)
    whole = ((die.random((30, 50)) < 0.1) * die.random((30, 50))).astype(np.float32)
    whole[[0, 7, 29]] = 0
    places = [np.flatnonzero(row) for row in whole]
    sparse = Sparse.of(places, [row[at] for row, at in zip(whole, places, strict=True)], 50)
    right, left = die.random(50).astype(np.float32), die.random(30).astype(np.float32)
    assert sparse.times(right) == pytest.approx(whole @ right, abs=1e-5)
    assert sparse.transposed_times(left) == pytest.approx(whole.T @ left, abs=1e-5)
    some = np.array([29, 3, 3])
    assert sparse.take(some).times(right) == pytest.approx(whole[some] @ right, abs=1e-5)


def test_the_ridge_is_the_one_of_the_normal_equations() -> None:
    die = np.random.default_rng(1)
    whole = die.random((40, 6)).astype(np.float32)
    targets = die.random(40).astype(np.float32)
    every = np.arange(6)
    fitted = fit_ridge(Sparse.of([every] * 40, list(whole), 6), targets, 0.5)
    centred = whole - whole.mean(axis=0)
    exact = np.linalg.solve(
        centred.T @ centred + 0.5 * np.eye(6), centred.T @ (targets - targets.mean())
    )
    assert fitted.weights == pytest.approx(exact, abs=1e-3)
    assert fitted.bias == pytest.approx(targets.mean() - whole.mean(axis=0) @ exact, abs=1e-3)


def test_heads_tell_gain_from_difficulty(tmp_path: Path) -> None:
    scorer = learn(ground(tmp_path, 600), prior=None)
    chances = {
        kind: scorer.p_ok(prompt_features(f"say something about some {kind}", kind[0]))
        for kind in ("greeting", "proof", "riddle")
    }
    gain = {kind: found["strong"] - found["weak"] for kind, found in chances.items()}
    assert gain["proof"] > gain["greeting"] + 0.2
    assert gain["proof"] > gain["riddle"] + 0.2  # a riddle is hard, and nothing is gained by it
    assert chances["greeting"]["weak"] > chances["riddle"]["weak"] + 0.3
    assert {SMALL, BIG} <= set(scorer.heads)


def test_a_file_scores_as_the_scorer_that_was_learned(tmp_path: Path) -> None:
    scorer = learn(ground(tmp_path, 300), prior=None)
    again = scorer_from_text(scorer_to_text(scorer))
    features = prompt_features("a proof about it")
    for name, chance in scorer.p_ok(features).items():
        assert again.p_ok(features)[name] == pytest.approx(chance, abs=1e-3)


def test_what_is_judged_changes_nothing_of_what_is_learned(tmp_path: Path) -> None:
    rows = ground(tmp_path, 200)
    train, test = np.arange(100), np.arange(100, 200)
    told = Pair.learned(rows, train, None, signs=False).judged(rows, test, PROMPT_ONLY)
    rows.scores[test] = 1.0 - rows.scores[test]
    lied = Pair.learned(rows, train, None, signs=False).judged(rows, test, PROMPT_ONLY)
    assert np.array_equal(told.weak_chance, lied.weak_chance)
    assert np.array_equal(told.strong_chance, lied.strong_chance)


def test_chances_are_calibrated_on_rows_that_were_not_learned_from(tmp_path: Path) -> None:
    rows = ground(tmp_path, 2000)
    pair = Pair.learned(rows, np.arange(1000), None, signs=False)
    figures = pair.judged(rows, np.arange(1000, 2000), PROMPT_ONLY).figures()
    assert figures["ece"] is not None
    assert figures["ece"] < 0.06
    assert figures["apgr"] is not None
    assert figures["apgr"] > 0.7


def test_a_prior_helps_where_there_are_hardly_any_labels(tmp_path: Path) -> None:
    prior = learn(ground(tmp_path, 1000, seed=1, domains=False), prior=None)
    rows = ground(tmp_path, 1000, seed=2, domains=False)
    test = np.arange(20, 1000)
    alone = Pair.learned(rows, np.arange(20), None, signs=False).judged(rows, test, PROMPT_ONLY)
    helped = Pair.learned(rows, np.arange(20), prior, signs=False).judged(rows, test, PROMPT_ONLY)
    assert helped.figures()["auc"] > alone.figures()["auc"] + 0.05  # type: ignore[operator]


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_one_class_alone_is_learned_as_a_mean(score: float) -> None:
    rows = [Row(f"prompt {n}", "", {"m": score}, {}) for n in range(50)]
    scorer = learn(Ground.of(Outcomes(rows, [])), prior=None)
    chance = scorer.p_ok(prompt_features("prompt 7"))["m"]
    assert abs(chance - score) < 0.1
    assert 0 < chance < 1


def test_a_scorer_knows_again_what_it_learned_from(tmp_path: Path) -> None:
    rows = ground(tmp_path, 30)
    scorer = learn(rows, prior=None)
    assert seen_of(scorer, rows.rows).all()
    assert not seen_of(scorer, ground(tmp_path, 30, seed=5).rows).any()
