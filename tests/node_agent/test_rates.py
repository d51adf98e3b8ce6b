"""How fast a model is, by what it did."""

import pytest

from mesh.core.generation import Finished
from mesh.core.types import FinishReason, Usage
from node_agent.rates import TOKENS_MIN, Rate, Rates


def test_an_unused_model_has_no_rate() -> None:
    assert Rate().tokens_per_s == 0.0


def test_the_rate_follows_the_latest_answers() -> None:
    rate = Rate()
    for _ in range(20):
        rate.add(100, 1.0)
    assert rate.tokens_per_s == pytest.approx(100)
    for _ in range(10):
        rate.add(100, 10.0)
    assert 10 < rate.tokens_per_s < 12


def test_a_long_answer_outweighs_short_ones() -> None:
    rate = Rate()
    rate.add(10_000, 10.0)
    rate.add(TOKENS_MIN, 1.0)
    assert rate.tokens_per_s > 800


@pytest.mark.parametrize(("tokens", "seconds"), [(TOKENS_MIN - 1, 1.0), (100, 0.0), (0, 1.0)])
def test_what_says_nothing_of_the_rate_is_ignored(tokens: int, seconds: float) -> None:
    rate = Rate()
    rate.add(tokens, seconds)
    assert rate.tokens_per_s == 0.0


def test_cached_tokens_are_not_prefilled() -> None:
    rates = Rates.unknown()
    rates.learn(Finished(FinishReason.STOP, Usage(1000, 900, 50), prefill_s=0.5, decode_s=2.0))
    assert rates.prefill.tokens_per_s == pytest.approx(200)
    assert rates.decode.tokens_per_s == pytest.approx(25)


def finished(tokens: int, seconds: float) -> Finished:
    return Finished(FinishReason.STOP, Usage(100, 0, tokens), prefill_s=0.5, decode_s=seconds)


def test_a_model_that_answered_nobody_tells_no_rates_by_batch() -> None:
    assert Rates.unknown().decode_by_batch == ()


@pytest.mark.parametrize(
    ("batch", "place"), [(0.5, 0), (1, 0), (2, 1), (2.5, 1), (4, 2), (7, 3), (16, 4), (1000, 4)]
)
def test_an_answer_counts_for_the_nearest_batch(batch: float, place: int) -> None:
    rates = Rates.unknown()
    rates.learn(finished(100, 2.0), batch)
    told = rates.decode_by_batch
    assert told[place] == pytest.approx(50)
    assert sum(told) == told[place]
