"""What is no chunk is a failure, what is too large is cut off, a lie about usage is not paid."""

import gzip
import json
from contextlib import suppress

import pytest

from coordinator.cloud import call
from mesh.core import events
from mesh.core.types import FailureCode, Usage
from tests.coordinator.cloud.asking import PROMPT, Fleet
from tests.coordinator.cloud.misbehaving.conftest import ECHO
from tests.coordinator.cloud.played_upstream import (
    Asked,
    Behaviour,
    PlayedUpstream,
    delta,
    hello,
    usage,
)


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


async def test_a_long_tool_call_may_come_in_as_many_pieces_as_it_has_tokens(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    pieces = 40_000  # a file that a model writes

    async def writes(asked: Asked) -> None:
        name = {"id": "call_0123456789abcdef", "function": {"name": "write_file"}}
        await asked.begin()
        await asked.event(delta({"tool_calls": [{"index": 0, **name}]}))
        piece = json.dumps(delta({"tool_calls": [{"index": 0, "function": {"arguments": "abcd"}}]}))
        await asked.send(f"data: {piece}\n\n".encode() * pieces)
        await asked.event(delta({}, "tool_calls"))
        await asked.done()

    upstream.behave = writes
    await fleet.answer()
    [written] = fleet.deltas[-1].tool_calls
    assert (written.id, written.name) == ("call_0123456789abcdef", "write_file")
    assert written.arguments_json == "abcd" * pieces


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


# -- more than one end -----------------------------------------------------------------------------


async def test_of_a_usage_that_is_told_twice_the_last_one_counts(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def twice(asked: Asked) -> None:
        await asked.begin()
        await asked.event({**delta({"content": "x"}), "usage": usage(100, 1)})
        await asked.event({**delta({}, "stop"), "usage": usage(100, 2)})
        await asked.event({"choices": [], "usage": usage(100, 20)})
        await asked.event({"choices": [], "usage": usage(90, 21)})
        await asked.done()

    upstream.behave = twice
    ended = await fleet.ask()
    assert isinstance(ended, events.AttemptFinished)
    assert ended.usage == Usage(90, 0, 21)
    assert ended.cost_microusd == 90 * 2 + 21 * 10 == fleet.spent_microusd


async def test_sums_so_far_are_no_price_of_an_answer_that_is_cut(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def breaks(asked: Asked) -> None:
        await asked.begin()
        await asked.event({**delta({"content": "x"}), "usage": usage(10, 1)})
        asked.reset()

    upstream.behave = breaks
    ended = await fleet.ask()
    assert isinstance(ended, events.AttemptFailed)
    assert ended.cost_microusd > 1000, "nobody knows what it wrote: all that was set aside"


async def test_nothing_after_the_last_event_is_part_of_the_answer(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    async def goes_on(asked: Asked) -> None:
        await asked.begin()
        await asked.text("whole")
        await asked.event(delta({}, "stop"), {"choices": [], "usage": usage(10, 2)})
        more = json.dumps({**delta({"content": " and more"}), "usage": usage(10, 999)}).encode()
        await asked.send(b"data: [DONE]\n\n" + b"data: " + more + b"\n\n")
        with suppress(ConnectionError):
            await asked.text(" and more")
            await asked.done()

    upstream.behave = goes_on
    ended = await fleet.ask()
    assert isinstance(ended, events.AttemptFinished)
    assert (fleet.text, ended.usage) == ("whole", Usage(10, 0, 2))
    upstream.behave = hello
    assert await fleet.answer() == "wholehello", "nor of the next one"


async def test_a_line_of_a_gigabyte_is_cut_off_at_its_first_megabytes(
    fleet: Fleet, upstream: PlayedUpstream
) -> None:
    sent_bytes = 0

    async def writes(asked: Asked) -> None:
        nonlocal sent_bytes
        await asked.begin()
        await asked.send(b"data: ")
        with suppress(ConnectionError):
            while sent_bytes < 1024**3 and not asked.gone.is_set():
                await asked.send(b"x" * 65536)
                sent_bytes += 65536

    upstream.behave = writes
    assert "an event of more than 1048576 bytes" in (await fleet.failure()).message
    await upstream.asked[0].left()
    assert sent_bytes < 64 * 1024**2, "no more than what sockets hold on its way"
