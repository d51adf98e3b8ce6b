"""Between pipe and reader nothing is lost, nothing piles up, and nothing is believed."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.core.generation import (
    Alternative,
    Delta,
    Finished,
    GenerationEvent,
    Started,
    TokenLogprob,
)
from mesh.core.signs import TokenSign
from mesh.core.types import FinishReason, Usage
from mesh.errors import NodeLost
from node_agent.engine.answer_stream import EVENTS_MAX, JOINED_TOKENS_MAX, AnswerStream
from node_agent.engine.frames import FrameError
from tests.node_agent.engine.asking import ask

STARTED = Started((1, 2), 0, 4096, "f")


def stream(max_tokens: int = 4000) -> AnswerStream:
    return AnswerStream(ask("x", max_tokens=max_tokens), context_tokens=4096)


def finished(tokens: int) -> Finished:
    return Finished(FinishReason.LENGTH, Usage(2, 0, tokens), 0.0, 0.0)


async def drained(answer: AnswerStream) -> list[GenerationEvent]:
    events = []
    while (event := await answer.next()) is not None:
        events.append(event)
    return events


@given(st.lists(st.text(max_size=4), max_size=300))
@example(["x"] * 3000)
def test_what_waits_is_bounded_and_whole(texts: list[str]) -> None:
    answer = stream()
    answer.put(STARTED)
    for offset, text in enumerate(texts):
        answer.put(Delta(offset, (offset,), text))
    answer.put(finished(len(texts)))
    waiting = list(answer._waiting)
    deltas = [event for event in waiting if isinstance(event, Delta)]
    assert len(waiting) <= EVENTS_MAX + 1 + len(texts) // JOINED_TOKENS_MAX
    assert "".join(delta.text for delta in deltas) == "".join(texts)
    assert [token for delta in deltas for token in delta.ids] == list(range(len(texts)))
    assert all(delta.token_offset == delta.ids[0] for delta in deltas)


async def test_events_before_a_failure_are_still_read() -> None:
    answer = stream()
    answer.put(STARTED)
    answer.end(NodeLost("gone"))
    assert await answer.next() == STARTED
    with pytest.raises(NodeLost, match="gone"):
        await answer.next()


async def test_a_cancelled_answer_just_ends() -> None:
    answer = stream()
    answer.put(STARTED)
    answer.end(None)
    assert await drained(answer) == [STARTED]


async def test_held_back_text_may_come_last_without_ids() -> None:
    answer = stream()
    events: list[GenerationEvent] = [STARTED, Delta(0, (7,), "a"), Delta(1, (), "END"), finished(1)]
    for event in events:
        answer.put(event)
    assert await drained(answer) == events


@pytest.mark.parametrize(
    ("before", "wrong"),
    [
        ([], Delta(0, (1,), "")),
        ([], finished(0)),
        ([], Started((), 0, 4096, "f")),
        ([], Started((1,), 2, 4096, "f")),
        ([], Started((1,), 0, 4095, "f")),
        ([], Started((1,) * 4096, 0, 4096, "f")),
        ([STARTED], STARTED),
        ([STARTED], Delta(1, (1,), "")),
        ([STARTED], Delta(0, (1, 2, 3, 4), "")),
        ([STARTED], Delta(0, (1,), "x" * 1025)),
        ([STARTED], Delta(0, (), "x")),
        ([STARTED], finished(1)),
        ([STARTED, Delta(0, (1,), "a")], Delta(0, (1,), "a")),
        ([STARTED, Delta(0, (1,), "a"), Delta(1, (), "b")], Delta(1, (2,), "c")),
        ([STARTED, finished(0)], Delta(0, (1,), "a")),
        ([STARTED, finished(0)], finished(0)),
    ],
)
def test_an_event_that_can_not_follow_is_refused(
    before: list[GenerationEvent], wrong: GenerationEvent
) -> None:
    answer = stream(max_tokens=3)
    for event in before:
        answer.put(event)
    with pytest.raises(FrameError):
        answer.put(wrong)


LIKELY = Alternative(1, -0.1, b"a")


def told(token: int, *alternatives: Alternative) -> TokenLogprob:
    return TokenLogprob(token, -0.1, b"a", alternatives)


async def test_joined_deltas_keep_a_log_probability_for_each_token() -> None:
    answer = AnswerStream(ask("x", max_tokens=4000, logprobs=1), context_tokens=4096)
    answer.put(STARTED)
    for offset in range(3 * EVENTS_MAX):
        answer.put(Delta(offset, (offset,), "a", (told(offset, LIKELY),)))
    answer.put(finished(3 * EVENTS_MAX))
    _, *deltas, _ = await drained(answer)
    assert len(deltas) < EVENTS_MAX
    for delta in deltas:
        assert isinstance(delta, Delta)
        assert tuple(each.id for each in delta.logprobs) == delta.ids


@pytest.mark.parametrize(
    ("asked", "logprobs"),
    [
        (None, (told(7),)),
        (1, ()),
        (1, (told(8),)),
        (1, (told(7), told(7))),
        (1, (told(7, LIKELY, LIKELY),)),
        (0, (told(7, LIKELY),)),
    ],
)
def test_log_probabilities_that_were_not_asked_for_are_refused(
    asked: int | None, logprobs: tuple[TokenLogprob, ...]
) -> None:
    answer = AnswerStream(ask("x", logprobs=asked), context_tokens=4096)
    answer.put(STARTED)
    with pytest.raises(FrameError):
        answer.put(Delta(0, (7,), "a", logprobs))


SURE = TokenSign((1.0,))


async def test_joined_deltas_keep_a_sign_for_each_token() -> None:
    answer = AnswerStream(ask("x", max_tokens=4000, signs=True), context_tokens=4096)
    answer.put(STARTED)
    signs = [TokenSign((1.0,), offset % 10) for offset in range(3 * EVENTS_MAX)]
    for offset, sign in enumerate(signs):
        answer.put(Delta(offset, (offset,), "a", signs=(sign,)))
    answer.put(finished(3 * EVENTS_MAX))
    deltas = [event for event in await drained(answer) if isinstance(event, Delta)]
    assert len(deltas) < EVENTS_MAX
    assert [len(delta.signs) for delta in deltas] == [len(delta.ids) for delta in deltas]
    assert [sign for delta in deltas for sign in delta.signs] == signs


@pytest.mark.parametrize(("asked", "signs"), [(False, (SURE,)), (True, ()), (True, (SURE, SURE))])
def test_signs_that_are_not_one_for_each_token_or_were_not_asked_for_are_refused(
    asked: bool, signs: tuple[TokenSign, ...]
) -> None:
    answer = AnswerStream(ask("x", signs=asked), context_tokens=4096)
    answer.put(STARTED)
    with pytest.raises(FrameError, match="signs"):
        answer.put(Delta(0, (7,), "a", signs=signs))
