"""What an answer of each rung is expected to cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.core.catalogue import Catalogue, Stated, TokenPrice
from mesh.core.rung_cost import expected_microusd, whole_microusd
from tests.mesh.core.entries import CATALOGUE, CODER, ENTRIES, GPT, QWEN_LARGE
from tests.mesh.core.script import a_model


def test_an_upstream_costs_its_price_for_each_token() -> None:
    assert expected_microusd(CATALOGUE.entry(GPT), 1000, 100) == pytest.approx(3500)


def test_an_own_answer_costs_its_energy() -> None:
    entry = Catalogue({"coder": Stated(energy_microwatthours=1000.0)}).entry(CODER)
    # 100 tokens written and 1,000 read as a tenth each: 0.2 Wh, at 0.50 USD a kWh 0.1 mUSD.
    cost = expected_microusd(entry, 1000, 100, usd_per_kwh=0.5)
    assert cost == pytest.approx(100)


def test_rungs_of_the_mesh_stand_by_size_and_before_those_that_are_paid() -> None:
    costs = [expected_microusd(entry, 500, 100) for entry in ENTRIES]
    assert costs == sorted(costs)
    assert costs[0] > 0


def test_the_smallest_model_of_all_costs_something() -> None:
    tiny = CATALOGUE.entry(a_model("tiny", parameters=1))
    assert expected_microusd(tiny, 1, 1) > 0


def test_an_operator_may_price_an_own_model() -> None:
    priced = Catalogue({"coder": Stated(price=TokenPrice(1.0, 2.0))}).entry(CODER)
    assert expected_microusd(priced, 10, 10) == 30


@given(st.floats(0, 1e6), st.floats(0, 1e5))
def test_more_tokens_never_cost_less(prompt_tokens: float, answer_tokens: float) -> None:
    for entry in (CATALOGUE.entry(QWEN_LARGE), CATALOGUE.entry(GPT)):
        less = expected_microusd(entry, prompt_tokens, answer_tokens)
        assert 0 <= less < expected_microusd(entry, prompt_tokens + 1, answer_tokens + 1)


@pytest.mark.parametrize(("microusd", "shown"), [(0.0, 0), (1e-9, 1), (1.0, 1), (2.01, 3)])
def test_what_costs_something_shows(microusd: float, shown: int) -> None:
    assert whole_microusd(microusd) == shown
