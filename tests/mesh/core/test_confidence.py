"""How sure a model was of its answer, from the signs of its tokens."""

import pytest

from mesh.core.confidence import CONFIDENCE_NAMES, confidence_features
from mesh.core.signs import TOP, TokenSign

SURE = TokenSign((0.98, 0.01, 0.01))
TORN = TokenSign((0.5, 0.4, 0.1))


def features(*signs: TokenSign) -> dict[str, float]:
    return dict(zip(CONFIDENCE_NAMES, confidence_features(signs), strict=True))


def test_a_shaky_token_shows_among_many_sure_ones() -> None:
    sure, shaky = features(*[SURE] * 20), features(*[SURE] * 19, TORN)
    assert shaky["chance_quantile_0"] < sure["chance_quantile_0"] - 2
    assert shaky["chance_quantile_0.5"] == sure["chance_quantile_0.5"]
    assert shaky["shaky_share"] == pytest.approx(0.05)


def test_a_token_that_was_drawn_against_the_odds_is_shaky() -> None:
    drawn = TokenSign((0.9, 0.1), rank=1)
    assert features(drawn)["first_chance"] < features(TokenSign((0.9, 0.1)))["first_chance"]
    assert features(drawn)["first_chance"] == pytest.approx(
        features(TokenSign((0.1,)))["last_chance"]
    )
    assert features(drawn)["lead_quantile_0.5"] < features(TORN)["lead_quantile_0.5"]


def test_a_token_beyond_those_that_are_told_has_no_chance() -> None:
    assert features(TokenSign(SURE.top, rank=TOP))["first_chance"] < -10


def test_an_empty_answer_is_as_unsure_as_can_be() -> None:
    assert features()["first_chance"] < -10


def test_what_was_said_is_ranked_among_log_probabilities() -> None:
    assert TokenSign.of_logprobs([-0.1, -2.5, -4.0], -2.5).rank == 1
    assert TokenSign.of_logprobs([-0.1, -2.5, -4.0], -0.1).rank == 0
    assert TokenSign.of_logprobs([-0.1, -2.5], -9.0).rank == 2
