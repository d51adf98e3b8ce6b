"""The gate believes nobody: not routing, not the caller, not the code that speaks HTTP above it."""

import ast
import dataclasses
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

import coordinator.cloud
import mesh.chat_api
from coordinator.cloud.connection import new_client, read_address
from coordinator.cloud.gate import PASS, Gate, GatedTransport, Pass, Priced, dollars
from coordinator.cloud.prices import OwnPrice, find_price
from coordinator.cloud.spending import Spending
from mesh.core import events
from mesh.core.types import (
    Failure,
    FailureCode,
    Tier,
    Usage,
)
from mesh.settings import CloudSettings
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.cloud.asking import UPSTREAM, Fleet, a_request, adapter, an_action
from tests.coordinator.cloud.conftest import MODEL
from tests.coordinator.cloud.played_upstream import Asked, PlayedUpstream
from tests.tidy.walls import imported_names


def a_gate(cap_microusd: int = 1_000_000, default_tier: Tier = Tier.MESH) -> Gate:
    price = OwnPrice(Decimal(2), Decimal(10))
    spending = Spending(cap_microusd)
    return Gate([Priced(UPSTREAM, price)], spending=spending, default_tier=default_tier)


def refused(admitted: Pass | Failure) -> Failure:
    assert isinstance(admitted, Failure)
    return admitted


# -- forged attempts -------------------------------------------------------------------------------

TIERS = {
    "device": inference.TIER_DEVICE,
    "mesh": inference.TIER_MESH,
    "unsaid": inference.TIER_UNSPECIFIED,
    "of a later version": 17,
}


# What routing says, and what the request says: all that disagree or forbid.
FORGED = [
    *((said, tier) for said in (Tier.DEVICE, Tier.MESH) for tier in TIERS.values()),
    *((said, inference.TIER_CLOUD) for said in (Tier.DEVICE, Tier.MESH)),
    *((Tier.CLOUD, tier) for tier in TIERS.values()),
]


@pytest.mark.parametrize(("said", "tier"), FORGED)
@pytest.mark.parametrize("model", ["", "auto", MODEL, "qwen"])
async def test_the_adapter_itself_stops_what_may_not_leave(
    fleet: Fleet, upstream: PlayedUpstream, said: Tier, tier: inference.Tier, model: str
) -> None:
    ended = await fleet.ended(fleet.start(a_request(tier=tier, model=model), tier=said))
    assert isinstance(ended, events.AttemptFailed)
    assert ended.failure.code is FailureCode.FORBIDDEN
    assert ended.failure.message == "this request may not leave the mesh"
    assert (ended.cost_microusd, fleet.spent_microusd) == (0, 0)
    assert upstream.connections == 0


@pytest.mark.parametrize("tier", [inference.TIER_DEVICE, inference.TIER_MESH])
@pytest.mark.parametrize("model", ["cloud", f"cloud:{MODEL}"])
async def test_the_clouds_name_does_not_widen_a_tier_that_was_said(
    fleet: Fleet, upstream: PlayedUpstream, tier: inference.Tier, model: str
) -> None:
    assert (await fleet.failure(a_request(tier=tier, model=model))).code is FailureCode.FORBIDDEN
    assert upstream.connections == 0


async def test_a_default_of_cloud_is_for_those_that_do_not_say(
    cloud_settings: CloudSettings, upstream: PlayedUpstream
) -> None:
    async with adapter(cloud_settings.model_copy(update={"default_tier": "cloud"})) as fleet:
        assert await fleet.answer(a_request(tier=inference.TIER_UNSPECIFIED)) == "hello"
        for tier in (inference.TIER_DEVICE, inference.TIER_MESH):
            assert (await fleet.failure(a_request(tier=tier))).code is FailureCode.FORBIDDEN
    assert len(upstream.asked) == 1


# -- the socket ------------------------------------------------------------------------------------


@pytest.fixture
async def post(
    cloud_settings: CloudSettings, upstream: PlayedUpstream
) -> AsyncIterator[tuple[Gate, httpx2.AsyncClient]]:
    gate = a_gate()
    async with new_client(read_address(cloud_settings.base_url), {}, gate) as client:
        yield gate, client


async def test_without_a_good_pass_no_connection_is_opened(
    post: tuple[Gate, httpx2.AsyncClient], upstream: PlayedUpstream
) -> None:
    gate, client = post
    passed = gate.admit(an_action(), a_request())
    assert isinstance(passed, Pass)
    gate.settle(passed, Usage())
    elsewhere = a_gate().admit(an_action(), a_request())
    copied = dataclasses.replace(passed, settled=False)
    for worthless in (None, True, "pass", passed, elsewhere, copied):
        with pytest.raises(httpx2.UnsupportedProtocol):
            await client.post(f"{upstream.base_url}/x", extensions={PASS: worthless})
    for bare in (client.get, client.head, client.options):
        with pytest.raises(httpx2.UnsupportedProtocol):
            await bare(f"{upstream.base_url}/models")
    assert upstream.connections == 0


async def test_with_a_good_pass_one_is(
    post: tuple[Gate, httpx2.AsyncClient], upstream: PlayedUpstream
) -> None:
    gate, client = post
    passed = gate.admit(an_action(), a_request())
    assert (await client.post(f"{upstream.base_url}/x", extensions={PASS: passed})).is_success
    assert upstream.connections == 1


def test_every_way_out_goes_through_the_gate(cloud_settings: CloudSettings) -> None:
    """Whatever the environment says: no proxy gets a transport of its own beside the gate's."""
    client = new_client(read_address("https://api.example.com/v1"), {}, a_gate())
    assert isinstance(client._transport, GatedTransport)
    assert client._mounts == {}


def test_nothing_above_the_gate_can_open_a_socket() -> None:
    """No adapter, and no library of a provider's: each of those opens connections by itself."""
    folders = [Path(package.__path__[0]) for package in (coordinator.cloud, mesh.chat_api)]
    speaking = ("httpx", "httpcore", "socket", "ssl", "http.client", "urllib.request", "requests")
    providers = ("anthropic", "openai", "aiohttp", "grpc")
    found: dict[str, set[str]] = {}
    for folder, path in [(each, path) for each in folders for path in each.rglob("*.py")]:
        for name in imported_names(ast.parse(path.read_text()), "", is_package=False):
            if name.startswith((*speaking, *providers)):
                found.setdefault(path.relative_to(folder).as_posix(), set()).add(name)
    assert found == {
        "call.py": {"httpx2"},
        "connection.py": {
            "httpx2",
            "urllib.request.getproxies",
            "urllib.request.proxy_bypass",
        },
        "gate.py": {"httpx2"},
        "response.py": {"httpx2"},
        "transport_failures.py": {"httpx2"},
    }


# -- what the operator has not set -----------------------------------------------------------------


async def test_without_a_cap_nothing_is_spent_and_the_error_says_what_to_set(
    cloud_settings: CloudSettings, upstream: PlayedUpstream
) -> None:
    async with adapter(cloud_settings.model_copy(update={"max_usd_per_day": None})) as fleet:
        failure = await fleet.failure()
    assert failure.code is FailureCode.FORBIDDEN
    assert "cloud.max_usd_per_day is not set" in failure.message
    assert "sets cloud.max_usd_per_day" in failure.hint
    assert upstream.connections == 0


async def test_without_a_price_nothing_is_asked_and_the_error_says_what_to_set(
    cloud_settings: CloudSettings, upstream: PlayedUpstream
) -> None:
    unpriced = {"input_usd_per_million_tokens": None, "output_usd_per_million_tokens": None}
    settings = cloud_settings.model_copy(update=unpriced)
    assert find_price(settings, model=MODEL, base_url=settings.base_url) is None
    async with adapter(settings) as fleet:
        failure = await fleet.failure()
    assert failure.code is FailureCode.FORBIDDEN
    assert failure.message == f"nobody knows what {MODEL} costs, so it is not asked"
    assert "cloud.input_usd_per_million_tokens" in failure.hint
    assert "cloud.output_usd_per_million_tokens" in failure.hint
    assert upstream.connections == 0


@pytest.mark.parametrize(
    "missing",
    [
        {"max_usd_per_day": None},
        {"input_usd_per_million_tokens": None, "output_usd_per_million_tokens": None},
    ],
)
async def test_the_operator_is_told_at_the_start_that_nothing_will_go_there(
    cloud_settings: CloudSettings, missing: dict[str, None], caplog: pytest.LogCaptureFixture
) -> None:
    async with adapter(cloud_settings.model_copy(update=missing)):
        pass
    [line] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert line.startswith(f"nothing goes to {MODEL} at 127.0.0.1:")
    assert "the operator sets cloud." in line


def test_money_that_is_not_left_is_refused_with_what_it_takes_and_what_there_is() -> None:
    gate = a_gate(cap_microusd=5_000)
    failure = refused(gate.admit(an_action(), a_request(max_tokens=1_000)))
    assert failure.code is FailureCode.FORBIDDEN
    assert "it may cost up to $0.01" in failure.message
    assert "of the day's $0.005000 there are $0.005000 left" in failure.message
    assert "cloud.max_usd_per_day" in failure.hint
    assert isinstance(gate.admit(an_action(), a_request(max_tokens=100)), Pass)


def test_a_request_that_says_what_it_may_cost_costs_no_more() -> None:
    gate = a_gate()
    passed = gate.admit(an_action(), a_request())
    assert isinstance(passed, Pass)
    most = passed.reserved_microusd
    failure = refused(gate.admit(an_action(), a_request(cost_microusd_max=most - 1)))
    assert failure.code is FailureCode.FORBIDDEN
    assert "the request allows $0.00" in failure.message
    assert isinstance(gate.admit(an_action(), a_request(cost_microusd_max=most)), Pass)
    again = dataclasses.replace(an_action(), spent_microusd=1)
    failure = refused(gate.admit(again, a_request(cost_microusd_max=most)))
    assert "of which $0.000001 are spent" in failure.message
    assert isinstance(gate.admit(again, a_request(cost_microusd_max=most + 1)), Pass)


@pytest.mark.parametrize(
    ("microusd", "written"),
    [(0, "$0.00"), (1, "$0.000001"), (9_999, "$0.009999"), (10_000, "$0.01"), (5_000_000, "$5.00")],
)
def test_money_is_written_for_people(microusd: int, written: str) -> None:
    assert dollars(microusd) == written


async def test_what_is_asked_again_has_its_pass_still(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def busy_once(asked: Asked) -> None:
        if len(upstream.asked) == 1:
            await asked.refuse(429, more="retry-after: 0\r\n")
        else:
            await asked.answer("again")

    upstream.behave = busy_once
    assert await fleet.answer() == "again"
    assert len(upstream.asked) == 2
