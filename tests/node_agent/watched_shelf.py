"""A shelf as those see it who watch it and take from it."""

import asyncio
from collections.abc import Callable

from mesh.core.types import Refusal, ReplicaStatus
from node_agent.reports import Change
from node_agent.shelf import Shelf
from node_agent.slot import Slot
from tests.node_agent.played_engines import entry

GB = 1 << 30


class Changes:
    """Hears what a shelf tells."""

    def __init__(self) -> None:
        self.inventories = 0
        self._changed = asyncio.Event()

    def replica_changed(self, ordinal: int, change: Change) -> None:
        self._changed.set()

    def inventory_changed(self) -> None:
        self.inventories += 1
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, and be told of the change that made it so."""
        async with asyncio.timeout(5):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


def status(shelf: Shelf, name: str = "echo") -> ReplicaStatus:
    [ordinal] = [o for o, offer in shelf.offers() if offer.model.name == name]
    return dict(shelf.statuses())[ordinal]


def take(shelf: Shelf, name: str = "echo") -> Slot | Refusal:
    return shelf.take(entry(name).model.model_id)


async def warm(shelf: Shelf, name: str = "echo") -> None:
    """Load a model and leave it idle."""
    slot = take(shelf, name)
    assert isinstance(slot, Slot), slot
    await slot.engine()
    slot.free()
