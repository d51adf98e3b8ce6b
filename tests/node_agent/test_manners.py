"""A machine lends what its owner leaves: what is seen is what is lent, told and refused."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from mesh.core.types import Refusal
from mesh.settings import Generosity, NodeSettings
from node_agent import manners
from node_agent.lending import BUSY_AFTER_S, IDLE_AFTER_S, Lending, Signs
from node_agent.manners import mind_owner
from node_agent.reports import Change
from node_agent.shelf import Shelf
from node_agent.slot import Slot
from tests.node_agent.conftest import Told
from tests.node_agent.played_engines import entry

MODEL_ID = entry().model.model_id


class Watched:
    """Plays an owner, and hears what the shelf tells."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.signs = Signs()
        self.reports: list[Lending] = []
        self._changed = asyncio.Event()
        self._looks = 0

    async def look(self, own_processes: list[int], now_s: float) -> Signs:
        self._looks += 1
        self._changed.set()
        return self.signs

    def replica_changed(self, ordinal: int, change: Change) -> None:
        if change is not Change.STATE:  # that one is reported at once
            return
        self.reports.append(self._shelf.lending)
        self._changed.set()

    def inventory_changed(self) -> None:
        """Nothing of this changes what there is."""

    async def told(self) -> Lending:
        """Wait for the next thing that the shelf tells."""
        await self._until(lambda: bool(self.reports))
        return self.reports.pop(0)

    async def looked(self, times: int) -> None:
        """Wait until the machine was looked at so often again."""
        enough = self._looks + times
        await self._until(lambda: self._looks >= enough)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def owner(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    """Its machine is looked at often, and believed soon."""
    monkeypatch.setattr(manners, "LOOK_EVERY_S", 0.001)
    monkeypatch.setattr("node_agent.lending.BUSY_AFTER_S", BUSY_AFTER_S / 100)
    monkeypatch.setattr("node_agent.lending.IDLE_AFTER_S", IDLE_AFTER_S / 100)
    owner = Watched(shelf)
    shelf.watchers.add(owner)
    settings = NodeSettings(generosity=Generosity.BALANCED)
    minding = asyncio.create_task(mind_owner(shelf, settings, owner))
    yield owner
    shelf.watchers.discard(owner)
    minding.cancel()
    await asyncio.wait([minding])
    assert minding.cancelled(), minding


async def test_an_owner_at_work_is_told_to_all_who_watch(
    shelf: Shelf, owner: Watched, told: Told
) -> None:
    owner.signs = Signs(cpu=1.0)
    assert (await owner.told()).busy
    assert shelf.take(MODEL_ID) is Refusal.OWNER_BUSY
    owner.signs = Signs()
    assert not (await owner.told()).busy
    slot = shelf.take(MODEL_ID)
    assert isinstance(slot, Slot)
    slot.free()
    assert told.of("lending nothing new: its owner's work needs its processors")
    assert told.of("lending again")


async def test_nothing_is_told_while_nothing_changes(owner: Watched) -> None:
    owner.signs = Signs(cpu=0.1)
    await owner.looked(5)
    assert not owner.reports
