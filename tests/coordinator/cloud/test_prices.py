"""A price is the operator's, or the provider's published one, and every cost is a whole number."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.cloud.prices import CACHE_WRITE_FACTOR, OPERATOR, OwnPrice, Price, find_price
from mesh.chat_api.estimates import most
from mesh.cloud_settings import PriceSettings
from mesh.core.types import Usage
from tests.coordinator.cloud.asking import a_request

OPENAI = "https://api.openai.com/v1"
COUNTS = st.integers(0, 2**32 - 1)
DOLLARS = st.decimals(0, 100_000, places=6).map(float)


def published(model: str, base_url: str = OPENAI) -> Price | None:
    return find_price(PriceSettings(), model=model, base_url=base_url)


def priced(input_usd: float, output_usd: float, model: str = "gpt-4o-mini") -> Price:
    own = PriceSettings(
        input_usd_per_million_tokens=input_usd, output_usd_per_million_tokens=output_usd
    )
    price = find_price(own, model=model, base_url=OPENAI)
    assert price is not None
    return price


@given(DOLLARS, DOLLARS, COUNTS, COUNTS)
def test_the_operators_price_is_exact_and_rounded_up_once(
    input_usd: float, output_usd: float, prompt: int, completion: int
) -> None:
    price = priced(input_usd, output_usd)
    cost = price.cost_microusd(Usage(prompt, 0, completion))
    assert type(cost) is int
    exact = prompt * Fraction(str(input_usd)) + completion * Fraction(str(output_usd))
    assert cost == ceil(exact)


def test_a_price_that_no_binary_fraction_holds_is_what_it_says() -> None:
    price = priced(0.1, 0.2)
    assert price.cost_microusd(Usage(10, 0, 10)) == 3
    assert price.cost_microusd(Usage(1, 0, 0)) == 1, "a tenth of a micro-dollar is not nothing"
    assert price.cost_microusd(Usage()) == 0


def test_the_operators_price_goes_before_the_published_one() -> None:
    price = priced(7, 8)
    assert price.version == OPERATOR
    assert price.cost_microusd(Usage(1, 0, 1)) == 15


def test_a_price_of_nothing_is_a_price() -> None:
    price = priced(0, 0, model="at home")
    assert price.cost_microusd(Usage(10**6, 0, 10**6)) == 0


def test_half_a_price_is_none() -> None:
    with pytest.raises(ValueError, match="both its input and its output part"):
        PriceSettings(input_usd_per_million_tokens=1.0)


def test_a_published_price_is_known_without_the_network() -> None:
    price = published("gpt-4o-mini")
    assert price is not None
    assert price.version.startswith("genai-prices ")
    whole, cached = price.cost_microusd(Usage(10**6, 0, 0)), Usage(10**6, 10**6, 0)
    assert 0 < price.cost_microusd(cached) < whole
    assert price.cost_microusd(Usage(1, 0, 1)) == 1, "rounded up"


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("gpt-4o-mini", "https://reseller.example/v1"),
        ("gpt-4o-mini", "http://localhost:4000/v1"),
        ("gpt-4o-mini", "https://api.mistral.ai/v1"),
        ("my-own-finetune", OPENAI),
        ("gpt-4o-mini-of-mine", OPENAI),
        ("x" * 256, OPENAI),
    ],
)
def test_nobody_knows_the_price_of_a_model_elsewhere_or_of_an_unknown_one(
    model: str, base_url: str
) -> None:
    assert published(model, base_url) is None


@given(
    st.text(max_size=500),
    st.integers(1, 100_000),
    st.decimals(0, 1000, places=6),
    st.decimals(0, 1000, places=6),
    st.fractions(0, 1),
)
def test_no_usage_within_the_estimate_costs_more_than_it(
    text: str, max_tokens: int, input_usd: Decimal, output_usd: Decimal, share: Fraction
) -> None:
    """A tokenizer makes no more tokens than there are bytes, and an answer has a limit."""
    price = OwnPrice(input_usd, output_usd)
    request = a_request(text)
    estimated = most(request, max_tokens)
    assert estimated.prompt_tokens >= len(text.encode())
    used = Usage(int(estimated.prompt_tokens * share), 0, int(max_tokens * share))
    assert price.cost_microusd(used) <= price.cost_microusd(estimated)


def test_what_is_written_to_a_cache_costs_more_and_what_is_read_from_one_less() -> None:
    price = published("claude-sonnet-4-5", "https://api.anthropic.com/v1")
    assert price is not None
    fresh, read = price.cost_microusd(Usage(10**6)), price.cost_microusd(Usage(10**6, 10**6))
    written = price.cost_microusd(Usage(10**6, cache_written_tokens=10**6))
    assert (read / fresh, written / fresh) == (0.1, 1.25)


def test_the_operators_price_of_what_is_written_to_a_cache_is_rather_too_high() -> None:
    written = priced(2, 10).cost_microusd(Usage(100, 0, 0, cache_written_tokens=40))
    assert written == 60 * 2 + 40 * 2 * CACHE_WRITE_FACTOR
