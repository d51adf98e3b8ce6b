"""A real coordinator with two upstreams, of two APIs: where one cannot, the next one answers.

But for what a content policy refuses: nobody else is asked that.
"""

from collections.abc import AsyncIterator

import httpx2
import pytest

from coordinator.cloud import call
from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.cloud_settings import CloudSettings
from mesh.errors import ContentRefused, ContextOverflow, Forbidden, InvalidRequest, MeshError
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.cloud import played_anthropic
from tests.coordinator.cloud.played_upstream import (
    Asked,
    Behaviour,
    PlayedUpstream,
    delta,
    usage,
)

PRICE = {"input_usd_per_million_tokens": 2.0, "output_usd_per_million_tokens": 10.0}
KEYS = ("sk-of-the-first", "sk-of-the-second")


@pytest.fixture
async def second() -> AsyncIterator[PlayedUpstream]:
    """Speaks Anthropic's API."""
    played = PlayedUpstream()
    played.behave = played_anthropic.hello
    await played.start()
    yield played
    await played.stop()


@pytest.fixture
def cloud_settings(upstream: PlayedUpstream, second: PlayedUpstream) -> CloudSettings:
    first = {"base_url": upstream.base_url, "model": "gpt", "api_key": KEYS[0], **PRICE}
    other = {"base_url": second.base_url, "model": "claude", "api_key": KEYS[1], **PRICE}
    tables = {"first": first, "second": {"kind": "anthropic", **other}}
    return CloudSettings.model_validate({"max_usd_per_day": 5.0, "upstreams": tables})


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "TRY_AGAIN_S", (0.01, 0.02))


def refuses(status: int, error: object = None, more: str = "") -> Behaviour:
    async def behave(asked: Asked) -> None:
        await asked.refuse(status, error, more)

    return behave


async def resets(asked: Asked) -> None:
    asked.reset()


CANNOT = {
    "fails": refuses(500),
    "is busy": refuses(429),
    "is overloaded": refuses(529),
    "is busy for an hour": refuses(429, more="retry-after: 3600\r\n"),
    "points elsewhere": refuses(307, more="location: http://169.254.169.254/\r\n"),
    "breaks off": resets,
}


@pytest.mark.parametrize("behaviour", CANNOT.values(), ids=CANNOT.keys())
async def test_where_the_first_cannot_the_second_answers(
    client: MeshClient,
    upstream: PlayedUpstream,
    second: PlayedUpstream,
    behaviour: Behaviour,
) -> None:
    upstream.behave = behaviour
    answer = await client.ask("hi", tier="cloud")
    assert answer.text == "hello"
    assert [(each.node_name, each.model_name) for each in answer.receipt.attempts] == [
        ("first", "gpt"),
        ("second", "claude"),
    ]
    assert answer.receipt.attempts[1].outcome == "answered"
    assert (len(upstream.asked), len(second.asked)) == (1, 1)
    assert second.asked[0].headers["x-api-key"] == KEYS[1]
    assert KEYS[0] not in str(second.asked[0].headers)


async def test_the_first_that_can_is_the_only_one_asked(
    client: MeshClient, upstream: PlayedUpstream, second: PlayedUpstream
) -> None:
    answer = await client.ask("hi", tier="cloud")
    assert answer.receipt.attempts[0].model_name == "gpt"
    assert (len(upstream.asked), second.connections) == (1, 0)


async def test_each_is_asked_by_its_name(
    client: MeshClient, upstream: PlayedUpstream, second: PlayedUpstream
) -> None:
    for name in ("cloud:claude", "cloud:gpt"):
        answer = await client.ask("hi", model=name)
        assert f"cloud:{answer.receipt.attempts[0].model_name}" == name
    assert (len(upstream.asked), len(second.asked)) == (1, 1)
    views = await client.models()
    assert [(view.names[0], view.upstream) for view in views] == [
        ("cloud:gpt", "first"),
        ("cloud:claude", "second"),
    ]


async def test_a_name_is_never_answered_by_another_model(
    client: MeshClient, upstream: PlayedUpstream, second: PlayedUpstream
) -> None:
    upstream.behave = refuses(500)
    with pytest.raises(MeshError, match="failed"):
        await client.ask("hi", model="cloud:gpt")
    assert second.connections == 0


async def test_no_other_tier_reaches_either(
    client: MeshClient, upstream: PlayedUpstream, second: PlayedUpstream
) -> None:
    for tier in ("", "mesh", "device"):
        with pytest.raises(MeshError):
            await client.ask("hi", tier=tier)
        for name in ("cloud:gpt", "cloud:claude"):
            if tier:
                with pytest.raises(Forbidden):
                    await client.ask("hi", model=name, tier=tier)
    assert upstream.connections == second.connections == 0


async def test_where_all_are_busy_the_client_is_told_when_to_come_back(
    coordinator: Coordinator, upstream: PlayedUpstream, second: PlayedUpstream
) -> None:
    upstream.behave = second.behave = refuses(429, more="retry-after: 42\r\n")
    asked = {"model": "cloud", "messages": [{"role": "user", "content": "hi"}]}
    async with httpx2.AsyncClient() as http:
        address = f"http://127.0.0.1:{coordinator.ports.http}/v1/chat/completions"
        response = await http.post(address, json=asked)
    assert (response.status_code, response.headers["retry-after"]) == (429, "42")


# -- a content policy ------------------------------------------------------------------------------

FILTERED = {"code": "content_filter", "message": "filtered", "type": None}


async def test_what_a_policy_refuses_is_asked_nowhere_else(
    client: MeshClient, upstream: PlayedUpstream, second: PlayedUpstream
) -> None:
    upstream.behave = refuses(400, FILTERED)
    with pytest.raises(ContentRefused, match="content policy refused this") as refused:
        await client.ask("hi", tier="cloud")
    assert not refused.value.retryable
    assert (len(upstream.asked), second.connections) == (1, 0)


async def test_over_http_it_is_the_clients_request_that_was_refused(
    coordinator: Coordinator, upstream: PlayedUpstream, second: PlayedUpstream
) -> None:
    upstream.behave = refuses(400, FILTERED)
    asked = {"model": "cloud", "messages": [{"role": "user", "content": "hi"}]}
    async with httpx2.AsyncClient() as http:
        address = f"http://127.0.0.1:{coordinator.ports.http}/v1/chat/completions"
        response = await http.post(address, json=asked)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "content_filter"
    assert second.connections == 0


async def test_an_answer_that_a_filter_ended_is_that_answer(
    client: MeshClient, upstream: PlayedUpstream, second: PlayedUpstream
) -> None:
    async def filters(asked: Asked) -> None:
        await asked.begin()
        await asked.event(delta({}, "content_filter"), {"choices": [], "usage": usage(10, 0)})
        await asked.done()

    upstream.behave = filters
    answer = await client.ask("hi", tier="cloud")
    assert (answer.text, answer.finish_reason) == ("", "content_filter")
    assert second.connections == 0


OVERFLOWS = {"code": "context_length_exceeded", "message": "too long"}


async def test_what_is_too_long_for_the_first_is_asked_of_the_second(
    client: MeshClient, upstream: PlayedUpstream, second: PlayedUpstream
) -> None:
    upstream.behave = refuses(400, OVERFLOWS)
    for model in ("auto", "cloud"):
        answer = await client.ask("hi", model=model, tier="cloud")
        assert answer.text == "hello"
        outcomes = [each.outcome for each in answer.receipt.attempts]
        assert outcomes == ["context_overflow", "answered"]
    assert (len(upstream.asked), len(second.asked)) == (2, 2)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_where_the_first_knows_no_such_key_or_model_the_second_answers(
    client: MeshClient, upstream: PlayedUpstream, second: PlayedUpstream, status: int
) -> None:
    upstream.behave = refuses(status)
    for model in ("auto", "cloud"):
        assert (await client.ask("hi", model=model, tier="cloud")).text == "hello"
    assert (len(upstream.asked), len(second.asked)) == (2, 2)


async def test_a_request_that_is_wrong_is_asked_once(
    client: MeshClient, upstream: PlayedUpstream, second: PlayedUpstream
) -> None:
    upstream.behave = refuses(400)
    with pytest.raises(InvalidRequest):
        await client.ask("hi", tier="cloud")
    assert second.connections == 0


async def test_what_is_too_long_for_all_is_told_as_such(
    client: MeshClient, upstream: PlayedUpstream
) -> None:
    upstream.behave = refuses(400, OVERFLOWS)
    with pytest.raises(ContextOverflow):
        await client.ask("hi", model="cloud:gpt")


async def test_both_together_spend_one_days_money(
    client: MeshClient, coordinator: Coordinator, upstream: PlayedUpstream
) -> None:
    for name in ("cloud:claude", "cloud:gpt"):
        receipt = (await client.ask("hi", model=name)).receipt
        assert (receipt.cost_microusd, receipt.tier) == (40, inference.TIER_CLOUD)
    assert coordinator.cloud is not None
    assert coordinator.cloud._spending is not None
    assert coordinator.cloud._spending.left_microusd == 5_000_000 - 80
