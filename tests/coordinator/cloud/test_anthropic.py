"""An upstream of Anthropic's API answers as any other one does."""

from collections.abc import AsyncIterator

import pytest

from coordinator.cloud import connection
from mesh.cloud_settings import CloudSettings
from mesh.core import events
from mesh.core.types import Capability, FinishReason, Usage
from mesh.v1 import inference_pb2 as inference
from mesh.wire.enums import FINISH_REASON, write
from tests.coordinator.cloud import played_anthropic as played
from tests.coordinator.cloud.asking import PROMPT, Fleet, adapter
from tests.coordinator.cloud.conftest import KEY
from tests.coordinator.cloud.played_anthropic import (
    LAST,
    PING,
    Told,
    block,
    closes,
    end,
    part,
    start,
    stop,
    text,
)
from tests.coordinator.cloud.played_upstream import Asked, Behaviour, PlayedUpstream


@pytest.fixture
def anthropic_settings(upstream: PlayedUpstream) -> CloudSettings:
    """2 micro-USD a token in, 10 out."""
    upstream.behave = played.hello
    table = {
        "kind": "anthropic",
        "base_url": upstream.base_url,
        "model": "claude",
        "api_key": KEY,
        "input_usd_per_million_tokens": 2.0,
        "output_usd_per_million_tokens": 10.0,
    }
    return CloudSettings.model_validate({"max_usd_per_day": 5.0, "upstreams": {"there": table}})


@pytest.fixture
async def fleet(anthropic_settings: CloudSettings) -> AsyncIterator[Fleet]:
    async with adapter(anthropic_settings) as running:
        yield running


def says(*told: Told) -> Behaviour:
    async def behave(asked: Asked) -> None:
        await asked.begin()
        await played.say(asked, *told)
        await closes(asked)

    return behave


async def finished(fleet: Fleet) -> events.AttemptFinished:
    ended = await fleet.ask()
    assert isinstance(ended, events.AttemptFinished), ended
    return ended


async def test_an_answer_streams_and_is_counted(fleet: Fleet, upstream: PlayedUpstream) -> None:
    ended = await finished(fleet)
    assert fleet.text == "hello"
    assert ended.usage == Usage(10, 0, 2)
    assert ended.cost_microusd == 10 * 2 + 2 * 10 == fleet.spent_microusd
    assert ended.price_version == "operator"
    [asked] = upstream.asked
    assert asked.line == "POST /v1/messages HTTP/1.1"
    assert asked.headers["x-api-key"] == KEY
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in asked.headers
    assert asked.body["model"] == "claude"
    assert asked.body["messages"][0]["content"][0]["text"] == PROMPT


async def test_connections_are_used_again_where_they_are_kept(
    anthropic_settings: CloudSettings, upstream: PlayedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_CONNECTIONS_PLAIN_MAX", 8)  # as for https
    async with adapter(anthropic_settings) as fleet:
        for _ in range(3):
            await finished(fleet)
    assert (upstream.connections, len(upstream.asked)) == (1, 3)


def test_its_models_tell_no_logprobs(anthropic_settings: CloudSettings) -> None:
    from coordinator.cloud.opening import open_upstreams

    [model] = open_upstreams(anthropic_settings, lambda _: None).models
    assert Capability.LOGPROBS not in model.capabilities
    assert {Capability.TOOLS, Capability.VISION} <= model.capabilities


async def test_thoughts_come_apart_from_words(fleet: Fleet, upstream: PlayedUpstream) -> None:
    upstream.behave = says(
        start(),
        block(0, "thinking", thinking="", signature=""),
        part(0, "thinking_delta", thinking="hm "),
        part(0, "thinking_delta", thinking="hm"),
        part(0, "signature_delta", signature="EqQB"),
        stop(0),
        block(1, "redacted_thinking", data="secret"),
        stop(1),
        block(2, text="so "),
        text("it is", 2),
        stop(2),
        end(output_tokens=9, output_tokens_details={"thinking_tokens": 5}),
        LAST,
    )
    ended = await finished(fleet)
    assert fleet.text == "so it is"
    assert "".join(each.reasoning for each in fleet.deltas) == "hm hm"
    assert ended.usage == Usage(10, 0, 9, 5)


async def test_tool_calls_are_handed_out_whole(fleet: Fleet, upstream: PlayedUpstream) -> None:
    upstream.behave = says(
        start(),
        block(0),
        text("let me see"),
        stop(0),
        block(1, "tool_use", id="toolu_1", name="weather", input={}),
        part(1, "input_json_delta", partial_json=""),
        part(1, "input_json_delta", partial_json='{"city": '),
        part(1, "input_json_delta", partial_json='"Brno"}'),
        stop(1),
        block(2, "tool_use", id="toolu_2", name="clock", input={}),
        stop(2),
        end("tool_use"),
        LAST,
    )
    ended = await finished(fleet)
    assert isinstance(ended.payload, inference.GenerationFinished)
    assert ended.payload.reason == inference.FINISH_REASON_TOOL_CALLS
    called = [call for each in fleet.deltas for call in each.tool_calls]
    assert [(each.id, each.name, each.arguments_json) for each in called] == [
        ("toolu_1", "weather", '{"city": "Brno"}'),
        ("toolu_2", "clock", "{}"),
    ]


async def test_tokens_read_from_a_cache_and_written_to_one_are_parts_of_the_prompt(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    upstream.behave = says(
        start(input_tokens=7, cache_read_input_tokens=100, cache_creation_input_tokens=50),
        block(0),
        text("x"),
        end(output_tokens=3),
        LAST,
    )
    ended = await finished(fleet)
    assert ended.usage == Usage(157, 100, 3, cache_written_tokens=50)
    assert ended.cost_microusd == (157 + 50) * 2 + 3 * 10, "what is written costs twice as much"


async def test_the_last_usage_counts_and_none_is_added_up(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    upstream.behave = says(
        start(input_tokens=10),
        block(0),
        text("x"),
        end(None, output_tokens=5),
        end("end_turn", input_tokens=12, output_tokens=8),
        end("end_turn", output_tokens=9),
        LAST,
    )
    ended = await finished(fleet)
    assert ended.usage == Usage(12, 0, 9)


@pytest.mark.parametrize(
    ("reason", "means"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("pause_turn", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("refusal", FinishReason.CONTENT_FILTER),
    ],
)
async def test_why_it_ended_is_told_in_our_words(
    fleet: Fleet, upstream: PlayedUpstream, reason: str, means: FinishReason
) -> None:
    upstream.behave = says(start(), block(0), text("x"), stop(), end(reason), LAST)
    ended = await finished(fleet)
    assert isinstance(ended.payload, inference.GenerationFinished)
    assert ended.payload.reason == write(FINISH_REASON, means)


async def test_a_refusal_without_a_word_is_an_answer_that_ended(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    """Nobody asks elsewhere what one upstream would not say: it is no failure."""
    upstream.behave = says(start(), end("refusal", output_tokens=0), LAST)
    ended = await finished(fleet)
    assert isinstance(ended.payload, inference.GenerationFinished)
    assert ended.payload.reason == inference.FINISH_REASON_CONTENT_FILTER
    assert fleet.text == ""


async def test_what_is_not_known_yet_is_passed_over(fleet: Fleet, upstream: PlayedUpstream) -> None:
    upstream.behave = says(
        {"type": "message_thought", "of": "later"},
        start(),
        PING,
        block(0, "server_tool_use", id="srv", name="web_search", input={}),
        part(0, "input_json_delta", partial_json='{"query": "x"}'),
        stop(0),
        block(1, "hologram", shape=[1, 2]),
        part(1, "hologram_delta", shape=[3]),
        stop(1),
        block(2),
        text("known", 2),
        part(2, "citations_delta", citation={"cited_text": "x"}),
        end(),
        LAST,
    )
    ended = await finished(fleet)
    assert fleet.text == "known"
    assert isinstance(ended.payload, inference.GenerationFinished)
    assert [call for each in fleet.deltas for call in each.tool_calls] == []


async def test_a_cache_that_the_operator_asks_for_is_set_money_aside_for(
    anthropic_settings: CloudSettings, upstream: PlayedUpstream
) -> None:
    async def reserved(settings: CloudSettings) -> int:
        async with adapter(settings) as fleet:
            upstream.behave = says(start(), block(0), text("x"))  # cut: all of it is spent
            assert isinstance(await fleet.ask(), events.AttemptFailed)
            return fleet.spent_microusd

    table = anthropic_settings.upstreams["there"]
    caching = table.model_copy(update={"body": {"cache_control": {"type": "ephemeral"}}})
    settings = anthropic_settings.model_copy(update={"upstreams": {"there": caching}})
    plain, more = await reserved(anthropic_settings), await reserved(settings)
    assert more - 100 * 10 == 2 * (plain - 100 * 10)
    assert upstream.asked[-1].body["cache_control"] == {"type": "ephemeral"}
