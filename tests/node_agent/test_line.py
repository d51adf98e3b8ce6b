"""Those who wait for a slot of this machine: woken when it may help, and not by each other."""

import asyncio
from contextlib import suppress

from mesh.core.types import ModelId
from mesh.errors import DeadlineExceeded
from mesh.settings import NodeSettings
from node_agent.line import Line
from node_agent.reports import Change
from node_agent.shelf import Shelf
from node_agent.slot import Slot
from tests.node_agent.conftest import PLENTY_BYTES
from tests.node_agent.played_engines import Engines, entry, library


class Counting:
    """A watcher."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def replica_changed(self, ordinal: int, change: Change) -> None:
        self.changes.append(change)

    def inventory_changed(self) -> None:
        """Not counted."""


async def test_two_who_wait_do_not_wake_each_other_for_ever() -> None:
    engines = Engines()
    shelf = Shelf(engines.load, NodeSettings(slots=1), free_memory=lambda: PLENTY_BYTES)
    small, vast = entry("small"), entry("vast", size_bytes=2 * PLENTY_BYTES)
    shelf.show(library(small, vast))
    ids: list[ModelId] = [small.model.model_id, vast.model.model_id]
    line, clock = Line(shelf), asyncio.get_running_loop().time
    async with shelf.running():
        taken = []
        while not shelf.busy(ids[0]):
            slot = shelf.take(ids[0])
            assert isinstance(slot, Slot)
            taken.append(slot)
        await taken[0].engine()
        counting = Counting()
        shelf.watchers.add(counting)

        async def wait() -> None:
            with suppress(DeadlineExceeded):
                (await line.slot(ids, clock() + 0.3)).free()

        await asyncio.gather(*(wait() for _ in range(3)))
        assert len(counting.changes) <= 3  # a refusal each
        waiting = asyncio.create_task(line.slot(ids, clock() + 10))
        await asyncio.sleep(0.05)
        taken.pop().free()
        taken.append(await waiting)
        for slot in taken:
            slot.free()
