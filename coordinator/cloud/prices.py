"""What an upstream's tokens cost: the operator's own price, else the published one, else none.

A published price is that of the very provider whose address is asked. The same model elsewhere, at
a reseller or behind a company's proxy, may cost more: there the operator says what it costs.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, Protocol

from mesh.cloud_settings import PriceSettings
from mesh.core.types import Usage

OPERATOR = "operator"  # the price version of a price from the settings

# Of a token that is written to a cache, to one that is not. Anthropic takes 1.25 for five minutes
# and 2 for an hour: the operator's price is one number, so rather too much than too little.
CACHE_WRITE_FACTOR = 2


class Price(Protocol):
    """Prices one model's tokens."""

    @property
    def version(self) -> str:
        """Where the price stands, for the receipt."""
        ...

    def cost_microusd(self, usage: Usage) -> int:
        """Return what ``usage`` costs, rounded up."""
        ...


def find_price(own: PriceSettings, *, model: str, base_url: str) -> Price | None:
    """Return the price of a model, or None: then it may not be asked."""
    given = own.input_usd_per_million_tokens, own.output_usd_per_million_tokens
    if given[0] is not None and given[1] is not None:
        return OwnPrice(_exact(given[0]), _exact(given[1]))
    return _published(model, base_url)


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """The operator's price. Cached tokens cost as much as others: rather too much than too little.

    A dollar for a million tokens is a micro-dollar for one, so no factor stands here.
    """

    input_microusd: Decimal
    output_microusd: Decimal
    version: str = OPERATOR

    def cost_microusd(self, usage: Usage) -> int:
        extra = usage.cache_written_tokens * (CACHE_WRITE_FACTOR - 1)
        return _whole(
            (usage.prompt_tokens + extra) * self.input_microusd
            + usage.completion_tokens * self.output_microusd
        )


@dataclass(frozen=True, slots=True)
class PublishedPrice:
    """The price in the snapshot that genai-prices ships. It asks no network."""

    model: str
    provider_url: str
    version: str

    def cost_microusd(self, usage: Usage) -> int:
        return _whole(_calculated(self.model, self.provider_url, usage).total_price * 1_000_000)


def _published(model: str, base_url: str) -> PublishedPrice | None:
    from genai_prices import __version__

    try:
        found = _calculated(model, base_url, Usage(1, 0, 1)).model_price
    except LookupError:
        return None
    if found.input_mtok is None or found.output_mtok is None:
        return None  # priced by the request or the minute: nothing that tokens would tell
    return PublishedPrice(model, base_url, f"genai-prices {__version__}")


def _calculated(model: str, provider_url: str, usage: Usage) -> Any:
    import genai_prices  # late: 30 MB and 0.15 s, which only who has a cloud shall pay

    tokens = genai_prices.Usage(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=min(usage.cached_tokens, usage.prompt_tokens),
        cache_write_tokens=usage.cache_written_tokens or None,
        output_tokens=usage.completion_tokens,
    )
    return genai_prices.calc_price(tokens, model, provider_api_url=provider_url)


def _exact(number: float) -> Decimal:
    return Decimal(str(number))


def _whole(microusd: Decimal) -> int:
    return int(microusd.to_integral_value(rounding=ROUND_CEILING))
