"""A client whose coordinator restarts, or never comes back: what is sent again, and what is not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import grpc
import pytest

from mesh import sending
from mesh.client import MeshClient
from mesh.dial import plain_channel
from mesh.errors import AnswerLost, DeadlineExceeded, Forbidden, NodeLost, RequestExists
from mesh.rpc import SERVER_OPTIONS, abort
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import inference_pb2_grpc as inference_grpc

Context = grpc.aio.ServicerContext[Any, Any]

STARTED = inference.GenerateEvent(
    started=inference.GenerationStarted(model_name="qwen", node_name="desk", why="it is near")
)
BEGAN = inference.GenerateEvent(
    started=inference.GenerationStarted(
        prompt_ids=[4, 5], seed=7, model_id="weights", numerics="n", sampler_version="v"
    )
)
FINISHED = inference.GenerateEvent(
    finished=inference.GenerationFinished(reason=inference.FINISH_REASON_STOP)
)


def delta(text: str) -> inference.GenerateEvent:
    return inference.GenerateEvent(delta=inference.GenerationDelta(ids=[1], text=text))


class Played(inference_grpc.InferenceServicer):
    """A coordinator's half of the calls. It answers in the way that ``steps`` say, one a call."""

    def __init__(self, *steps: Callable[[Context], Any]) -> None:
        self.steps = list(steps)
        self.asked: list[inference.GenerateRequest] = []
        self.port = 0
        self.stuck = asyncio.Event()  # a call waits in the middle

    async def Generate(self, request: inference.GenerateRequest, context: Context) -> None:
        self.asked.append(request)
        step = self.steps.pop(0) if self.steps else whole
        await step(context)

    async def ListModels(
        self, request: inference.ListModelsRequest, context: Context
    ) -> inference.ListModelsResponse:
        return inference.ListModelsResponse(models=[inference.ModelView(names=["qwen"])])

    def stops_after(self, *events: inference.GenerateEvent) -> Callable[[Context], Any]:
        async def step(context: Context) -> None:
            for event in events:
                await context.write(event)
            self.stuck.set()
            await asyncio.Event().wait()

        return step

    async def start(self) -> None:
        """Listen, after the first time where it listened before."""
        self._server = grpc.aio.server(options=list(SERVER_OPTIONS))
        inference_grpc.add_InferenceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        """Break every call off."""
        await self._server.stop(None)


def says(*events: inference.GenerateEvent) -> Callable[[Context], Any]:
    async def step(context: Context) -> None:
        for event in events:
            await context.write(event)

    return step


async def whole(context: Context) -> None:
    for event in (STARTED, delta("hello"), FINISHED):
        await context.write(event)


async def refuses(context: Context) -> None:
    await abort(context, Forbidden("not you"))


async def in_use(context: Context) -> None:
    await abort(context, RequestExists("that id is in use"))


@pytest.fixture
async def coordinator() -> AsyncIterator[Played]:
    played = Played()
    await played.start()
    yield played
    await played.stop()


@pytest.fixture
async def mesh(coordinator: Played) -> AsyncIterator[MeshClient]:
    """A client that is connected."""
    async with plain_channel(f"127.0.0.1:{coordinator.port}") as channel:
        await channel.channel_ready()
        yield MeshClient(channel)


async def test_a_restart_between_two_calls_is_not_noticed(
    coordinator: Played, mesh: MeshClient
) -> None:
    assert (await mesh.ask("hi")).text == "hello"
    await coordinator.stop()
    await coordinator.start()
    assert (await mesh.ask("hi")).text == "hello"
    assert [model.names[0] for model in await mesh.models()] == ["qwen"]


async def test_a_call_waits_for_a_coordinator_that_is_away(
    coordinator: Played, mesh: MeshClient
) -> None:
    await coordinator.stop()
    asking = asyncio.gather(mesh.ask("hi"), mesh.models())
    await asyncio.wait([asking], timeout=0.3)  # it fails at once, or never
    assert not asking.done()
    await coordinator.start()
    answer, models = await asking
    assert (answer.text, len(models)) == ("hello", 1)


async def test_before_the_first_token_a_request_is_sent_again(
    coordinator: Played, mesh: MeshClient
) -> None:
    coordinator.steps = [coordinator.stops_after(STARTED), in_use]
    asking = asyncio.create_task(mesh.ask("hi", request_id="mine", timeout_s=30))
    await coordinator.stuck.wait()
    await coordinator.stop()
    await coordinator.start()
    assert (await asking).text == "hello"
    first, *others = coordinator.asked
    assert [each.request_id for each in others] == ["mine", "mine"]
    assert 29_000 < first.deadline_ms <= 30_000
    assert all(each.deadline_ms < first.deadline_ms for each in others)


async def test_after_the_first_token_the_answer_ends_with_an_error_and_its_receipt(
    coordinator: Played, mesh: MeshClient
) -> None:
    coordinator.steps = [coordinator.stops_after(STARTED, delta("hel"))]
    async with mesh.generate("hi", request_id="mine") as answer:
        pieces = aiter(answer)
        assert await anext(pieces) == "hel"
        await coordinator.stop()
        await coordinator.start()
        with pytest.raises(AnswerLost, match="lost mid-answer; ask again"):
            await anext(pieces)
    assert (answer.receipt.request_id, answer.receipt.why) == ("mine", "it is near")
    [attempt] = answer.receipt.attempts
    assert (attempt.node_name, attempt.outcome) == ("desk", "answer_lost")
    assert len(coordinator.asked) == 1


async def test_after_the_first_token_the_rest_is_asked_for(
    coordinator: Played, mesh: MeshClient
) -> None:
    """With all that came; that it goes on is no second beginning."""
    coordinator.steps = [
        coordinator.stops_after(BEGAN, delta("h\u00eb"), delta("l")),
        coordinator.stops_after(BEGAN, delta("l")),
        says(BEGAN, delta("o"), FINISHED),
    ]
    async with mesh.generate("hi", request_id="mine", seed=7) as answer:
        pieces = aiter(answer)
        got = await anext(pieces) + await anext(pieces)
        for _ in range(2):
            await coordinator.stuck.wait()
            coordinator.stuck.clear()
            await coordinator.stop()
            await coordinator.start()
            got += await anext(pieces)
        assert got + "".join([piece async for piece in pieces]) == "h\u00ebllo"
    resumes = [each.resume for each in coordinator.asked]
    assert [list(each.emitted_ids) for each in resumes] == [[], [1, 1], [1, 1, 1]]
    assert [each.text_bytes_sent for each in resumes] == [0, 4, 5]
    assert [list(each.prompt_ids) for each in resumes[1:]] == [[4, 5]] * 2
    last = resumes[-1]
    assert (last.seed, last.model_id, last.numerics) == (7, "weights", "n")
    assert {each.request_id for each in coordinator.asked} == {"mine"}


async def test_patience_ends_after_the_first_token_too(
    coordinator: Played, mesh: MeshClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the answer is lost, and nobody answers the request anew in its middle."""
    monkeypatch.setattr(sending, "PATIENCE_S", 0.5)
    coordinator.steps = [coordinator.stops_after(BEGAN, delta("hel"))]
    async with mesh.generate("hi") as answer:
        pieces = aiter(answer)
        assert await anext(pieces) == "hel"
        await coordinator.stop()
        with pytest.raises(AnswerLost, match="lost mid-answer"):
            await anext(pieces)


async def test_what_the_coordinator_refuses_is_not_sent_again(
    coordinator: Played, mesh: MeshClient
) -> None:
    coordinator.steps = [refuses]
    with pytest.raises(Forbidden, match="not you"):
        await mesh.ask("hi")
    coordinator.steps = [in_use]
    with pytest.raises(RequestExists):
        await mesh.ask("hi")
    assert len(coordinator.asked) == 2


async def test_patience_ends_and_is_not_shown_twice(
    coordinator: Played, mesh: MeshClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PATIENCE_S", 0.5)
    loop = asyncio.get_running_loop()
    await coordinator.stop()
    began_s = loop.time()
    with pytest.raises(NodeLost, match="cannot be reached; is it running, and is this the right"):
        await mesh.ask("hi")
    waited_s = loop.time() - began_s
    assert waited_s >= 0.5
    monkeypatch.setattr(sending, "PATIENCE_S", 3600.0)
    with pytest.raises(NodeLost):  # and not in an hour
        await mesh.ask("hi")
    await coordinator.start()
    async with asyncio.timeout(30):
        while True:  # its channel looks again every two seconds at most
            try:
                assert (await mesh.ask("hi")).text == "hello"
                break
            except NodeLost:
                await asyncio.sleep(0.1)


async def test_nobody_is_waited_for_where_nobody_ever_was() -> None:
    async with plain_channel("127.0.0.1:1") as channel:
        with pytest.raises(NodeLost, match="cannot be reached"):
            await MeshClient(channel).ask("hi")


async def test_a_coordinator_that_is_slow_to_shake_hands_is_reached(coordinator: Played) -> None:
    async def passes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            writer.write(part)
        writer.close()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1.0)  # as on a busy machine
        there, back = await asyncio.open_connection("127.0.0.1", coordinator.port)
        with suppress(ConnectionError):
            await asyncio.gather(passes(reader, back), passes(there, writer))

    async with await asyncio.start_server(late, "127.0.0.1", 0) as busy:
        port = busy.sockets[0].getsockname()[1]
        async with plain_channel(f"127.0.0.1:{port}") as channel:
            assert (await MeshClient(channel).ask("hi")).text == "hello"


async def test_the_callers_time_bounds_the_patience(
    coordinator: Played, mesh: MeshClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "PATIENCE_S", 3600.0)
    await coordinator.stop()
    async with asyncio.timeout(20):
        with pytest.raises((NodeLost, DeadlineExceeded)):
            await mesh.ask("hi", timeout_s=0.3)


async def test_what_is_sent_again_has_the_time_that_is_left(
    coordinator: Played, mesh: MeshClient
) -> None:
    coordinator.steps.append(coordinator.stops_after(STARTED))
    asking = asyncio.create_task(mesh.ask("hi", timeout_s=60))
    await coordinator.stuck.wait()
    await coordinator.stop()
    await asyncio.sleep(0.5)
    await coordinator.start()
    await asking
    first, second = (request.deadline_ms for request in coordinator.asked)
    assert second <= first - 500
