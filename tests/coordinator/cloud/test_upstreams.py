"""Several upstreams: each prompt and each key goes to its own one, and the day's money is one."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from coordinator.cloud.gate import PASS, Pass
from coordinator.cloud.opening import open_upstreams
from coordinator.cloud.upstream import Upstream
from mesh.cloud_settings import CloudSettings
from mesh.core import events
from mesh.core.actions import StartCloudAttempt
from mesh.core.types import AttemptId, CloudModel, FailureCode, RequestKey, Tier
from mesh.errors import InvalidRequest
from tests.coordinator.cloud.asking import Fleet, a_request, adapter
from tests.coordinator.cloud.played_upstream import PlayedUpstream, hangs_at_once

ONE, OTHER = "sk-of-the-one", "sk-of-the-other"
PRICE = {"input_usd_per_million_tokens": 2.0, "output_usd_per_million_tokens": 10.0}


@pytest.fixture
async def other() -> AsyncIterator[PlayedUpstream]:
    played = PlayedUpstream()
    await played.start()
    yield played
    await played.stop()


def settings(*tables: dict[str, Any], **more: Any) -> CloudSettings:
    named = dict(zip(("one", "other"), tables, strict=False))
    return CloudSettings.model_validate({"max_usd_per_day": 5.0, "upstreams": named, **more})


def at(played: PlayedUpstream, model: str, key: str = "", **more: Any) -> dict[str, Any]:
    return {"base_url": played.base_url, "model": model, "api_key": key, **PRICE, **more}


@pytest.fixture
async def both(upstream: PlayedUpstream, other: PlayedUpstream) -> AsyncIterator[Fleet]:
    async with adapter(settings(at(upstream, "a", ONE), at(other, "b", OTHER))) as fleet:
        yield fleet


async def test_all_models_are_offered_at_once_and_withdrawn_at_the_end(
    upstream: PlayedUpstream, other: PlayedUpstream
) -> None:
    async with adapter(settings(at(upstream, "a"), at(other, "b"))) as fleet:
        [offered] = fleet.heard
        assert isinstance(offered, events.CloudOffered)
        assert [(each.name, each.upstream) for each in offered.models] == [
            ("a", "one"),
            ("b", "other"),
        ]
    assert fleet.heard[-1] == events.CloudOffered(())


async def test_each_attempt_goes_to_its_models_upstream_with_its_own_key(
    both: Fleet, upstream: PlayedUpstream, other: PlayedUpstream
) -> None:
    for model in both.cloud.models:
        assert isinstance(await both.ask(model=model), events.AttemptFinished)
    [one], [second] = upstream.asked, other.asked
    assert (one.body["model"], one.headers["authorization"]) == ("a", f"Bearer {ONE}")
    assert (second.body["model"], second.headers["authorization"]) == ("b", f"Bearer {OTHER}")


async def test_a_model_that_no_upstream_has_is_asked_nowhere(
    both: Fleet, upstream: PlayedUpstream, other: PlayedUpstream
) -> None:
    ended = await both.ask(model=CloudModel("c", "one"))
    assert isinstance(ended, events.AttemptFailed)
    assert ended.failure.code is FailureCode.MODEL_NOT_FOUND
    assert upstream.connections == other.connections == 0


async def test_a_pass_for_one_upstream_opens_nothing_to_another(
    both: Fleet, upstream: PlayedUpstream, other: PlayedUpstream
) -> None:
    one, second = both.cloud.upstreams
    action = StartCloudAttempt(AttemptId(9), RequestKey("a", "r"), one.models[0], Tier.CLOUD, 9.0)
    passed = one._gate.admit(action, a_request())
    assert isinstance(passed, Pass)
    with pytest.raises(httpx2.UnsupportedProtocol):
        await second._client.post(f"{other.base_url}/x", extensions={PASS: passed})
    assert not isinstance(second._gate.admit(action, a_request()), Pass), "not its model"
    assert upstream.connections == other.connections == 0
    one._gate.settle(passed, None)


async def test_the_days_money_is_one_for_all(
    upstream: PlayedUpstream, other: PlayedUpstream
) -> None:
    cap = settings(at(upstream, "a"), at(other, "b"), max_usd_per_day=0.002)
    async with adapter(cap) as fleet:
        upstream.behave = hangs_at_once
        one, second = fleet.cloud.models
        stopped = fleet.start(model=one)
        await upstream.next()
        ended = fleet.start(model=second)
        failed = fleet.heard[-1]
        assert isinstance(failed, events.AttemptFailed)
        assert (failed.attempt_id, failed.failure.code) == (ended, FailureCode.FORBIDDEN)
        assert other.connections == 0
        fleet.cloud.stop(stopped)
        await fleet.idle()


async def test_the_ledgers_word_holds_all_of_them_until_it_comes(
    both: Fleet, upstream: PlayedUpstream, other: PlayedUpstream
) -> None:
    both.cloud.hold_until_seeded()
    for model in both.cloud.models:
        ended = await both.ask(model=model)
        assert isinstance(ended, events.AttemptFailed)
        assert "cannot tell yet" in ended.failure.message
    both.cloud.seed_spent(4_999_990)
    for model in both.cloud.models:
        ended = await both.ask(model=model)
        assert isinstance(ended, events.AttemptFailed)
        assert "of the day's $5.00" in ended.failure.message
    assert upstream.connections == other.connections == 0


async def test_one_that_hangs_does_not_hold_up_the_other(
    both: Fleet, upstream: PlayedUpstream, other: PlayedUpstream
) -> None:
    upstream.behave = hangs_at_once
    hangs = both.cloud.upstreams[0]
    hangs._patience = replace(hangs._patience, first_token_s=2.0)
    one, second = both.cloud.models
    hanging = both.start(model=one)
    await upstream.next()
    quick = both.start(model=second)
    assert isinstance(await both.ended(hanging), events.AttemptFailed)
    order = [
        each.attempt_id
        for each in both.heard
        if isinstance(each, events.AttemptFinished | events.AttemptFailed)
    ]
    assert order == [quick, hanging]


async def test_a_stopped_attempt_is_found_whichever_upstream_has_it(
    both: Fleet, other: PlayedUpstream
) -> None:
    other.behave = hangs_at_once
    attempt_id = both.start(model=both.cloud.models[1])
    asked = await other.next()
    both.cloud.stop(attempt_id)
    await asked.left()
    await both.idle()
    ended = [each for each in both.heard if isinstance(each, events.AttemptFailed)]
    assert ended == [], "it was stopped, and did not end by its silence"


# -- what an upstream may want -------------------------------------------------------------------


async def test_azure_gets_its_path_its_version_and_its_key(upstream: PlayedUpstream) -> None:
    azure = at(upstream, "gpt", ONE)
    azure["base_url"] = f"http://127.0.0.1:{upstream.port}/openai/deployments/gpt"
    more = {"query": {"api-version": "2024-10-21"}, "api_key_header": "api-key"}
    async with adapter(settings({**azure, **more})) as fleet:
        assert await fleet.answer() == "hello"
    [asked] = upstream.asked
    path = "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
    assert asked.line == f"POST {path} HTTP/1.1"
    assert asked.headers["api-key"] == ONE
    assert "authorization" not in asked.headers


async def test_what_the_operator_adds_is_sent_and_overrides_nothing(
    upstream: PlayedUpstream,
) -> None:
    more: dict[str, Any] = {
        "headers": {"HTTP-Referer": "https://example.com", "X-Title": "desks"},
        "body": {"provider": {"data_collection": "deny"}, "temperature": 0.25},
    }
    async with adapter(settings(at(upstream, "m", **more))) as fleet:
        await fleet.answer()
        request = a_request()
        request.sampling.temperature = 0.5
        await fleet.answer(request)
    first, second = upstream.asked
    assert first.headers["http-referer"] == "https://example.com"
    assert first.headers["x-title"] == "desks"
    assert first.body["provider"] == {"data_collection": "deny"}
    assert (first.body["temperature"], second.body["temperature"]) == (0.25, 0.5)


async def test_an_upstream_without_sampling_is_sent_none(upstream: PlayedUpstream) -> None:
    async with adapter(settings(at(upstream, "m", sampling=False))) as fleet:
        request = a_request()
        request.sampling.temperature = 0.5
        request.sampling.seed = 3
        await fleet.answer(request)
    assert not {"temperature", "seed"} & upstream.asked[0].body.keys()


async def test_a_model_is_known_by_its_alias_and_asked_by_its_name(
    upstream: PlayedUpstream, other: PlayedUpstream
) -> None:
    def table(played: PlayedUpstream, **more: str) -> dict[str, Any]:
        model = {"name": "gpt", "context_tokens": 1000, **more, **PRICE}
        return {"base_url": played.base_url, "models": [model]}

    shares = {"same": {"gpt": 3.0, "gpt-there": 1.0}}
    async with adapter(
        settings(table(upstream), table(other, alias="gpt-there"), shares=shares)
    ) as fleet:
        here, there = fleet.cloud.models
        assert (here.name, there.name) == ("gpt", "gpt-there")
        assert here.model_id != there.model_id
        assert (here.equals, here.share, there.equals, there.share) == ("same", 3.0, "same", 1.0)
        assert here.context_tokens == 1000
        assert here.input_microusd_per_million_tokens == 2_000_000
        assert here.output_microusd_per_million_tokens == 10_000_000
        await fleet.ask(model=there)
    assert other.asked[0].body["model"] == "gpt"


async def test_a_model_without_a_price_is_offered_and_refused_with_where_to_set_it(
    upstream: PlayedUpstream,
) -> None:
    unpriced = {"base_url": upstream.base_url, "models": ["x", {"name": "y", **PRICE}]}
    async with adapter(settings(unpriced)) as fleet:
        unknown, known = fleet.cloud.models
        assert unknown.input_microusd_per_million_tokens is None
        ended = await fleet.ask(model=unknown)
        assert isinstance(ended, events.AttemptFailed)
        assert "cloud.upstreams.one.models.input_usd_per_million" in ended.failure.hint
        assert upstream.connections == 0
        assert isinstance(await fleet.ask(model=known), events.AttemptFinished)


async def test_an_upstreams_mistakes_are_told_with_its_table(upstream: PlayedUpstream) -> None:
    for wrong, says in (
        ({"base_url": "http://example.com"}, "cloud.upstreams.one.base_url is plain http"),
        ({"model": "a b"}, "cloud.upstreams.one.model is not the name"),
        ({"api_key_environment": "NO_SUCH_KEY"}, "cloud.upstreams.one.api_key_environment is NO_"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            open_upstreams(settings({**at(upstream, "m"), **wrong}), lambda _: None)
        assert refused.value.message.startswith(says)


def test_the_operator_is_told_of_each_model(
    upstream: PlayedUpstream, other: PlayedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    opened = open_upstreams(settings(at(upstream, "a"), at(other, "b")), lambda _: None)
    assert all(isinstance(each, Upstream) for each in opened.upstreams)
    said = [each.getMessage() for each in caplog.records if "prompts of tier cloud" in each.msg]
    assert [f" {name} at 127.0.0.1:" in line for name, line in zip("ab", said, strict=True)] == [
        True,
        True,
    ]
