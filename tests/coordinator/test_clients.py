"""A client's transcript is bounded, whoever is at fault that it grows."""

from collections.abc import AsyncIterator

from coordinator.clients import TRANSCRIPT_BYTES_MAX, TRANSCRIPT_MAX, ClientStream
from mesh.core.held import HELD_BYTES_MAX, PIECE_BYTES
from mesh.core.types import Policy, Request, RequestKey, Tier
from mesh.v1 import inference_pb2 as inference
from mesh.wire.answers import DELTA_CALLS_BYTES_MAX


def _stream(overflows: list[str] | None = None) -> ClientStream:
    told = [] if overflows is None else overflows
    asked = Request(
        key=RequestKey("p", "r"),
        model="auto",
        tier=Tier.MESH,
        policy=Policy.BALANCED,
        prompt_bytes=1,
        max_tokens=1,
        deadline_s=1.0,
    )
    return ClientStream(asked, inference.GenerateRequest(), lambda: told.append("overflow"))


def _delta(text: str) -> inference.GenerateEvent:
    return inference.GenerateEvent(delta=inference.GenerationDelta(text=text))


async def test_what_was_sent_is_read_in_order_and_then_it_ends() -> None:
    stream = _stream()
    stream.send(_delta("a"))
    stream.send(_delta("b"))
    stream.finish(inference.GenerateEvent(finished=inference.GenerationFinished()))
    kinds = [event.WhichOneof("event") async for event in _events(stream)]
    assert kinds == ["delta", "delta", "finished"]


async def test_a_client_that_does_not_read_is_too_slow_after_many_messages() -> None:
    overflows: list[str] = []
    stream = _stream(overflows)
    for _ in range(TRANSCRIPT_MAX):
        stream.send(_delta("a"))
    assert not stream.too_slow
    stream.send(_delta("a"))
    stream.send(_delta("a"))
    assert stream.too_slow
    assert overflows == ["overflow"]
    assert await stream.next() is None


async def test_it_is_too_slow_after_few_large_ones() -> None:
    stream = _stream()
    for _ in range(5):
        stream.send(_delta("x" * (TRANSCRIPT_BYTES_MAX // 4)))
    assert stream.too_slow


async def test_a_client_that_reads_may_get_any_amount() -> None:
    stream = _stream()
    for _ in range(20):
        stream.send(_delta("x" * (TRANSCRIPT_BYTES_MAX // 4)))
        assert await stream.next() is not None
    assert not stream.too_slow


async def _events(stream: ClientStream) -> AsyncIterator[inference.GenerateEvent]:
    while (event := await stream.next()) is not None:
        yield event


def test_what_is_held_fits_into_what_a_client_may_lag_behind_by() -> None:
    assert HELD_BYTES_MAX // PIECE_BYTES < TRANSCRIPT_MAX
    assert HELD_BYTES_MAX + DELTA_CALLS_BYTES_MAX < TRANSCRIPT_BYTES_MAX
