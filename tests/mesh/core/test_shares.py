"""Equals get traffic by their weights, which outcomes shift, within bounds."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.shares import MODELS_MAX, SHARE_KEPT, Shares
from mesh.core.types import CloudModel, ModelId


def a_model(name: str, share: float = 1.0) -> CloudModel:
    return CloudModel(name, "upstream", equals="group", share=share)


A, B = a_model("a", 50.0), a_model("b", 50.0)
SCORES = st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1)), max_size=300)


def scored(shares: Shares, model: CloudModel, mean: float, count: int, rng: Random) -> None:
    for _ in range(count):
        shares.learn(model.model_id, float(rng.random() < mean))


def test_without_an_outcome_traffic_follows_the_weights() -> None:
    group = [a_model("a", 60.0), a_model("b", 30.0), a_model("c", 10.0)]
    shares, rng = Shares(), Random(1)
    picked = Counter(shares.pick(group, rng).name for _ in range(10_000))
    assert picked["a"] == pytest.approx(6000, abs=200)
    assert picked["b"] == pytest.approx(3000, abs=200)
    assert picked["c"] == pytest.approx(1000, abs=200)


def test_a_group_of_one_is_that_one() -> None:
    shares = Shares()
    shares.learn(A.model_id, 0.0)
    assert shares.pick([A], Random(1)) is A
    assert shares.weights([A]) == {A.model_id: 1.0}


def test_the_same_seed_picks_the_same() -> None:
    def picks(seed: int) -> list[str]:
        rng = Random(seed)
        return [Shares().pick([A, B], rng).name for _ in range(50)]

    assert picks(7) == picks(7)
    assert picks(7) != picks(8)


@given(SCORES, st.lists(st.floats(0.01, 1000), min_size=3, max_size=3))
def test_each_keeps_a_tenth_of_its_share_whatever_comes(
    scores: list[tuple[int, float]], given_shares: list[float]
) -> None:
    group = [a_model(name, share) for name, share in zip("abc", given_shares, strict=True)]
    shares = Shares()
    for index, score in scores:
        shares.learn(group[index].model_id, score)
    weights = shares.weights(group)
    assert sum(weights.values()) == pytest.approx(1.0)
    for model in group:
        own = model.share / sum(given_shares)
        assert weights[model.model_id] >= SHARE_KEPT * own * (1 - 1e-9)


def test_a_model_that_is_always_worse_keeps_just_that_tenth() -> None:
    shares = Shares()
    scored(shares, A, 1.0, 500, Random(1))
    scored(shares, B, 0.0, 500, Random(1))
    weights = shares.weights([A, B])
    assert weights[B.model_id] == pytest.approx(0.1 / 1.1)


def test_few_outcomes_shift_nothing() -> None:
    """Two bad answers and two good ones are chance."""
    shares = Shares()
    for _ in range(2):
        shares.learn(A.model_id, 1.0)
        shares.learn(B.model_id, 0.0)
    assert shares.weights([A, B]) == {A.model_id: 0.5, B.model_id: 0.5}


def test_one_of_which_nobody_has_told_keeps_its_share() -> None:
    shares = Shares()
    scored(shares, A, 0.9, 300, Random(1))
    assert shares.weights([A, B]) == {A.model_id: 0.5, B.model_id: 0.5}


def test_equal_models_stay_about_equal() -> None:
    """Over 200 seeds of 300 outcomes each, chance alone shifts the weights little and rarely."""
    shifted = []
    for seed in range(200):
        shares, rng = Shares(), Random(seed)
        for _ in range(300):
            model = shares.pick([A, B], rng)
            shares.learn(model.model_id, float(rng.random() < 0.8))
        shifted.append(abs(shares.weights([A, B])[A.model_id] - 0.5))
    assert sum(each > 0.05 for each in shifted) <= 20
    assert max(shifted) < 0.25


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.5), (0.8, 0.4), (0.95, 0.6)])
def test_a_model_that_gets_worse_is_noticed_within_two_hundred_requests(
    before: float, after: float
) -> None:
    noticed = 0
    for seed in range(50):
        shares, rng = Shares(), Random(seed)
        for _ in range(400):
            model = shares.pick([A, B], rng)
            shares.learn(model.model_id, float(rng.random() < before))
        for _ in range(200):
            model = shares.pick([A, B], rng)
            mean = after if model is B else before
            shares.learn(model.model_id, float(rng.random() < mean))
        noticed += shares.weights([A, B])[B.model_id] < 0.4
    assert noticed >= 45, "of 50 seeds"


def test_a_model_that_got_better_is_trusted_again() -> None:
    """A tenth of its share is enough to show it."""
    shares, rng = Shares(), Random(3)
    scored(shares, A, 0.8, 300, rng)
    scored(shares, B, 0.3, 300, rng)
    assert shares.weights([A, B])[B.model_id] < 0.15
    for _ in range(2500):
        model = shares.pick([A, B], rng)
        shares.learn(model.model_id, float(rng.random() < 0.8))
    assert shares.weights([A, B])[B.model_id] > 0.4


def test_the_better_one_is_never_the_loser() -> None:
    for seed in range(50):
        shares, rng = Shares(), Random(seed)
        scored(shares, A, 0.9, 200, rng)
        scored(shares, B, 0.4, 200, rng)
        assert shares.weights([A, B])[A.model_id] > 0.7


def test_scores_of_ever_new_models_are_bounded() -> None:
    shares = Shares()
    for index in range(MODELS_MAX + 10):
        shares.learn(ModelId(f"cloud:{index}"), 0.5)
    assert len(shares._scores) == MODELS_MAX


def test_a_score_is_between_nothing_and_all() -> None:
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(AssertionError):
            Shares().learn(A.model_id, wrong)


def test_its_state_is_shown_in_a_line() -> None:
    shares = Shares()
    shares.learn(A.model_id, 0.5)
    assert repr(shares) == "<Shares cloud:a 0.50>"
