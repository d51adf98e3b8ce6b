"""A machine dies mid-sentence: another one is told exactly what the client has, and goes on."""

import asyncio
from typing import Any

import pytest

from coordinator.coordinator import Coordinator
from mesh.client import AnswerStream, MeshClient
from mesh.errors import AnswerLost
from mesh.settings import Settings
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.scripted_node import WITHIN_S, ScriptedNode, model

QWEN = model("qwen")
LARGE = 40_000  # ids whose bytes are more than a command may have


@pytest.fixture
def settings() -> Settings:
    return patient_settings()


class Reader:
    """Reads an answer as it comes."""

    def __init__(self, answer: AnswerStream) -> None:
        self.answer = answer
        self.text = ""
        self._more = asyncio.Condition()
        self._task = asyncio.create_task(self._read())

    async def until(self, text: str) -> None:
        async with asyncio.timeout(WITHIN_S), self._more:
            await self._more.wait_for(lambda: self.text == text)

    async def whole(self) -> str:
        async with asyncio.timeout(WITHIN_S):
            await self._task
        return self.text

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _read(self) -> None:
        async for piece in self.answer:
            async with self._more:
                self.text += piece
                self._more.notify_all()


async def begun(node: ScriptedNode, *texts: str, prompt_tokens: int = 3) -> Any:
    """The node is told to start and gives these tokens."""
    delivery = await node.deliver().open((await node.told_to_start()).attempt_id)
    await delivery.start(prompt_tokens)
    await delivery.tokens(0, *texts)
    return delivery


async def gone(node: ScriptedNode) -> None:
    await node.__aexit__(None, None, None)


async def test_the_sentence_ends_on_another_machine(client: MeshClient, new_node: NewNode) -> None:
    async with new_node(QWEN) as first, client.generate("hi", seed=5) as answer:
        reader = Reader(answer)
        await begun(first, "mid", "-s\u00eb")
        await reader.until("mid-s\u00eb")
        async with new_node(QWEN) as second:
            await gone(first)
            start = await second.told_to_start()
            resume = start.request.resume
            assert list(resume.prompt_ids) == [0, 1, 2]
            assert list(resume.emitted_ids) == [7, 7]
            assert resume.text_bytes_sent == 7
            assert start.request.sampling.seed == 5
            delivery = await second.deliver().open(start.attempt_id)
            await delivery.start()
            await delivery.tokens(2, "nt", ".")
            await delivery.finish(4)
            assert await reader.whole() == "mid-s\u00ebnt."
    assert answer.usage.completion_tokens == 4
    receipt = answer.receipt
    assert [each.node_name for each in receipt.attempts] == [first.name, second.name]
    assert [each.outcome for each in receipt.attempts] == ["node_lost", "answered"]
    assert [each.usage.completion_tokens for each in receipt.attempts] == [2, 2]
    assert receipt.numerics_changed_at_token == 0


async def test_a_whole_answer_that_nobody_can_go_on_with_begins_anew(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as first:
        asking = asyncio.create_task(client.ask("hi"))
        await begun(first, "half", prompt_tokens=0)  # as an engine that tells no ids
        async with new_node(QWEN) as second:
            await gone(first)
            start = await second.told_to_start()
            assert not start.request.HasField("resume")
            await second.deliver().answer(start.attempt_id, "all", " of it")
            async with asyncio.timeout(WITHIN_S):
                answer = await asking
    assert answer.text == "all of it"
    assert [each.outcome for each in answer.receipt.attempts] == ["node_lost", "answered"]
    assert "the answer began anew, as nobody could go on with it" in answer.receipt.notes


async def test_whoever_reads_along_and_takes_it_is_told_what_is_void(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as first, client.generate("hi", accept_restart=True) as answer:
        reader = Reader(answer)
        await begun(first, "half", prompt_tokens=0)
        await reader.until("half")
        async with new_node(QWEN) as second:
            await gone(first)
            await second.deliver().answer((await second.told_to_start()).attempt_id, "all of it")
            assert await reader.whole() == "half" + "all of it"
    assert answer.restarts == 1


async def test_what_is_too_large_for_a_command_comes_down_the_answer_stream(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as first, client.generate("hi") as answer:
        reader = Reader(answer)
        await begun(first, "a", prompt_tokens=LARGE)
        await reader.until("a")
        async with new_node(QWEN) as second:
            await gone(first)
            start = await second.told_to_start()
            assert start.body_follows
            delivery = await second.deliver().open(start.attempt_id)
            body = await delivery.body()
            assert len(body.resume.prompt_ids) == LARGE
            assert list(body.resume.emitted_ids) == [7]
            await delivery.start(LARGE)
            await delivery.tokens(1, "b")
            await delivery.finish(2)
            assert await reader.whole() == "ab"


async def test_an_engine_without_ids_loses_its_answer(
    client: MeshClient, new_node: NewNode
) -> None:
    """What it said can't be said to another one exactly, so nothing is spliced."""
    async with new_node(QWEN) as first, client.generate("hi") as answer:
        reader = Reader(answer)
        start = await first.told_to_start()
        delivery = await first.deliver().open(start.attempt_id)
        await delivery.start(0)
        await delivery.delta(text="half")
        await reader.until("half")
        async with new_node(QWEN):
            delivery.drop()
            with pytest.raises(AnswerLost, match="mid-answer"):
                await reader.whole()


async def test_ids_are_forgotten_with_their_request(
    coordinator: Coordinator, client: MeshClient, new_node: NewNode
) -> None:
    given = coordinator._relay.given
    async with new_node(QWEN) as node, client.generate("hi") as answer:
        reader = Reader(answer)
        delivery = await begun(node, "a")
        await reader.until("a")
        assert len(given._held) == 1
        await delivery.finish(1)
        await reader.whole()
    assert (given._held, given._reserved, given._reserved_ids) == ({}, {}, 0)


async def test_a_client_that_leaves_leaves_no_ids(
    coordinator: Coordinator, client: MeshClient, new_node: NewNode
) -> None:
    given = coordinator._relay.given
    async with new_node(QWEN) as node:
        async with client.generate("hi") as answer:
            reader = Reader(answer)
            delivery = await begun(node, "a")
            await reader.until("a")
            await reader.stop()
        await delivery.ended()
    assert (given._held, given._reserved, given._reserved_ids) == ({}, {}, 0)
