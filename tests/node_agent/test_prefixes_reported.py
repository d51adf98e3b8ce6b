"""What an engine holds reaches every coordinator, and no longer than it is held."""

import pytest

from mesh.core.types import PrefixHeld, ReplicaState
from node_agent.shelf import Shelf
from tests.node_agent.played_engines import Engines, HoldingEngine, entry
from tests.node_agent.scripted_coordinator import PlayedAttach, ScriptedCoordinator, asking

WARM, HELD = entry("echo").model.model_id, PrefixHeld(2**64 - 1, 128)


@pytest.fixture
async def holding(engines: Engines, shelf: Shelf) -> HoldingEngine:
    engines.new = HoldingEngine
    slot = shelf.take(WARM)
    assert not isinstance(slot, str)
    engine = await slot.engine()
    slot.free()
    assert isinstance(engine, HoldingEngine)
    return engine


async def test_a_change_is_reported_with_the_replica(
    holding: HoldingEngine, attach: PlayedAttach
) -> None:
    holding.hold(HELD)
    replica = await attach.replica()
    assert [(each.block_hash, each.tokens) for each in replica.prefixes] == [(2**64 - 1, 128)]
    holding.hold()
    assert not (await attach.replica()).prefixes


async def test_a_model_that_left_memory_holds_nothing(holding: HoldingEngine, shelf: Shelf) -> None:
    holding.hold(HELD)
    [(_, status)] = shelf.statuses()
    assert status.prefixes == (HELD,)
    shelf.unload(WARM)
    await holding.wait_dead()
    [(_, status)] = shelf.statuses()
    assert (status.state, status.prefixes) == (ReplicaState.AVAILABLE, ())


async def test_an_engine_gets_the_hashes_that_the_start_brought(
    holding: HoldingEngine, attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    await attach.start(7, request=asking("one two"), block_hashes=[1, 2**64 - 1])
    await (await coordinator.delivered()).all()
    assert [work.block_hashes for work in holding.asked] == [(1, 2**64 - 1)]
