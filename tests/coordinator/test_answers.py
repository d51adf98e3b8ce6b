"""Requests through a real coordinator, over mTLS, to nodes that do what the test says."""

import asyncio
import contextlib

import grpc
import pytest

from coordinator.coordinator import Coordinator
from mesh.client import Answer, MeshClient, connect
from mesh.core.generation import Alternative, TokenLogprob
from mesh.errors import (
    AnswerLost,
    ContextOverflow,
    DeadlineExceeded,
    InvalidRequest,
    MeshError,
    ModelNotFound,
    NoCapableNode,
    RequestExists,
)
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.conftest import NewNode
from tests.coordinator.scripted_node import ScriptedNode, model

QWEN = model("qwen")


async def test_an_answer_reaches_the_client_with_its_receipt(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(client.ask("hi", model="qwen", explain=True))
        start = await node.told_to_start()
        assert start.model_id == QWEN.model_id
        assert start.request.messages[0].parts[0].text == "hi"
        await node.deliver().answer(start.attempt_id, "hel", "lo")
        answer = await asking
    assert answer.text == "hello"
    assert answer.finish_reason == "stop"
    assert answer.usage.completion_tokens == 2
    [attempt] = answer.receipt.attempts
    assert (attempt.node_name, attempt.outcome) == (node.name, "answered")
    assert 0 < answer.receipt.first_token_s <= answer.receipt.total_s
    assert "only machine" in answer.receipt.why


async def test_log_probabilities_reach_the_client_with_the_text_that_shows_them(
    client: MeshClient, new_node: NewNode
) -> None:
    def told(text: bytes) -> inference.TokenLogprobs:
        likely = inference.TokenLogprobs.Alternative(id=8, logprob=-0.1, text=b"b")
        return inference.TokenLogprobs(id=7, logprob=-2.5, text=text, alternatives=[likely])

    async with new_node(QWEN) as node, client.generate("hi", logprobs=1) as answer:
        pieces = aiter(answer)
        asking = asyncio.ensure_future(anext(pieces))
        start = await node.told_to_start()
        assert start.request.logprobs == 1
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        await delivery.delta(ids=[7, 7], text="a", logprobs=[told(b"a"), told(b"\xc3")])
        assert await asking == "a"
        assert [each.text for each in answer.logprobs] == [b"a"]
        await delivery.delta(token_offset=2, ids=[7], text="ë", logprobs=[told(b"\xab")])
        assert await anext(pieces) == "ë"
        await delivery.delta(token_offset=3, ids=[7], logprobs=[told(b"STOP")])
        await delivery.finish(4)
        assert [piece async for piece in pieces] == []
    assert [each.text for each in answer.logprobs] == [b"a", b"\xc3", b"\xab"]
    assert answer.logprobs[0] == TokenLogprob(7, -2.5, b"a", (Alternative(8, -0.1, b"b"),))


async def test_a_program_of_the_same_machine_needs_no_certificate(
    coordinator: Coordinator, new_node: NewNode
) -> None:
    address = f"127.0.0.1:{coordinator.ports.local}"
    async with new_node(QWEN) as node, connect(address) as local:
        asking = asyncio.create_task(local.ask("hi"))
        start = await node.told_to_start()
        await node.deliver().answer(start.attempt_id, "yes")
        assert (await asking).text == "yes"


async def test_a_large_prompt_comes_down_the_answer_stream(
    client: MeshClient, new_node: NewNode
) -> None:
    prompt = "word " * 2_000 + "x" * 100_000
    big = model("big")
    async with new_node(big) as node:
        node_context = 200_000
        await _offer_context(node, node_context)
        asking = asyncio.create_task(client.ask(prompt))
        start = await node.told_to_start()
        assert start.body_follows
        assert not start.request.messages
        delivery = await node.deliver().open(start.attempt_id)
        body = await delivery.body()
        assert body.messages[0].parts[0].text == prompt
        await delivery.start()
        await delivery.finish(0)
        await asking


async def _offer_context(node: ScriptedNode, tokens: int) -> None:
    offers = node.hello().offers
    for offer in offers:
        offer.context_tokens = tokens
    inventory = fleet.InventoryChanged(offers=offers)
    await node.attach.write(fleet.NodeMessage(inventory=inventory))
    await node.report()


async def test_the_other_node_answers_when_the_first_dies_before_a_token(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as first, new_node(QWEN) as second:
        asking = asyncio.create_task(client.ask("hi"))
        dying, other, start = await _whoever_starts(first, second)
        delivery = await dying.deliver().open(start.attempt_id)
        await delivery.start()
        await dying.__aexit__(None, None, None)
        start = await other.told_to_start()
        await other.deliver().answer(start.attempt_id, "still here")
        answer = await asking
    assert answer.text == "still here"
    assert [attempt.outcome for attempt in answer.receipt.attempts] == ["node_lost", "answered"]


async def _whoever_starts(
    first: ScriptedNode, second: ScriptedNode
) -> tuple[ScriptedNode, ScriptedNode, fleet.StartAttempt]:
    waiting = {
        asyncio.create_task(first.told_to_start()): (first, second),
        asyncio.create_task(second.told_to_start()): (second, first),
    }
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    # A cancelled read ends a grpc.aio call: the other node attaches anew.
    [started] = done
    chosen, other = waiting[started]
    await other.__aenter__()
    return chosen, other, started.result()


async def test_a_node_lost_mid_answer_is_told_and_never_spliced(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        seen: asyncio.Queue[str] = asyncio.Queue()
        asking = asyncio.create_task(_collect(client, seen))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        await delivery.tokens(0, "half ")
        assert await seen.get() == "half "
        await node.__aexit__(None, None, None)
        with pytest.raises(AnswerLost, match=node.name):
            await asking
    assert seen.empty()


async def _collect(client: MeshClient, seen: asyncio.Queue[str]) -> None:
    async with client.generate("hi") as stream:
        async for text in stream:
            seen.put_nowait(text)


async def test_a_client_that_leaves_ends_the_answer_stream(
    client: MeshClient, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        seen: asyncio.Queue[str] = asyncio.Queue()
        asking = asyncio.create_task(_collect(client, seen))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        await delivery.tokens(0, "so ")
        assert await seen.get() == "so "
        asking.cancel()
        assert await delivery.ended() is grpc.StatusCode.OK
        assert coordinator.loop.fleet.requests.running == 0


async def test_a_client_that_leaves_before_delivery_sends_a_cancel(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(client.ask("hi"))
        start = await node.told_to_start()
        asking.cancel()
        cancel = (await node.command()).cancel
        assert cancel.attempt_id == start.attempt_id
        assert await (await node.deliver().open(start.attempt_id)).ended() is (
            grpc.StatusCode.ABORTED
        )


async def test_a_second_request_waits_for_the_slot(client: MeshClient, new_node: NewNode) -> None:
    async with new_node(QWEN) as node:
        first = asyncio.create_task(client.ask("one"))
        start = await node.told_to_start()
        second = asyncio.create_task(client.ask("two"))
        await node.deliver().answer(start.attempt_id, "1")
        start = await node.told_to_start()
        await node.deliver().answer(start.attempt_id, "2")
        answers: list[Answer] = [await first, await second]
    assert [answer.text for answer in answers] == ["1", "2"]


async def test_a_refused_attempt_goes_elsewhere(client: MeshClient, new_node: NewNode) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(client.ask("hi"))
        start = await node.told_to_start()
        await node.refuse(start, fleet.REFUSAL_REASON_BUSY)
        await node.report(slots_taken=0)
        start = await node.told_to_start()
        await node.deliver().answer(start.attempt_id, "now")
        answer = await asking
    assert [attempt.outcome for attempt in answer.receipt.attempts] == ["busy", "answered"]


async def test_what_the_prompt_is_to_blame_for_is_not_tried_elsewhere(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(client.ask("hi"))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.fail("context_overflow", "the prompt has 3,000 tokens; 2,048 fit")
        with pytest.raises(ContextOverflow, match="3,000 tokens"):
            await asking


async def test_an_unknown_model_is_told_with_the_nearest_name(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN):
        with pytest.raises(ModelNotFound, match="did you mean qwen"):
            await client.ask("hi", model="qwem")


async def test_without_nodes_the_error_says_what_to_start(client: MeshClient) -> None:
    with pytest.raises(NoCapableNode, match="deskmesh node"):
        await client.ask("hi")


async def test_the_deadline_ends_a_request(client: MeshClient, new_node: NewNode) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(client.ask("hi", timeout_s=0.2))
        start = await node.told_to_start()
        assert 0 < start.deadline_ms <= 200
        with pytest.raises(DeadlineExceeded, match="ran out"):
            await asking


async def test_a_request_id_in_use_is_refused_and_the_first_lives(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN, slots=2) as node:
        first = asyncio.create_task(client.ask("hi", request_id="same"))
        start = await node.told_to_start()
        with pytest.raises(RequestExists):
            await client.ask("hi", request_id="same")
        await node.deliver().answer(start.attempt_id, "fine")
        assert (await first).text == "fine"


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"prompt": ""}, "prompt is empty"),
        ({"prompt": []}, "messages is empty"),
        ({"temperature": -0.5}, r"temperature is -0.5; it must be in \[0, 10\]"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0.0}, "top_p is 0"),
        ({"max_tokens": -1}, "max_tokens -1 is out of range"),
        ({"seed": -1}, "seed -1 is out of range"),
        ({"policy": "cheapest"}, "policy 'cheapest' is unknown"),
        ({"tier": "moon"}, "tier 'moon' is unknown"),
        ({"stop": [""]}, "1 to 256 bytes"),
        ({"stop": ["x"] * 17}, "17 strings"),
        ({"request_id": "a b"}, "request_id"),
        ({"prompt": [{"role": "robot", "content": "hi"}]}, "role 'robot' is unknown"),
    ],
)
async def test_bad_input_is_refused_with_its_name(
    client: MeshClient, parameters: dict[str, object], says: str
) -> None:
    given = {"prompt": "hi", **parameters}
    with pytest.raises(InvalidRequest, match=says):
        await client.ask(**given)  # type: ignore[arg-type]  # that is the point


async def test_a_node_cannot_deliver_for_another(client: MeshClient, new_node: NewNode) -> None:
    async with new_node(QWEN) as honest, new_node() as thief:
        asking = asyncio.create_task(client.ask("hi"))
        start = await honest.told_to_start()
        stolen = await thief.deliver().open(start.attempt_id)
        assert await stolen.ended() is grpc.StatusCode.ABORTED
        thief.epoch = honest.epoch
        stolen = await thief.deliver().open(start.attempt_id)
        assert await stolen.ended() is grpc.StatusCode.ABORTED
        await honest.deliver().answer(start.attempt_id, "mine")
        assert (await asking).text == "mine"


async def test_repeated_tokens_cost_the_node_its_attempt(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(client.ask("hi"))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        await delivery.tokens(0, "a")
        await delivery.tokens(0, "a")
        with pytest.raises(MeshError, match="jumped"):
            await asking


async def test_a_client_that_stops_reading_frees_the_machine(
    channel: grpc.aio.Channel, coordinator: Coordinator, new_node: NewNode
) -> None:
    """Its transcript fills up, and nobody else pays for it."""
    async with new_node(QWEN) as node:
        client = MeshClient(channel)
        async with client.generate("hi") as answer:
            pieces = aiter(answer)
            reading = asyncio.ensure_future(anext(pieces))
            start = await node.told_to_start()
            delivery = await node.deliver().open(start.attempt_id)
            await delivery.start()
            await delivery.tokens(0, "x")
            assert await reading == "x"
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                for offset in range(1, 400):  # 20 MB, of which gRPC buffers some
                    await delivery.tokens(offset, "x" * 50_000)
            await delivery.ended()  # OK, or a reset where we were writing
            assert coordinator.loop.fleet.requests.running == 0
            with pytest.raises(MeshError, match=r"far ahead"):
                _ = [text async for text in pieces]
