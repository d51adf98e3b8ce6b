"""Which models are warm, who may use them, and when they leave."""

import asyncio
from functools import partial

import pytest

from mesh.core.footprint import Shape
from mesh.core.types import Capability, Refusal, ReplicaState
from mesh.errors import NodeLost, Overloaded
from mesh.settings import NodeSettings
from node_agent import replica
from node_agent.engine.capabilities import CAPABILITIES
from node_agent.engine.echo import EchoEngine
from node_agent.engine.protocol import LoadFailed
from node_agent.memory import MARGIN_BYTES, Footprint
from node_agent.shelf import Shelf
from node_agent.slot import Slot
from tests.node_agent.played_engines import Engines, MortalEngine, entry, library
from tests.node_agent.watched_shelf import GB, Changes, status, take, warm


async def test_taking_a_slot_of_a_cold_model_loads_it(shelf: Shelf, engines: Engines) -> None:
    slot = take(shelf)
    assert isinstance(slot, Slot)
    assert (status(shelf).state, status(shelf).slots_taken) == (ReplicaState.LOADING, 1)
    assert await slot.engine() is engines.made[0]
    assert status(shelf).state is ReplicaState.WARM
    slot.free()
    slot.free()
    assert status(shelf).slots_taken == 0


async def test_those_who_wait_share_one_load(
    shelf: Shelf, engines: Engines, changes: Changes
) -> None:
    engines.new = lambda: EchoEngine(slots=3)
    await warm(shelf)
    shelf.unload(entry().model.model_id)
    await changes.until(lambda: status(shelf).state is ReplicaState.AVAILABLE)
    slots = [take(shelf) for _ in range(3)]  # it is known by now that there are three
    assert all(isinstance(slot, Slot) for slot in slots)
    assert take(shelf) is Refusal.BUSY
    got = await asyncio.gather(*(slot.engine() for slot in slots if isinstance(slot, Slot)))
    assert got == [engines.made[1]] * 3
    assert engines.loads == 2
    for slot in slots:
        assert isinstance(slot, Slot)
        slot.free()


async def test_a_model_that_was_never_loaded_offers_what_its_engine_will_do(shelf: Shelf) -> None:
    [(_, cold)] = shelf.offers()
    assert cold.capabilities == CAPABILITIES
    await warm(shelf)
    [(_, loaded)] = shelf.offers()
    assert loaded.capabilities == {Capability.LOGPROBS, Capability.RESUME}  # the echo's own


async def test_a_model_that_embeds_is_offered_for_nothing_else(engines: Engines) -> None:
    shelf = Shelf(engines.load, NodeSettings(), free_memory=lambda: GB)
    shelf.show(library(entry(embeds=True), entry("writer")))
    [(_, embedder), (_, writer)] = shelf.offers()
    assert embedder.embeds
    assert embedder.capabilities == {Capability.EMBED}
    assert not writer.embeds


async def test_the_slots_of_a_model_that_embeds_share_one_context(engines: Engines) -> None:
    embedder = entry(embeds=True, cache_bytes_per_token=1_000_000)
    room = Footprint(embedder.shape, embeds=True).taken_bytes(1, 2048) + MARGIN_BYTES
    shelf = Shelf(engines.load, NodeSettings(slots=3), free_memory=lambda: room)
    shelf.show(library(embedder))
    async with shelf.running():
        slot = take(shelf)
        assert isinstance(slot, Slot)
        await slot.engine()
        assert engines.slots == [3]
        slot.free()


async def test_a_warm_engine_changes_the_offer_to_what_it_serves(
    shelf: Shelf, engines: Engines, changes: Changes
) -> None:
    engines.new = lambda: EchoEngine(slots=4, context_tokens=512)
    assert shelf.offers()[0][1].context_tokens == 2048
    await warm(shelf)
    assert shelf.offers()[0][1].context_tokens == 512
    assert changes.inventories == 1
    assert status(shelf).slots == 4


async def test_a_model_unused_for_long_leaves_memory(engines: Engines) -> None:
    shelf = Shelf(engines.load, NodeSettings(idle_unload_s=0.05), free_memory=lambda: GB)
    changes = Changes()
    shelf.watchers.add(changes)
    shelf.show(library(entry()))
    async with shelf.running():
        slot = take(shelf)
        assert isinstance(slot, Slot)
        await slot.engine()
        await asyncio.sleep(0.15)
        assert status(shelf).state is ReplicaState.WARM, "it was in use"
        slot.free()
        await changes.until(lambda: status(shelf).state is ReplicaState.AVAILABLE)
        [engine] = engines.made
        await engine.wait_dead()
        await warm(shelf)
        assert engines.loads == 2


async def test_the_model_idle_for_longest_makes_room(engines: Engines) -> None:
    free = 4 * GB

    def free_memory() -> int:
        held = sum(not engine._closed.is_set() for engine in engines.made)  # type: ignore[attr-defined]
        return free - int(held * 1.2 * GB)

    shelf = Shelf(
        engines.load, NodeSettings(), free_memory=free_memory, total_memory=lambda: 100 * GB
    )
    shelf.show(library(*(entry(name, size_bytes=GB) for name in "abcd")))
    async with shelf.running():
        for name in "abc":
            await warm(shelf, name)
        await warm(shelf, "a")  # now b was idle for longest
        await warm(shelf, "d")
        states = {name: status(shelf, name).state for name in "abcd"}
    assert states == {
        "a": ReplicaState.WARM,
        "b": ReplicaState.AVAILABLE,
        "c": ReplicaState.WARM,
        "d": ReplicaState.WARM,
    }


async def test_a_load_tells_how_far_it_has_come(shelf: Shelf, engines: Engines) -> None:
    engines.gate.clear()
    slot = take(shelf)
    assert isinstance(slot, Slot)
    await engines.began.wait()
    assert (status(shelf).state, status(shelf).load_progress) == (ReplicaState.LOADING, 0.0)
    engines.told(0.4)
    assert status(shelf).load_progress == 0.4
    engines.gate.set()
    await slot.engine()
    assert (status(shelf).state, status(shelf).load_progress) == (ReplicaState.WARM, 0.0)
    slot.free()


async def test_all_models_together_stay_within_the_budget(engines: Engines) -> None:
    settings = NodeSettings(memory_share_max=0.5)  # of 6 GB: two models of 1.2 GB
    shelf = Shelf(engines.load, settings, free_memory=lambda: 100 * GB, total_memory=lambda: 6 * GB)
    shelf.show(
        library(*(entry(name, size_bytes=GB) for name in "abc"), entry("d", size_bytes=3 * GB))
    )
    async with shelf.running():
        for name in "abc":
            await warm(shelf, name)
        states = [status(shelf, name).state for name in "abc"]
        assert states == [ReplicaState.AVAILABLE, ReplicaState.WARM, ReplicaState.WARM]
        assert take(shelf, "d") is Refusal.NO_MEMORY
        assert [status(shelf, name).state for name in "abc"] == states


async def test_a_model_that_cannot_fit_is_refused(engines: Engines) -> None:
    shelf = Shelf(
        engines.load,
        NodeSettings(),
        free_memory=lambda: Footprint(Shape(GB)).taken_bytes(1, 2048) + MARGIN_BYTES - 1,
    )
    shelf.show(library(entry(size_bytes=GB)))
    async with shelf.running():
        assert take(shelf) is Refusal.NO_MEMORY
        assert (status(shelf).state, status(shelf).slots_taken) == (ReplicaState.FAILED, 0)
        assert "it needs 1.1 GB of memory" in status(shelf).reason
        assert "close a program" in status(shelf).reason
    assert engines.loads == 0


async def test_memory_that_was_promised_and_is_gone_fails_the_load_only(engines: Engines) -> None:
    enough = Footprint(Shape(GB)).taken_bytes(1, 2048) + MARGIN_BYTES
    answers = iter([enough, enough, 0])  # when it is shown, asked for and loaded
    shelf = Shelf(engines.load, NodeSettings(), free_memory=lambda: next(answers))
    shelf.show(library(entry(size_bytes=GB)))
    async with shelf.running():
        slot = take(shelf)
        assert isinstance(slot, Slot)
        with pytest.raises(Overloaded, match="memory"):
            await slot.engine()
        slot.free()
        assert status(shelf).state is ReplicaState.AVAILABLE


async def test_a_model_gets_as_many_slots_as_fit(engines: Engines) -> None:
    large = entry(size_bytes=GB, cache_bytes_per_token=100_000)
    footprint = Footprint(large.shape)

    def taken(slots: int) -> int:
        return footprint.taken_bytes(slots, 1024)

    for fitting, slots in ((taken(1), 1), (taken(3) + 1, 3), (taken(9), 4)):
        settings = NodeSettings(context_tokens_max=1024)
        shelf = Shelf(engines.load, settings, free_memory=partial(int, fitting + MARGIN_BYTES))
        shelf.show(library(large))
        async with shelf.running():
            await warm(shelf)
        assert engines.slots.pop() == slots


async def test_a_load_that_fails_is_tried_again_after_a_while_and_then_no_more(
    shelf: Shelf, engines: Engines, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_agent.loader.RETRY_AFTER_S", (0.02, 0.04))
    engines.fails = [LoadFailed("no such luck") for _ in range(9)]
    for strike in range(1, replica.STRIKES_MAX + 1):
        await changes.until(lambda: status(shelf).state is ReplicaState.AVAILABLE)
        slot = take(shelf)
        assert isinstance(slot, Slot)
        with pytest.raises(NodeLost, match="no such luck"):
            await slot.engine()
        slot.free()
        assert status(shelf).state is ReplicaState.FAILED
        assert "no such luck" in status(shelf).reason
        with pytest.raises(NodeLost, match="no such luck"):
            take(shelf)
        assert engines.loads == strike
    await asyncio.sleep(0.1)  # longer than any of the waits
    assert status(shelf).state is ReplicaState.FAILED


async def test_a_failed_model_gets_another_try_when_its_file_changes(
    shelf: Shelf, engines: Engines
) -> None:
    engines.fails = [LoadFailed("no such luck")]
    slot = take(shelf)
    assert isinstance(slot, Slot)
    with pytest.raises(NodeLost):
        await slot.engine()
    slot.free()
    shelf.show(library(entry()))
    assert status(shelf).state is ReplicaState.FAILED
    shelf.show(library(entry(mtime_ns=2)))
    await warm(shelf)


async def test_an_engine_that_dies_idle_is_available_again_and_told_of(
    shelf: Shelf, engines: Engines, changes: Changes
) -> None:
    engines.new = MortalEngine
    await warm(shelf)
    [engine] = engines.made
    assert isinstance(engine, MortalEngine)
    engine.die()
    await changes.until(lambda: status(shelf).state is ReplicaState.AVAILABLE)
    await warm(shelf)


async def test_an_engine_that_dies_before_every_answer_is_given_up(
    shelf: Shelf, engines: Engines
) -> None:
    for _ in range(replica.STRIKES_MAX):
        slot = take(shelf)
        assert isinstance(slot, Slot)
        await slot.engine()
        slot.lost("it crashed")
        slot.free()
    assert status(shelf).state is ReplicaState.FAILED
    assert "it crashed" in status(shelf).reason


async def test_an_engine_that_dies_after_it_answered_is_loaded_again_however_often(
    shelf: Shelf, engines: Engines
) -> None:
    for _ in range(3 * replica.STRIKES_MAX):
        slot = take(shelf)
        assert isinstance(slot, Slot)
        await slot.engine()
        slot.answered()
        slot.lost("it was killed")
        slot.free()
    assert status(shelf).state is ReplicaState.AVAILABLE


async def test_a_model_whose_file_is_gone_is_no_longer_offered_and_leaves_memory(
    shelf: Shelf, engines: Engines, changes: Changes
) -> None:
    slot = take(shelf)
    assert isinstance(slot, Slot)
    engine = await slot.engine()
    told = changes.inventories
    shelf.show(library())
    assert shelf.offers() == []
    assert changes.inventories == told + 1
    with pytest.raises(NodeLost):
        take(shelf)
    slot.free()  # whoever had it could end in peace
    async with asyncio.timeout(5):
        await engine.wait_dead()


async def test_without_an_engine_every_model_says_what_is_missing(engines: Engines) -> None:
    shelf = Shelf(engines.load, NodeSettings(), cannot_load="pip install 'deskmesh[node]'")
    shelf.show(library(entry()))
    async with shelf.running():
        assert status(shelf).state is ReplicaState.FAILED
        assert status(shelf).reason == "pip install 'deskmesh[node]'"
        shelf.preload(entry().model.model_id)
        shelf.show(library(entry(mtime_ns=2)))
        with pytest.raises(NodeLost, match="pip install"):
            take(shelf)
    assert engines.loads == 0


async def test_stopping_breaks_off_a_load_and_closes_every_engine(engines: Engines) -> None:
    shelf = Shelf(engines.load, NodeSettings(), free_memory=lambda: 100 * GB)
    shelf.show(library(entry("a"), entry("b")))
    async with shelf.running():
        await warm(shelf, "a")
        engines.gate.clear()
        engines.began.clear()
        take(shelf, "b")
        await engines.began.wait()
    assert engines.loading == 0
    [engine] = engines.made
    assert await engine.wait_dead() == "it was closed"
