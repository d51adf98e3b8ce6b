"""An engine that is killed in an answer loses that answer; whoever waits for it is answered."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from mesh.core.generation import Delta, Finished, Generation
from mesh.core.types import ReplicaState
from mesh.errors import NodeLost
from mesh.settings import NodeSettings
from node_agent.answering import generating, warm_engine
from node_agent.engine.supervisor import EngineProcess
from node_agent.library.view import LibraryEntry
from node_agent.line import Line
from node_agent.shelf import Shelf
from tests.node_agent.engine.asking import ask
from tests.node_agent.played_engines import entry, library

MODEL = entry("endless")


class Desk:
    """A shelf with one model and real engines."""

    def __init__(self, model: Path) -> None:
        self.made: list[EngineProcess] = []
        self._model = model
        self.shelf = Shelf(self._load, NodeSettings(slots=1))
        self.shelf.show(library(MODEL))
        self.line = Line(self.shelf)

    async def _load(
        self,
        _entry: LibraryEntry,
        slots: int,
        _context_tokens: int,
        told: Callable[[float], None],
    ) -> EngineProcess:
        engine = await EngineProcess.start(
            self._model, context_tokens=4096, slots=slots, threads=1, told=told
        )
        self.made.append(engine)
        return engine

    async def answer(self, work: Generation, began: asyncio.Event | None = None) -> list[object]:
        """Wait in line, and return the events of the whole answer."""
        slot = await self.line.slot([MODEL.model.model_id], asyncio.get_running_loop().time() + 60)
        try:
            engine = await warm_engine(slot, None)
            events: list[object] = []
            async with aclosing(generating(engine, work, slot, None)) as answer:
                async for event in answer:
                    events.append(event)
                    if began is not None and isinstance(event, Delta):
                        began.set()
            return events
        finally:
            slot.free()


@pytest.fixture
async def desk(endless_model: Path) -> AsyncIterator[Desk]:
    desk = Desk(endless_model)
    async with desk.shelf.running():
        yield desk


async def test_those_who_wait_for_a_killed_engine_are_answered_by_the_next_one(desk: Desk) -> None:
    began = asyncio.Event()
    running = asyncio.create_task(desk.answer(ask("tell me more", max_tokens=4000), began))
    await began.wait()
    waiting = [asyncio.create_task(desk.answer(ask(f"and {n}", max_tokens=3))) for n in range(5)]
    await asyncio.sleep(0)  # all of them are in the line
    assert not any(task.done() for task in waiting)
    os.kill(desk.made[0].pid, signal.SIGKILL)
    with pytest.raises(NodeLost, match="SIGKILL"):
        await running
    for events in await asyncio.gather(*waiting):
        assert isinstance(events[-1], Finished)
        assert events[-1].usage.completion_tokens == 3
    assert len(desk.made) == 2, "one load serves them all"
    [(_, status)] = desk.shelf.statuses()
    assert (status.state, status.slots_taken) == (ReplicaState.WARM, 0)


async def test_one_who_waits_is_answered_however_often_the_engine_is_killed_before(
    desk: Desk,
) -> None:
    for kills in range(1, 4):
        began = asyncio.Event()
        running = asyncio.create_task(desk.answer(ask("tell me more", max_tokens=4000), began))
        await began.wait()
        waiting = asyncio.create_task(desk.answer(ask("and then?", max_tokens=2)))
        await asyncio.sleep(0)
        os.kill(desk.made[-1].pid, signal.SIGKILL)
        with pytest.raises(NodeLost):
            await running
        assert isinstance((await waiting)[-1], Finished)
        assert len(desk.made) == kills + 1
