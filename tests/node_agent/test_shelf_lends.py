"""What a shelf lends to others while its owner wants the machine."""

from mesh.core.types import Refusal
from mesh.settings import NodeSettings
from node_agent.engine.echo import EchoEngine
from node_agent.lending import Lending
from node_agent.reports import Change
from node_agent.shelf import Shelf
from node_agent.slot import Slot
from tests.node_agent.played_engines import Engines, entry, library
from tests.node_agent.watched_shelf import GB, Changes, status, take, warm


async def test_an_owner_at_work_lends_nothing_new_and_keeps_nothing_from_themselves(
    shelf: Shelf, changes: Changes
) -> None:
    before = take(shelf)
    assert isinstance(before, Slot)
    shelf.lend(Lending(busy="its owner is at work"))
    await before.engine()  # what was begun goes on
    before.free()
    assert take(shelf) is Refusal.OWNER_BUSY
    own = shelf.take(entry().model.model_id, own=True)
    assert isinstance(own, Slot)
    own.free()
    shelf.lend(Lending())
    again = take(shelf)
    assert isinstance(again, Slot)
    again.free()


async def test_beside_its_coordinator_a_machine_lets_that_one_choose_whom_to_refuse() -> None:
    shelf = Shelf(
        Engines().load, NodeSettings(), beside_coordinator=True, free_memory=lambda: 100 * GB
    )
    shelf.show(library(entry()))
    async with shelf.running():
        shelf.lend(Lending(busy="its owner is at work"))
        slot = take(shelf)
        assert isinstance(slot, Slot)
        slot.free()


async def test_fewer_slots_are_lent_and_told_while_the_owner_wants_some(
    shelf: Shelf, engines: Engines
) -> None:
    engines.new = lambda: EchoEngine(slots=3)
    await warm(shelf)
    shelf.lend(Lending(share=0.5))
    slots = [take(shelf) for _ in range(2)]
    assert all(isinstance(slot, Slot) for slot in slots)
    assert (status(shelf).slots, status(shelf).slots_taken) == (2, 2)
    assert take(shelf) is Refusal.BUSY
    assert not shelf.busy(entry().model.model_id)
    own = shelf.take(entry().model.model_id, own=True)
    assert isinstance(own, Slot)
    assert shelf.busy(entry().model.model_id)
    for slot in (own, *slots):
        assert isinstance(slot, Slot)
        slot.free()


async def test_whoever_watches_is_told_when_more_or_less_is_lent(
    shelf: Shelf, changes: Changes
) -> None:
    told = []
    changes.replica_changed = lambda ordinal, change: told.append(change)  # type: ignore[method-assign]
    shelf.lend(Lending(share=0.5))
    assert told == [Change.STATE]
