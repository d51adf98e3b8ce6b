"""What a coordinator hears of a model that waits for memory: taken slots, until they are free."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mesh.settings import NodeSettings
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from node_agent.shelf import Shelf
from tests.node_agent.played_engines import Engines, entry, library
from tests.node_agent.scripted_coordinator import PlayedAttach, ScriptedCoordinator

GB = 1 << 30
FIRST, SECOND = entry("first", size_bytes=4 * GB), entry("second", size_bytes=4 * GB)


@pytest.fixture
async def shelf(engines: Engines) -> AsyncIterator[Shelf]:
    """Two models, and memory for one of them."""
    shelf = Shelf(
        engines.load,
        NodeSettings(slots=2, memory_share_max=1),
        free_memory=lambda: 100 * GB,
        total_memory=lambda: 6 * GB,
    )
    shelf.show(library(FIRST, SECOND))
    async with shelf.running():
        yield shelf


async def second(attach: PlayedAttach, *, free: bool) -> int:
    """Wait for a report that the second model has slots, or none; return its state."""
    ordinal = attach.hello.offers[1].ordinal
    async with asyncio.timeout(5):
        while True:
            for replica in (await attach.next("report")).replicas:
                if replica.ordinal == ordinal and (replica.slots_taken < replica.slots) == free:
                    return int(replica.state)


async def test_a_model_without_memory_is_told_as_taken_after_the_refusal_and_then_as_free(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.gate.clear()
    await attach.start(1, model_id=FIRST.model.model_id)
    await attach.start(2, model_id=SECOND.model.model_id)
    assert (await attach.next("refused")).reason == fleet.REFUSAL_REASON_BUSY
    taken = await second(attach, free=False)  # after the refusal, so it is what counts
    assert taken == inference.REPLICA_STATE_AVAILABLE
    engines.gate.set()
    await (await coordinator.delivered()).all()
    await second(attach, free=True)
    await attach.start(3, model_id=SECOND.model.model_id)
    answer = await coordinator.delivered()
    assert answer.opened.attempt_id == 3
    assert (await answer.all())[-1].HasField("finished")
