"""An upstream that refuses is asked again only where it did nothing, rarely, and not for long."""

import asyncio
from contextlib import suppress

import pytest

from coordinator.cloud import call
from mesh.chat_api import refusals
from mesh.chat_api.refusals import RETRY_AFTER_MAX_S, told_s, wait_s
from mesh.core import events
from mesh.core.types import FailureCode
from tests.coordinator.cloud.asking import Fleet
from tests.coordinator.cloud.misbehaving.conftest import ECHO
from tests.coordinator.cloud.played_upstream import Asked, Behaviour, PlayedUpstream


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it waits for where the upstream does not say."""
    monkeypatch.setattr(call, "TRY_AGAIN_S", (0.01, 0.02))


def refuses(status: int, error: object = None, more: str = "") -> Behaviour:
    async def behave(asked: Asked) -> None:
        await asked.refuse(status, error, more)

    return behave


WORDS = {"message": ECHO, "type": "invalid_request_error", "code": None}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, FailureCode.INVALID_REQUEST),
        (401, FailureCode.FORBIDDEN),
        (402, FailureCode.FORBIDDEN),
        (403, FailureCode.FORBIDDEN),
        (404, FailureCode.MODEL_NOT_FOUND),
        (413, FailureCode.CONTEXT_OVERFLOW),
        (418, FailureCode.NODE_LOST),
        (422, FailureCode.INVALID_REQUEST),
        (500, FailureCode.NODE_LOST),
        (501, FailureCode.NODE_LOST),
        (599, FailureCode.NODE_LOST),
        (204, FailureCode.NODE_LOST),
    ],
)
async def test_a_refusal_is_told_in_our_words_and_costs_nothing(
    fleet: Fleet, upstream: PlayedUpstream, status: int, code: FailureCode
) -> None:
    upstream.behave = refuses(status, WORDS)
    failure = await fleet.failure()
    assert failure.code is code
    assert str(status) in failure.message or status == 413
    assert failure.hint
    assert len(upstream.asked) == 1
    assert fleet.spent_microusd == 0


@pytest.mark.parametrize("status", [502, 504, 520, 522, 524])
async def test_a_proxy_that_lost_the_upstream_may_have_cost_what_was_set_aside(
    fleet: Fleet, upstream: PlayedUpstream, status: int
) -> None:
    upstream.behave = refuses(status)
    await fleet.failure()
    assert len(upstream.asked) == 1, "it may have worked: it is not asked twice"
    assert fleet.spent_microusd > 1000


@pytest.mark.parametrize("status", [429, 503, 529])
async def test_an_upstream_that_is_always_busy_is_asked_three_times(
    fleet: Fleet, upstream: PlayedUpstream, status: int
) -> None:
    upstream.behave = refuses(status, {"message": ECHO, "code": "rate_limit_exceeded"})
    failure = await fleet.failure()
    assert failure.code in (FailureCode.OVERLOADED, FailureCode.NODE_LOST)
    assert "rate_limit_exceeded" in failure.message
    assert len(upstream.asked) == call.TRIES_MAX == 3
    assert fleet.spent_microusd == 0


async def test_an_upstream_that_is_busy_once_answers_the_second_time(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def once(asked: Asked) -> None:
        if len(upstream.asked) == 1:
            await asked.refuse(429, more="retry-after-ms: 5\r\n")
        else:
            await asked.answer("now")

    upstream.behave = once
    assert await fleet.answer() == "now"
    ended = fleet.heard[-1]
    assert isinstance(ended, events.AttemptFinished)
    assert ended.cost_microusd == fleet.spent_microusd, "the refused try cost nothing"


@pytest.mark.parametrize(
    ("told", "passed_on_s"),
    [("11", 11.0), ("3600", 3600.0), ("999999999", 3600.0), ("10.01", 10.01)],
)
async def test_nobody_waits_for_longer_than_ten_seconds_but_the_client_is_told(
    fleet: Fleet, upstream: PlayedUpstream, told: str, passed_on_s: float
) -> None:
    upstream.behave = refuses(429, more=f"retry-after: {told}\r\n")
    failure = await fleet.failure()
    assert (failure.code, failure.retry_after_s) == (FailureCode.OVERLOADED, passed_on_s)
    assert len(upstream.asked) == 1


async def test_nobody_waits_past_the_requests_own_time(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    upstream.behave = refuses(429, more="retry-after: 9\r\n")
    failure = await fleet.failure(remaining_s=5.0)
    assert failure.code is FailureCode.OVERLOADED, "told at once, not when its time has run out"
    assert len(upstream.asked) == 1


async def test_an_account_without_money_is_not_asked_again(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    upstream.behave = refuses(429, {"message": ECHO, "code": "insufficient_quota"})
    assert "insufficient_quota" in (await fleet.failure()).message
    assert len(upstream.asked) == 1


@pytest.mark.parametrize(
    ("after", "after_ms", "waits_s"),
    [
        (None, None, 0.5),
        ("2", None, 2.0),
        ("0", None, 0.0),
        ("1.5", None, 1.5),
        (None, "250", 0.25),
        ("7", "250", 0.25),
        ("7", "0", 0.0),
        ("7", "soon", 7.0),
        ("10", None, RETRY_AFTER_MAX_S),
        ("10.1", None, None),
        (None, "10001", None),
        ("Wed, 21 Oct 2065 07:28:00 GMT", None, 0.5),
        ("-1", None, 0.5),
        ("1e9", None, 0.5),
        ("inf", None, 0.5),
        ("nan", None, 0.5),
        ("\u0663", None, 0.5),
        ("9" * 400, None, 0.5),
        ("", "", 0.5),
    ],
)
def test_a_wait_is_a_number_of_seconds_or_the_usual_one(
    after: str | None, after_ms: str | None, waits_s: float | None
) -> None:
    assert wait_s(told_s(after, after_ms), 0.5) == waits_s


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "context_length_exceeded"}),
        (400, {"message": f"This model's maximum context length is 10 tokens. {ECHO}"}),
        (422, "prompt is too long"),
        (400, {"type": "exceed_context_size_error", "message": ECHO}),
        (400, {"message": "the request exceeds the available context size"}),
        (413, {"message": "too many input tokens"}),
    ],
)
async def test_a_prompt_that_is_too_long_is_told_as_such(
    fleet: Fleet, upstream: PlayedUpstream, status: int, error: object
) -> None:
    upstream.behave = refuses(status, error)
    failure = await fleet.failure()
    assert failure.code is FailureCode.CONTEXT_OVERFLOW
    assert failure.message == "the prompt is longer than the upstream's context"


AZURE = {
    "message": f"The response was filtered due to the prompt triggering a policy. {ECHO}",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation"},
}
MODERATED = {
    "code": 403,
    "message": "requires moderation",
    "metadata": {"reasons": ["violence"], "flagged_input": ECHO, "provider_name": "x"},
}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, AZURE),
        (403, MODERATED),
        (400, {"code": "content_policy_violation", "message": ECHO}),
        (400, {"code": "invalid_prompt", "message": ECHO}),
        (400, {"message": f"Your request was rejected by our safety system. {ECHO}"}),
        (422, {"message": f"It violates our usage policies: {ECHO}"}),
    ],
)
async def test_what_a_content_policy_refuses_is_told_as_such_and_is_for_nobody_else(
    fleet: Fleet, upstream: PlayedUpstream, status: int, error: object
) -> None:
    upstream.behave = refuses(status, error)
    failure = await fleet.failure()
    assert failure.code is FailureCode.CONTENT_REFUSED
    assert not failure.code.elsewhere
    assert failure.message == "the upstream's content policy refused this"
    assert (len(upstream.asked), fleet.spent_microusd) == (1, 0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AZURE, FailureCode.CONTENT_REFUSED),
        (MODERATED, FailureCode.CONTENT_REFUSED),
        ({"code": "context_length_exceeded"}, FailureCode.CONTEXT_OVERFLOW),
        ({"code": 429, "message": ECHO}, FailureCode.OVERLOADED),
        ({"code": 502, "message": ECHO}, FailureCode.NODE_LOST),
        (ECHO, FailureCode.NODE_LOST),
    ],
)
async def test_an_error_in_the_stream_means_what_its_status_would(
    fleet: Fleet, upstream: PlayedUpstream, error: object, code: FailureCode
) -> None:
    async def fails(asked: Asked) -> None:
        await asked.begin()
        await asked.event({"error": error, "choices": []})

    upstream.behave = fails
    assert (await fleet.failure()).code is code


@pytest.mark.parametrize(
    "error", [None, ECHO, [], {"code": ECHO}, {"code": 7}, {"code": "A" * 50}, {"type": [ECHO]}]
)
async def test_a_refusals_own_words_are_not_repeated(
    fleet: Fleet, upstream: PlayedUpstream, error: object
) -> None:
    upstream.behave = refuses(500, error)
    assert (await fleet.failure()).message == "the upstream failed (500)"


async def test_a_refusal_without_end_is_read_no_further(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    sent_bytes = 0

    async def floods(asked: Asked) -> None:
        nonlocal sent_bytes
        await asked.raw(b"HTTP/1.1 400 No\r\ntransfer-encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while not asked.gone.is_set():
                await asked.send(b" " * 8192)
                sent_bytes += 8192

    upstream.behave = floods
    assert (await fleet.failure()).message == "the upstream refused the request (400)"
    await upstream.asked[0].left()
    assert sent_bytes < 64 * 1024 * 1024


@pytest.mark.usefixtures("impatient")
async def test_a_refusal_that_does_not_come_to_its_end_is_told(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def trickles(asked: Asked) -> None:
        await asked.raw(b"HTTP/1.1 401 No\r\ntransfer-encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while not asked.gone.is_set():
                await asked.send(b" ")
                await asyncio.sleep(0.01)

    upstream.behave = trickles
    assert (await fleet.failure()).message == "the upstream refused the operator's key (401)"
    await upstream.asked[0].left()


async def test_an_error_in_the_place_of_a_chunk_is_told_by_its_code_alone(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def fails(asked: Asked) -> None:
        await asked.begin()
        await asked.event({"error": {"message": ECHO, "code": "rate_limit_exceeded"}})

    upstream.behave = fails
    failure = await fleet.failure()
    assert failure.code is FailureCode.OVERLOADED
    assert failure.message == "the upstream takes no more for now (rate_limit_exceeded)"


def test_every_status_that_is_tried_again_or_perhaps_worked_is_one_or_the_other() -> None:
    assert not refusals.TRY_AGAIN & refusals.PERHAPS_DONE
