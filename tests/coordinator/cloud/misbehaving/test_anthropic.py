"""An upstream of Anthropic's API that hangs, lies or refuses costs its own attempt alone."""

from collections.abc import AsyncIterator

import pytest

from coordinator.cloud import call
from mesh.cloud_settings import CloudSettings
from mesh.core import events
from mesh.core.types import FailureCode
from tests.coordinator.cloud import played_anthropic as played
from tests.coordinator.cloud.asking import Fleet, adapter
from tests.coordinator.cloud.conftest import KEY
from tests.coordinator.cloud.misbehaving.conftest import ECHO
from tests.coordinator.cloud.played_anthropic import (
    LAST,
    PING,
    Told,
    block,
    closes,
    end,
    error,
    part,
    start,
    stop,
    text,
)
from tests.coordinator.cloud.played_upstream import Asked, Behaviour, PlayedUpstream


@pytest.fixture
async def fleet(upstream: PlayedUpstream) -> AsyncIterator[Fleet]:
    table = {
        "kind": "anthropic",
        "base_url": upstream.base_url,
        "model": "claude",
        "api_key": KEY,
        "input_usd_per_million_tokens": 2.0,
        "output_usd_per_million_tokens": 10.0,
    }
    settings = {"max_usd_per_day": 5.0, "upstreams": {"there": table}}
    async with adapter(CloudSettings.model_validate(settings)) as running:
        yield running


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "TRY_AGAIN_S", (0.01, 0.02))


def says(*told: Told) -> Behaviour:
    async def behave(asked: Asked) -> None:
        await asked.begin()
        await played.say(asked, *told)
        await closes(asked)

    return behave


async def hangs_after_the_start(asked: Asked) -> None:
    await asked.begin()
    await played.say(asked, start(), block(0), PING)
    await asked.left()


async def hangs_after_a_token(asked: Asked) -> None:
    await asked.begin()
    await played.say(asked, start(), block(0), text("half"))
    await asked.left()


async def resets_mid_answer(asked: Asked) -> None:
    await asked.begin()
    await played.say(asked, start(), block(0), text("half"))
    asked.reset()


@pytest.mark.parametrize("behaviour", [hangs_after_the_start, hangs_after_a_token])
@pytest.mark.usefixtures("impatient")
async def test_silence_ends_the_attempt(
    fleet: Fleet, upstream: PlayedUpstream, behaviour: Behaviour
) -> None:
    upstream.behave = behaviour
    failure = await fleet.failure()
    assert failure.code is FailureCode.NODE_LOST
    assert "silent" in failure.message
    await upstream.asked[0].left()


CUT = {
    "nothing": says(),
    "a start": says(start()),
    "half": says(start(), block(0), text("half")),
    "a block's end": says(start(), block(0), text("half"), stop()),
    "no reason": says(start(), block(0), text("half"), end(None)),
    "the last event alone": says(start(), block(0), text("half"), LAST),
    "a reset": resets_mid_answer,
}


@pytest.mark.parametrize("behaviour", CUT.values(), ids=CUT.keys())
async def test_a_cut_answer_is_never_a_success_and_costs_what_was_set_aside(
    fleet: Fleet, upstream: PlayedUpstream, behaviour: Behaviour
) -> None:
    """Its first guess at the answer's tokens is one; that is no count to pay by."""
    upstream.behave = behaviour
    assert (await fleet.failure()).code is FailureCode.NODE_LOST
    assert len(upstream.asked) == 1, "it may have worked: it is not asked twice"
    assert fleet.spent_microusd > 1000


async def test_what_breaks_after_the_reason_is_a_whole_answer_with_its_usage(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def resets(asked: Asked) -> None:
        await asked.begin()
        await played.say(asked, start(), block(0), text("whole"), stop(), end())
        asked.reset()

    upstream.behave = resets
    ended = await fleet.ask()
    assert isinstance(ended, events.AttemptFinished)
    assert (fleet.text, ended.usage.completion_tokens) == ("whole", 2)
    assert not ended.usage.estimated


async def test_nothing_after_the_last_event_is_part_of_the_answer(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    more = (block(1), text(" and more", 1), end("max_tokens", output_tokens=999))
    upstream.behave = says(start(), block(0), text("whole"), stop(), end(), LAST, *more)
    ended = await fleet.ask()
    assert isinstance(ended, events.AttemptFinished)
    assert (fleet.text, ended.usage.completion_tokens) == ("whole", 2)


async def test_nothing_after_the_reason_is_said(fleet: Fleet, upstream: PlayedUpstream) -> None:
    upstream.behave = says(start(), block(0), text("whole"), end(), text(" and more"), LAST)
    assert await fleet.answer() == "whole"


def tells(event: object) -> Behaviour:
    async def behave(asked: Asked) -> None:
        await asked.begin()
        await asked.event(event)
        await closes(asked)

    return behave


GARBAGE = {
    "a list": tells([1]),
    "text": tells("message_start"),
    "message": tells({"type": "message_start", "message": 7}),
    "block": tells({"type": "content_block_start", "index": 0, "content_block": [1]}),
    "delta": tells({"type": "content_block_delta", "index": 0, "delta": "x"}),
    "words": tells(part(0, "text_delta", text={"a": 1})),
    "thoughts": tells(part(0, "thinking_delta", thinking=7)),
    "reason": tells(end(ECHO)),
    "reason's type": tells(end(7)),
    "a far index": tells(block(10**9, "tool_use", id="x", name="y")),
    "no index": tells(block(-1, "tool_use", id="x", name="y")),
    "a name": tells(block(0, "tool_use", id="x", name=7)),
    "arguments": says(
        block(0, "tool_use", id="x", name="y"), part(0, "input_json_delta", partial_json=7)
    ),
}


@pytest.mark.parametrize("behaviour", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_a_failure(
    fleet: Fleet, upstream: PlayedUpstream, behaviour: Behaviour
) -> None:
    upstream.behave = behaviour
    assert (await fleet.failure()).code is FailureCode.NODE_LOST


async def test_tool_calls_have_a_largest_size(fleet: Fleet, upstream: PlayedUpstream) -> None:
    async def endless(asked: Asked) -> None:
        await asked.begin()
        await played.say(asked, start(), block(0, "tool_use", id="x", name="y"))
        while not asked.gone.is_set():
            await played.say(asked, part(0, "input_json_delta", partial_json="x" * 60_000))

    upstream.behave = endless
    assert "tool calls of over" in (await fleet.failure()).message


@pytest.mark.parametrize(
    "usage",
    [
        {"output_tokens": -1},
        {"output_tokens": "2"},
        {"output_tokens": 2**40},
        {"output_tokens": True},
        {"output_tokens": 2, "input_tokens": 2**32 - 1, "cache_read_input_tokens": 2**32 - 1},
    ],
)
async def test_usage_that_makes_no_sense_is_estimated(
    fleet: Fleet, upstream: PlayedUpstream, usage: dict[str, object]
) -> None:
    upstream.behave = says(start(), block(0), text("one"), text("two"), end(**usage), LAST)
    ended = await fleet.ask()
    assert isinstance(ended, events.AttemptFinished)
    assert ended.usage.estimated
    assert ended.cost_microusd == fleet.spent_microusd < 1000


# -- refusals --------------------------------------------------------------------------------------


def refuses(status: int, kind: str, words: str = ECHO, more: str = "") -> Behaviour:
    async def behave(asked: Asked) -> None:
        await played.refuse(asked, status, kind, words, more)

    return behave


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", FailureCode.INVALID_REQUEST),
        (401, "authentication_error", FailureCode.FORBIDDEN),
        (402, "billing_error", FailureCode.FORBIDDEN),
        (403, "permission_error", FailureCode.FORBIDDEN),
        (404, "not_found_error", FailureCode.MODEL_NOT_FOUND),
        (413, "request_too_large", FailureCode.CONTEXT_OVERFLOW),
        (500, "api_error", FailureCode.NODE_LOST),
    ],
)
async def test_a_refusal_is_told_in_our_words_and_costs_nothing(
    fleet: Fleet, upstream: PlayedUpstream, status: int, kind: str, code: FailureCode
) -> None:
    upstream.behave = refuses(status, kind)
    failure = await fleet.failure()
    assert failure.code is code
    assert f"({status}, {kind})" in failure.message
    assert (len(upstream.asked), fleet.spent_microusd) == (1, 0)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (429, "rate_limit_error", FailureCode.OVERLOADED),
        (529, "overloaded_error", FailureCode.NODE_LOST),
    ],
)
async def test_one_that_is_always_busy_is_asked_three_times(
    fleet: Fleet, upstream: PlayedUpstream, status: int, kind: str, code: FailureCode
) -> None:
    upstream.behave = refuses(status, kind, more="retry-after: 0\r\n")
    failure = await fleet.failure()
    assert failure.code is code
    assert failure.code.elsewhere, "another rung may be asked"
    assert (len(upstream.asked), fleet.spent_microusd) == (call.TRIES_MAX, 0)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("prompt is too long: 208310 tokens > 200000 maximum", FailureCode.CONTEXT_OVERFLOW),
        (
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
            FailureCode.CONTEXT_OVERFLOW,
        ),
        (
            "Your credit balance is too low to access the Anthropic API.",
            FailureCode.FORBIDDEN,
        ),
        ("Output blocked by content filtering policy: usage policy", FailureCode.CONTENT_REFUSED),
    ],
)
async def test_a_bad_request_is_told_apart_by_its_words(
    fleet: Fleet, upstream: PlayedUpstream, words: str, code: FailureCode
) -> None:
    upstream.behave = refuses(400, "invalid_request_error", words)
    failure = await fleet.failure()
    assert failure.code is code
    assert not failure.code.elsewhere
    assert len(upstream.asked) == 1


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("overloaded_error", FailureCode.NODE_LOST),
        ("rate_limit_error", FailureCode.OVERLOADED),
        ("api_error", FailureCode.NODE_LOST),
    ],
)
async def test_an_error_in_the_stream_is_told_by_its_type_alone(
    fleet: Fleet, upstream: PlayedUpstream, kind: str, code: FailureCode
) -> None:
    upstream.behave = says(start(), error(kind, ECHO))
    failure = await fleet.failure()
    assert failure.code is code
    assert failure.message.endswith(f"({kind})")
