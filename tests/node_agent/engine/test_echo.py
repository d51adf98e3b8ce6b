"""The echo engine keeps the promises of an engine, at the pace it was told."""

import asyncio
from contextlib import aclosing

import pytest

from mesh.core.generation import Delta, Started
from mesh.core.types import FinishReason
from mesh.errors import ContextOverflow, InvalidRequest, NodeLost, Overloaded
from node_agent.engine.echo import EchoEngine
from tests.node_agent.engine.asking import ask, hear


async def test_it_says_the_words_of_the_last_message() -> None:
    heard = await hear(EchoEngine(), ask("so  it\ngoes"))
    assert [delta.text for delta in heard.deltas] == ["so ", "it ", "goes "]
    assert heard.ids == heard.started.prompt_ids
    assert heard.finished.reason is FinishReason.STOP


async def test_it_stops_at_the_tokens_asked_for() -> None:
    heard = await hear(EchoEngine(), ask("one two three", max_tokens=2))
    assert heard.text == "one two "
    assert heard.finished.reason is FinishReason.LENGTH


async def test_it_is_certain_of_every_word() -> None:
    heard = await hear(EchoEngine(), ask("so it goes", logprobs=3))
    assert b"".join(told.text for told in heard.logprobs) == heard.text.encode()
    for told in heard.logprobs:
        assert told.logprob == 0.0
        assert [one.id for one in told.alternatives] == [told.id]


async def test_it_keeps_its_pace() -> None:
    engine = EchoEngine(first_token_s=0.1, tokens_per_s=100)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    heard = await hear(engine, ask(" ".join("w" * 11), max_tokens=11))
    assert loop.time() - began_s >= 0.2  # never early; how late depends on the machine
    assert heard.finished.prefill_s == 0.1
    assert heard.finished.decode_s >= 0.1


async def test_its_slots_are_taken_and_freed() -> None:
    engine = EchoEngine(slots=2)
    async with (
        aclosing(engine.generate(ask("a b"))) as one,
        aclosing(engine.generate(ask("a b"))) as two,
    ):
        assert isinstance(await anext(one), Started)
        assert isinstance(await anext(two), Started)
        assert engine.busy == 2
        with pytest.raises(Overloaded):
            await hear(engine, ask("a"))
    assert engine.busy == 0


async def test_it_refuses_what_every_engine_refuses() -> None:
    engine = EchoEngine(context_tokens=3)
    with pytest.raises(InvalidRequest):
        await hear(engine, ask("a", max_tokens=0))
    with pytest.raises(ContextOverflow):
        await hear(engine, ask("a b c"))
    assert engine.busy == 0


async def test_closing_it_ends_its_answers() -> None:
    engine = EchoEngine()
    async with aclosing(engine.generate(ask("a b c"))) as events:
        assert isinstance(await anext(events), Started)
        assert isinstance(await anext(events), Delta)
        await engine.close()
        with pytest.raises(NodeLost):
            await anext(events)
    assert await engine.wait_dead() == "it was closed"
    with pytest.raises(NodeLost):
        await hear(engine, ask("a"))
