"""From settings to upstreams, and a line for the operator about what each of them means."""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from pydantic import SecretStr

from coordinator.cloud.anthropic.api import Anthropic
from coordinator.cloud.api import Api
from coordinator.cloud.connection import Address, read_address
from coordinator.cloud.gate import Gate, Priced, dollars
from coordinator.cloud.keys import read_key
from coordinator.cloud.openai.api import OpenAi, limit_field
from coordinator.cloud.prices import Price, find_price
from coordinator.cloud.spending import Spending
from coordinator.cloud.upstream import Served, Upstream
from coordinator.cloud.upstreams import Upstreams
from mesh.cloud_settings import CloudModelSettings, CloudSettings, UpstreamSettings
from mesh.core.events import Event
from mesh.core.types import CloudModel, Tier, Usage
from mesh.errors import InvalidRequest

log = logging.getLogger(__name__)

MILLION = 1_000_000
_MODEL = re.compile(r"[\x21-\x7e]{1,256}")  # it goes onto terminals, into headers and logs


@dataclass(frozen=True, slots=True)
class _Common:
    """What all upstreams share."""

    settings: CloudSettings
    spending: Spending | None
    tier: Tier
    post: Callable[[Event], None]


def open_upstreams(settings: CloudSettings, post: Callable[[Event], None]) -> Upstreams:
    """Return the upstreams that the settings name, and log what may go there.

    Raises:
        MeshError: a setting cannot be meant so; says which.
    """
    cap = settings.max_usd_per_day
    spending = None if cap is None else Spending(int(Decimal(str(cap)) * MILLION))
    common = _Common(settings, spending, Tier[settings.default_tier.upper()], post)
    opened = [_open(each, common) for each in _tables(settings)]
    return Upstreams(opened, spending=spending, post=post)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the settings that names an upstream."""

    name: str  # of the upstream, as people and receipts call it
    where: str  # the table's, for errors
    settings: UpstreamSettings


def _tables(settings: CloudSettings) -> Iterator[_Table]:
    """Yield each of them; the upstream of ``[cloud]`` itself is named by its host."""
    if (single := settings.single()) is not None:
        yield _Table(read_address(single.base_url).name, "cloud", single)
    for name, each in settings.upstreams.items():
        yield _Table(name, f"cloud.upstreams.{name}", each)


def _open(table: _Table, common: _Common) -> Upstream:
    settings, where = table.settings, table.where
    address = read_address(settings.base_url, where)
    api = _api(settings, address)
    served, priced = [], []
    for each in settings.served():
        price = find_price(each, model=each.name, base_url=settings.base_url)
        model = _model(each, table, api, price, common.settings)
        served.append(Served(model, each.name))
        priced.append(Priced(model, price, f"{where}.models" if settings.models else where))
    gate = Gate(
        priced,
        spending=common.spending,
        default_tier=common.tier,
        writes_caches="cache_control" in settings.body,
    )
    for own in priced:
        _tell(own, address, gate, common)
    return Upstream(
        tuple(served),
        address=address,
        api=api,
        query=settings.query,
        headers=_headers(settings, api),
        key_header=_key_header(settings, api, where),
        gate=gate,
        post=common.post,
    )


def _api(settings: UpstreamSettings, address: Address) -> Api:
    if settings.kind == "anthropic":
        return Anthropic(sampling=settings.sampling is True, additions=settings.body)
    return OpenAi(
        limit_field(address.host), sampling=settings.sampling is not False, additions=settings.body
    )


def _model(
    settings: CloudModelSettings,
    table: _Table,
    api: Api,
    price: Price | None,
    cloud: CloudSettings,
) -> CloudModel:
    for name in (settings.name, settings.called):
        if not _MODEL.fullmatch(name):
            raise InvalidRequest(
                f"{table.where}.model is not the name of a model",
                hint="write it as the upstream does",
            )
    group, share = _share(settings.called, cloud)
    return CloudModel(
        settings.called,
        table.name,
        api.assumed,
        context_tokens=settings.context_tokens,
        input_microusd_per_million_tokens=_of_million(price, Usage(MILLION, 0, 0)),
        output_microusd_per_million_tokens=_of_million(price, Usage(0, 0, MILLION)),
        equals=group,
        share=share,
    )


def _of_million(price: Price | None, usage: Usage) -> int | None:
    return None if price is None else price.cost_microusd(usage)


def _share(model: str, cloud: CloudSettings) -> tuple[str, float]:
    for group, shares in cloud.shares.items():
        if model in shares:
            return group, shares[model]
    return "", 1.0


def _headers(settings: UpstreamSettings, api: Api) -> dict[str, str]:
    added = {name.lower(): value for name, value in settings.headers.items()}
    return {**api.headers(), **added}


def _key_header(settings: UpstreamSettings, api: Api, where: str) -> tuple[str, SecretStr] | None:
    if not (key := read_key(settings, where)):
        return None
    name, value = api.key_header(key)
    if settings.api_key_header:
        name = settings.api_key_header.lower()
        value = f"Bearer {key}" if name == "authorization" else key
    return name, SecretStr(value)


def _tell(own: Priced, address: Address, gate: Gate, common: _Common) -> None:
    model, spending = own.model, common.spending
    if (closed := gate.closed_to(model.model_id)) is not None:
        log.warning(
            "nothing goes to %s at %s: %s; %s",
            model.name,
            address.name,
            closed.message,
            closed.hint,
        )
        return
    assert spending is not None, "else it is closed"
    assert own.price is not None, "else it is closed"
    log.info(
        "prompts of tier cloud may go to %s at %s, for up to %s a day (price: %s)%s",
        model.name,
        address.name,
        dollars(spending.cap_microusd),
        own.price.version,
        "; so may all that do not say their tier" if common.tier is Tier.CLOUD else "",
    )
