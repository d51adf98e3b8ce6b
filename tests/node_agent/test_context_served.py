"""A model is served with the context that memory has room for, and is offered for no more."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from mesh.core.footprint import Foretold
from mesh.core.types import Refusal, ReplicaState
from mesh.settings import NodeSettings
from node_agent.engine.echo import EchoEngine
from node_agent.engine.protocol import Engine
from node_agent.foreseen import HOLD_S, LOOK_EVERY_S
from node_agent.library.view import LibraryEntry
from node_agent.memory import MARGIN_BYTES, Footprint, missing_of
from node_agent.replica import Loaded, Replica
from node_agent.room import MachineRoom, Memory
from node_agent.shelf import Shelf
from node_agent.slot import Slot
from tests.node_agent.played_engines import entry, library
from tests.node_agent.played_time import run
from tests.node_agent.watched_shelf import Changes, status

GB = 1 << 30
MODEL = entry("echo", size_bytes=GB, cache_bytes_per_token=100_000, context_tokens=32_768)


def needs(slots: int, context_tokens: int) -> int:
    """Return what must be free for it."""
    return Footprint(MODEL.shape).taken_bytes(slots, context_tokens) + MARGIN_BYTES


@dataclass
class Machine:
    """Has as much free memory as the test says, and counts what is loaded."""

    free_bytes: int
    loads: int = 0

    async def load(
        self, _entry: LibraryEntry, slots: int, context_tokens: int, _told: Callable[[float], None]
    ) -> Engine:
        self.loads += 1
        return EchoEngine(slots=slots, context_tokens=context_tokens)

    def shelf(self, *models: LibraryEntry) -> Shelf:
        shelf = Shelf(
            self.load,
            NodeSettings(slots=2, context_tokens_max=32_768, idle_unload_s=0, memory_share_max=1.0),
            free_memory=lambda: self.free_bytes,
            total_memory=lambda: 1 << 40,
        )
        shelf.show(library(*(models or (MODEL,))))
        return shelf


def offered(shelf: Shelf) -> int:
    [(_, offer)] = shelf.offers()
    return offer.context_tokens


async def use(shelf: Shelf) -> tuple[int, int]:
    """Load it, and return its slots and their tokens."""
    slot = shelf.take(MODEL.model.model_id)
    assert isinstance(slot, Slot)
    info = (await slot.engine()).info
    slot.free()
    return info.slots, info.context_tokens


def test_what_is_offered_before_a_load_is_what_it_is_served_with() -> None:
    async def play() -> None:
        for free, expected in (
            (needs(2, 32_768), (2, 32_768)),
            (needs(1, 32_768), (1, 32_768)),
            (needs(1, 8_192), (1, 8_192)),
            (needs(1, 2_048), (1, 2_048)),
        ):
            shelf = Machine(free).shelf()
            async with shelf.running():
                assert offered(shelf) == expected[1]
                assert await use(shelf) == expected
                assert offered(shelf) == expected[1]

    run(play())


def test_offers_follow_memory_slowly_and_a_warm_model_not_at_all() -> None:
    async def play() -> None:
        machine = Machine(needs(1, 32_768))
        shelf = machine.shelf()
        changes = Changes()
        shelf.watchers.add(changes)
        async with shelf.running():
            for _ in range(20):  # a program that comes and goes
                machine.free_bytes = needs(1, 8_192)
                await asyncio.sleep(LOOK_EVERY_S)
                machine.free_bytes = needs(1, 32_768)
                await asyncio.sleep(LOOK_EVERY_S)
            assert (offered(shelf), changes.inventories) == (32_768, 0)
            machine.free_bytes = needs(1, 8_192)
            await asyncio.sleep(HOLD_S + 2 * LOOK_EVERY_S)
            assert (offered(shelf), changes.inventories) == (8_192, 1)
            assert await use(shelf) == (1, 8_192)
            machine.free_bytes = MARGIN_BYTES
            await asyncio.sleep(10 * HOLD_S)
            shelf.show(library(MODEL))
            assert offered(shelf) == 8_192, "less than twice as much would fit"
            assert machine.loads == 1
            machine.free_bytes = needs(2, 32_768)
            shelf.unload(MODEL.model.model_id)
            await asyncio.sleep(HOLD_S + 2 * LOOK_EVERY_S)
            assert offered(shelf) == 32_768

    run(play())


def test_an_idle_model_that_was_short_of_memory_leaves_for_a_longer_context() -> None:
    async def play() -> None:
        machine = Machine(needs(1, 8_192))
        shelf = machine.shelf()
        async with shelf.running():
            assert await use(shelf) == (1, 8_192)
            slot = shelf.take(MODEL.model.model_id)
            assert isinstance(slot, Slot)
            machine.free_bytes = needs(2, 32_768)
            await asyncio.sleep(10 * HOLD_S)
            assert status(shelf).state is ReplicaState.WARM, "it is in use"
            slot.free()
            await asyncio.sleep(HOLD_S / 2)
            assert (status(shelf).state, offered(shelf)) == (ReplicaState.WARM, 8_192)
            await asyncio.sleep(HOLD_S + LOOK_EVERY_S)
            assert status(shelf).state is ReplicaState.AVAILABLE
            assert offered(shelf) == 32_768, "coordinators are told at once"
            assert await use(shelf) == (2, 32_768)
            assert machine.loads == 2

    run(play())


def test_nobody_else_leaves_for_a_longer_context() -> None:
    async def play() -> None:
        other = entry("other", size_bytes=3 * GB)
        machine = Machine(needs(1, 8_192))
        shelf = machine.shelf(MODEL, other)
        async with shelf.running():
            await use(shelf)
            machine.free_bytes = 4 * GB
            beside = shelf.take(other.model.model_id)
            assert isinstance(beside, Slot)
            await beside.engine()
            beside.free()
            machine.free_bytes = MARGIN_BYTES  # what the other one has could be had
            await asyncio.sleep(10 * HOLD_S)
            assert [each.state for _, each in shelf.statuses()] == [ReplicaState.WARM] * 2

    run(play())


def test_a_model_larger_than_memory_says_so_and_is_never_tried() -> None:
    async def play() -> None:
        machine = Machine(needs(1, 2_048) - 1)
        shelf = machine.shelf()
        async with shelf.running():
            told = status(shelf)
            assert told.state is ReplicaState.FAILED
            assert "1.3 GB of memory, and less than that is free" in told.reason
            assert "use a smaller model" in told.reason
            for _ in range(5):
                assert shelf.take(MODEL.model.model_id) is Refusal.NO_MEMORY
            assert machine.loads == 0
            machine.free_bytes = needs(1, 4_096)
            await asyncio.sleep(HOLD_S + 2 * LOOK_EVERY_S)
            assert status(shelf).state is ReplicaState.AVAILABLE
            assert await use(shelf) == (1, 4_096)

    run(play())


def test_what_another_program_takes_before_the_load_fails_it_cleanly_and_is_tried_later() -> None:
    async def play() -> None:
        machine = Machine(needs(1, 32_768))
        shelf = machine.shelf()
        async with shelf.running():
            slot = shelf.take(MODEL.model.model_id)
            assert isinstance(slot, Slot)
            machine.free_bytes = needs(1, 4_096)  # in this very moment
            assert (await slot.engine()).info.context_tokens == 4_096, "less will do"
            slot.free()

    run(play())


def _warm(off_bytes: int) -> tuple[MachineRoom, Replica, Foretold]:
    """A model whose process takes so much more than was foretold."""
    footprint = Footprint(MODEL.shape)
    told = footprint.foretold(2, 8_192)
    replica = Replica(MODEL, 1, 2, footprint, 32_768, 8_192)
    replica.load = Loaded()
    replica.load.succeed(EchoEngine())
    memory = Memory(lambda: 99 * GB, lambda: 99 * GB, lambda _: missing_of(told) + off_bytes)
    return MachineRoom(memory, 0.8, 2), replica, told


def test_what_a_process_takes_corrects_what_is_promised_to_it_next_time() -> None:
    room, replica, told = _warm(GB)
    said = room.check(replica)
    assert "1.1 GB more memory than the 2.7 GB that were foretold" in said
    assert room.check(replica) == "", "it is said once"
    taken = replica.footprint.taken_bytes(2, 8_192)
    assert abs(taken - (told.total + GB)) < 10


def test_weights_that_went_to_a_gpu_are_not_the_machines_any_more() -> None:
    footprint = Footprint(replace(MODEL.shape, layers=31))
    here, half, away = (footprint.with_layers(count).taken_bytes(1, 2_048) for count in (0, 16, 32))
    assert (here - half, here - away) == (GB // 2, GB)


def test_what_is_as_foretold_is_not_worth_a_word() -> None:
    room, replica, told = _warm(0)
    assert room.check(replica) == ""
    assert replica.footprint.taken_bytes(2, 8_192) == told.total
