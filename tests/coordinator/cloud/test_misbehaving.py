"""An upstream may hang, lie, break or refuse: it costs its own attempt, in bounded time and money.

No word of it, of the prompt or of the key gets into an error or the log.
"""

import asyncio
import gzip
import json
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress

import pytest

from coordinator.cloud import call
from mesh.core import events
from mesh.core.types import FailureCode, Usage
from mesh.settings import CloudSettings
from tests.coordinator.cloud.asking import PROMPT, Fleet, a_request, adapter
from tests.coordinator.cloud.conftest import IMPATIENT, KEY
from tests.coordinator.cloud.played_upstream import (
    Asked,
    Behaviour,
    PlayedUpstream,
    delta,
    usage,
)

SECRET = "Words of the upstream"  # what a refusal's body says, with whatever it was sent
ECHO = f"{SECRET}: {PROMPT} {KEY}"


@pytest.fixture(autouse=True)
async def nothing_leaks(caplog: pytest.LogCaptureFixture, fleet: Fleet) -> AsyncIterator[None]:
    """Whatever the test does: no secret in what is logged, nor in what the client is told."""
    caplog.set_level("DEBUG")
    yield
    told = " ".join(
        f"{event.failure.message} {event.failure.hint}"
        for event in fleet.heard
        if isinstance(event, events.AttemptFailed)
    )
    ours = "\n".join(each.getMessage() for each in caplog.records if each.name != "asyncio")
    for words in (told, ours):
        assert KEY not in words
        assert PROMPT not in words
        assert SECRET not in words
        assert words.replace("\n", " ").isprintable()


# -- silence ---------------------------------------------------------------------------------------


async def hangs_at_once(asked: Asked) -> None:
    await asked.left()


async def hangs_after_headers(asked: Asked) -> None:
    await asked.begin()
    await asked.left()


async def hangs_after_the_role(asked: Asked) -> None:
    await asked.begin()
    await asked.event(delta({"role": "assistant", "content": ""}))
    await asked.left()


async def hangs_after_a_token(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    await asked.left()


async def says_only_that_it_lives(asked: Asked) -> None:
    await asked.begin()
    with suppress(ConnectionError):
        while not asked.gone.is_set():
            await asked.send(b": PROCESSING\n\n", b"data: {}\n\n", b"data: \n\n")
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "behaviour",
    [
        hangs_at_once,
        hangs_after_headers,
        hangs_after_the_role,
        hangs_after_a_token,
        says_only_that_it_lives,
    ],
)
async def test_silence_ends_the_attempt(
    fleet: Fleet, upstream: PlayedUpstream, behaviour: Behaviour
) -> None:
    upstream.behave = behaviour
    failure = await fleet.failure()
    assert failure.code is FailureCode.NODE_LOST
    assert "silent" in failure.message
    await upstream.asked[0].left()
    assert fleet.spent_microusd > 1000, "nobody knows what it did: all that was set aside is spent"


async def test_the_requests_own_time_ends_the_attempt(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    upstream.behave = hangs_at_once
    failure = await fleet.failure(remaining_s=0.05)
    assert failure.code is FailureCode.DEADLINE_EXCEEDED


async def test_an_upstream_that_does_not_accept_is_given_up_and_costs_nothing(
    cloud_settings: CloudSettings,
) -> None:
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        moved = {"base_url": f"http://127.0.0.1:{full.getsockname()[1]}"}
        async with adapter(cloud_settings.model_copy(update=moved), IMPATIENT) as fleet:
            failure = await fleet.failure()
            assert failure.code is FailureCode.NODE_LOST
            assert "cannot be reached" in failure.message
            assert fleet.spent_microusd == 0


async def test_an_upstream_that_is_not_there_costs_nothing(cloud_settings: CloudSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    moved = cloud_settings.model_copy(update={"base_url": f"http://127.0.0.1:{port}"})
    async with adapter(moved, IMPATIENT) as fleet:
        failure = await fleet.failure()
        assert failure.message == "the upstream cannot be reached"
        assert fleet.spent_microusd == 0
        assert not any(isinstance(each, events.AttemptCharged) for each in fleet.heard)


# -- breaking off ----------------------------------------------------------------------------------


async def resets_at_once(asked: Asked) -> None:
    asked.reset()


async def resets_after_headers(asked: Asked) -> None:
    await asked.begin()
    asked.reset()


async def resets_mid_answer(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    asked.reset()


async def ends_without_a_word(asked: Asked) -> None:
    await asked.begin()
    await asked.raw(b"0\r\n\r\n")


async def ends_mid_answer(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    await asked.raw(b"0\r\n\r\n")


async def is_done_without_a_reason(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    await asked.done()


async def ends_within_an_event(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    await asked.send(b"data: " + json.dumps(delta({}, "stop")).encode())
    await asked.raw(b"0\r\n\r\n")


async def fails_in_band(asked: Asked) -> None:
    await asked.begin()
    await asked.text("half")
    await asked.event({"error": {"message": ECHO, "code": "server_error"}})
    await asked.done()


CUT = [
    resets_at_once,
    resets_after_headers,
    resets_mid_answer,
    ends_without_a_word,
    ends_mid_answer,
    is_done_without_a_reason,
    ends_within_an_event,
    fails_in_band,
]


@pytest.mark.parametrize("behaviour", CUT)
async def test_a_cut_answer_is_never_a_success(
    fleet: Fleet, upstream: PlayedUpstream, behaviour: Behaviour
) -> None:
    upstream.behave = behaviour
    assert (await fleet.failure()).code is FailureCode.NODE_LOST
    assert len(upstream.asked) == 1, "it may have worked: it is not asked twice"


async def test_what_breaks_after_the_answer_is_whole_costs_only_its_usage(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def resets(asked: Asked) -> None:
        await asked.begin()
        await asked.text("whole")
        await asked.event(delta({}, "stop"))
        asked.reset()

    async def hangs(asked: Asked) -> None:
        await asked.begin()
        await asked.text("whole")
        await asked.event(delta({}, "stop"))
        await asked.left()

    for behaviour in (resets, hangs):
        upstream.behave = behaviour
        ended = await fleet.ask()
        assert isinstance(ended, events.AttemptFinished)
        assert ended.usage.estimated
        assert ended.cost_microusd > 0
    assert fleet.text == "whole" * 2


# -- garbage ---------------------------------------------------------------------------------------


async def speaks_html(asked: Asked) -> None:
    await asked.begin("text/html")
    await asked.send(f"<html>{ECHO}</html>".encode())
    await asked.raw(b"0\r\n\r\n")


async def speaks_no_http(asked: Asked) -> None:
    await asked.raw(ECHO.encode() + b"\r\n\r\n")
    asked.writer.close()


async def sends_endless_headers(asked: Asked) -> None:
    await asked.raw(b"HTTP/1.1 200 OK\r\n")
    with suppress(ConnectionError):
        while not asked.gone.is_set():
            await asked.raw(b"x-more: " + b"x" * 8000 + b"\r\n")


async def is_compressed(asked: Asked) -> None:
    await asked.begin(more="content-encoding: gzip\r\n")
    await asked.send(gzip.compress(b"data: {}\n\n" * 1000))


async def sends_a_giant_line(asked: Asked) -> None:
    await asked.begin()
    with suppress(ConnectionError):
        while not asked.gone.is_set():
            await asked.send(b"data: " + b"x" * 65536)


async def sends_a_giant_event(asked: Asked) -> None:
    await asked.begin()
    with suppress(ConnectionError):
        while not asked.gone.is_set():
            await asked.send(b"data: " + b"x" * 65536 + b"\n")


def sends(*parts: bytes) -> Behaviour:
    async def behave(asked: Asked) -> None:
        await asked.begin()
        await asked.send(*parts)
        await asked.done()

    return behave


def tells(chunk: object) -> Behaviour:
    return sends(b"data: " + json.dumps(chunk).encode() + b"\n\n")


GARBAGE = {
    "html": speaks_html,
    "no http": speaks_no_http,
    "headers": sends_endless_headers,
    "gzip": is_compressed,
    "a giant line": sends_a_giant_line,
    "a giant event": sends_a_giant_event,
    "noise": sends(b"\x00\xff\xfe" * 1000),
    "utf-8": sends(b'data: {"choices": "\xff"}\n\n'),
    "half json": sends(b'data: {"choices": [\n\n'),
    "no json": sends(b"data: " + ECHO.encode() + b"\n\n"),
    "a list": tells([1]),
    "a number": tells(7),
    "deep": sends(b"data: " + b"[" * 100_000 + b"\n\n"),
    "choices": tells({"choices": "x"}),
    "choice": tells({"choices": [7]}),
    "delta": tells({"choices": [{"delta": [1]}]}),
    "content": tells(delta({"content": {"a": 1}})),
    "reason": tells(delta({"content": "x"}, ECHO)),
    "reason's type": tells({"choices": [{"delta": {}, "finish_reason": 7}]}),
    "calls": tells(delta({"tool_calls": 7})),
    "call": tells(delta({"tool_calls": [7]})),
    "index": tells(delta({"tool_calls": [{"index": -1}]})),
    "a far index": tells(delta({"tool_calls": [{"index": 10**9}]})),
    "arguments": tells(delta({"tool_calls": [{"function": {"arguments": 7}}]})),
    "logprobs": tells({"choices": [{"delta": {}, "logprobs": {"content": [{"logprob": "x"}]}}]}),
    "infinity": sends(
        b'data: {"choices":[{"delta":{},"logprobs":{"content":[{"logprob":-Infinity}]}}]}\n\n'
    ),
}


@pytest.mark.parametrize("behaviour", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_is_a_failure(
    fleet: Fleet, upstream: PlayedUpstream, behaviour: Behaviour
) -> None:
    upstream.behave = behaviour
    assert (await fleet.failure()).code is FailureCode.NODE_LOST


async def test_an_answer_has_a_largest_size(
    fleet: Fleet, upstream: PlayedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "ANSWER_BYTES_MAX", 100_000)

    async def endless(asked: Asked) -> None:
        await asked.begin()
        with suppress(ConnectionError):
            while not asked.gone.is_set():
                await asked.text("x" * 1000)

    upstream.behave = endless
    assert "more than 100000 bytes" in (await fleet.failure()).message


async def test_tool_calls_have_a_largest_size(fleet: Fleet, upstream: PlayedUpstream) -> None:
    async def endless(asked: Asked) -> None:
        await asked.begin()
        with suppress(ConnectionError):
            while not asked.gone.is_set():
                call = {"index": 0, "function": {"arguments": "x" * 60_000}}
                await asked.event(delta({"tool_calls": [call]}))

    upstream.behave = endless
    assert "tool calls of over" in (await fleet.failure()).message


async def test_half_of_a_character_is_replaced(fleet: Fleet, upstream: PlayedUpstream) -> None:
    async def halves(asked: Asked) -> None:
        await asked.answer("a\ud800b", usage=usage())

    upstream.behave = halves
    assert await fleet.answer() == "a\ufffdb"


async def test_characters_cut_between_packets_are_whole(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def trickles(asked: Asked) -> None:
        await asked.begin()
        whole = json.dumps(delta({"content": "žluťoučký 🐎"}, "stop"), ensure_ascii=False)
        for byte in f"data: {whole}\r\n\r\n".encode():
            await asked.send(bytes([byte]))
        await asked.done()

    upstream.behave = trickles
    assert await fleet.answer() == "žluťoučký 🐎"


@pytest.mark.parametrize(
    "told",
    [
        {},
        "x",
        usage(-1, 2),
        usage(1, 2**40),
        usage(True, 2),
        {"prompt_tokens": 1.5, "completion_tokens": "2"},
        {"prompt_tokens": 3},
    ],
)
async def test_usage_that_makes_no_sense_is_estimated(
    fleet: Fleet, upstream: PlayedUpstream, told: object
) -> None:
    async def lies(asked: Asked) -> None:
        await asked.answer("one", "two", usage=told)

    upstream.behave = lies
    ended = await fleet.ask()
    assert isinstance(ended, events.AttemptFinished)
    assert ended.usage.estimated
    assert 2 <= ended.usage.completion_tokens <= 6
    assert len(PROMPT) / 4 < ended.usage.prompt_tokens < len(PROMPT)
    assert ended.cost_microusd == fleet.spent_microusd


async def test_cached_and_reasoning_tokens_are_parts_of_the_others(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def caches(asked: Asked) -> None:
        details = {
            "prompt_tokens_details": {"cached_tokens": 4000},
            "completion_tokens_details": {"reasoning_tokens": 8},
        }
        await asked.answer("x", usage=usage(100, 20, **details))

    upstream.behave = caches
    ended = await fleet.ask()
    assert isinstance(ended, events.AttemptFinished)
    assert ended.usage == Usage(100, 100, 20, 8)
    assert ended.cost_microusd == 100 * 2 + 20 * 10


# -- bugs ------------------------------------------------------------------------------------------


async def test_a_bug_of_ours_costs_the_attempt_alone(
    fleet: Fleet, upstream: PlayedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> bytes:
        raise ZeroDivisionError(PROMPT)

    monkeypatch.setattr(call, "write_body", broken)
    assert (await fleet.failure()).code is FailureCode.INTERNAL_ERROR
    monkeypatch.undo()
    assert await fleet.answer() == "hello"
    assert upstream.connections == 1


async def test_a_call_that_is_stopped_before_it_began_holds_no_money(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    fleet.upstream.stop(fleet.start())
    await fleet.idle()
    assert (fleet.spent_microusd, upstream.connections) == (0, 0)
    assert len(fleet.heard) == 1, "the offer, and nothing of the attempt"


async def test_a_call_that_is_stopped_posts_nothing_more(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    upstream.behave = hangs_after_a_token
    attempt_id = fleet.start(a_request(max_tokens=1000))
    asked = await upstream.next()
    heard = len(fleet.heard)
    fleet.upstream.stop(attempt_id)
    await asked.left()
    await fleet.idle()
    assert len(fleet.heard) == heard
    assert fleet.spent_microusd > 10_000


async def test_closing_the_adapter_ends_its_calls(
    cloud_settings: CloudSettings, upstream: PlayedUpstream
) -> None:
    upstream.behave = hangs_at_once
    async with adapter(cloud_settings) as fleet:
        fleet.start()
        asked = await upstream.next()
    await asked.left()
    assert fleet.heard[-1] == events.CloudOffered(None)
    late = fleet.start()
    ended = fleet.heard[-1]
    assert isinstance(ended, events.AttemptFailed)
    assert ended.attempt_id == late
