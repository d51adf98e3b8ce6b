"""Coordinators: found, kept one attach each, left politely."""

import asyncio
from contextlib import AsyncExitStack

import grpc

from mesh.core.types import NodeId
from mesh.v1 import fleet_pb2 as fleet
from node_agent.addresses import Origin
from node_agent.engine.echo import EchoEngine
from node_agent.links import Links
from node_agent.shelf import Shelf
from tests.node_agent.conftest import Told
from tests.node_agent.played_engines import Engines
from tests.node_agent.scripted_coordinator import PlayedAttach, ScriptedCoordinator

WORDS = " ".join(f"w{number}" for number in range(60))


class Jealous(ScriptedCoordinator):
    """Has one stream of a node at a time, as the real one: a second one ends the first."""

    async def attached(self) -> PlayedAttach:
        attach = await super().attached()
        if self.current is not None:
            self.current.end(grpc.StatusCode.ABORTED)
        self.current = attach
        return attach

    current: PlayedAttach | None = None


async def test_two_coordinators_have_an_attach_each(links: Links) -> None:
    async with AsyncExitStack() as stack:
        for name in ("x", "y"):
            coordinator = ScriptedCoordinator(coordinator_id=name)
            await stack.enter_async_context(coordinator.serving())
            links.add(coordinator.address, Origin.SEED)
            await (await coordinator.attached()).next("report")
        assert links.attached == {"x", "y"}


async def test_two_addresses_of_one_coordinator_end_in_one_attach(links: Links, told: Told) -> None:
    coordinator = Jealous()
    async with coordinator.serving():
        for host in ("127.0.0.1", "localhost"):
            links.add(f"{host}:{coordinator.port}", Origin.JOINED)
        first, second = await coordinator.attached(), await coordinator.attached()
        await first.ended.wait()
        await second.next("report")
        await asyncio.sleep(0.5)  # an address that was lost would be dialled again by now
        assert coordinator.greeted == 2
        assert links.attached == {coordinator.coordinator_id}
        assert told.of("lost") == []


async def test_the_next_address_is_tried_when_one_does_not_answer(links: Links) -> None:
    async with ScriptedCoordinator().serving() as gone:
        dead_address = gone.address
    async with ScriptedCoordinator(coordinator_id="x").serving() as coordinator:
        for address in (dead_address, coordinator.address):
            links.add(address, Origin.SEEN, NodeId("x"))
        await (await coordinator.attached()).next("report")
        assert links.attached == {"x"}


async def test_a_coordinator_tells_of_the_others(links: Links) -> None:
    async with (
        ScriptedCoordinator(coordinator_id="x").serving() as first,
        ScriptedCoordinator(coordinator_id="y").serving() as second,
    ):
        first.tells = [second.address, "not an address", "\n:99999"]
        links.add(first.address, Origin.JOINED)
        await (await second.attached()).next("report")
        assert links.attached == {"x", "y"}
        assert links.targets() == [first.address, second.address]


async def test_an_idle_node_leaves_at_once(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, links: Links
) -> None:
    await attach.next("report")
    async with asyncio.timeout(1):
        await links.stop(drain_s=60)
    assert (await attach.next("leaving")).why == fleet.Leaving.WHY_SHUTDOWN
    await attach.ended.wait()
    assert links.attached == frozenset()
    await asyncio.sleep(0.5)
    assert coordinator.greeted == 1, "it dialled again after it had left"


async def test_a_running_answer_may_finish_before_the_node_leaves(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, links: Links, engines: Engines
) -> None:
    engines.new = lambda: EchoEngine(tokens_per_s=200.0)
    await attach.start(1, WORDS)
    delivery = await coordinator.delivered()
    await delivery.next_delta()
    stopping = asyncio.create_task(links.stop(drain_s=60))
    assert (await attach.next("drain")).reason
    await attach.start(2)
    assert (await attach.next("refused")).reason == fleet.REFUSAL_REASON_DRAINING
    assert (await delivery.all())[-1].HasField("finished")
    assert await attach.next("leaving")
    await stopping


async def test_a_long_answer_does_not_keep_a_node_from_leaving(
    attach: PlayedAttach,
    coordinator: ScriptedCoordinator,
    links: Links,
    engines: Engines,
    shelf: Shelf,
) -> None:
    engines.new = lambda: EchoEngine(tokens_per_s=1.0)
    await attach.start(1, WORDS)
    delivery = await coordinator.delivered()
    await delivery.next_delta()
    await links.stop(drain_s=0.05)
    await delivery.ended.wait()
    assert not any(message.HasField("finished") for message in await delivery.all())
    assert [status.slots_taken for _, status in shelf.statuses()] == [0]


async def test_reconnecting_waits_for_the_answer_under_way(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, links: Links, engines: Engines
) -> None:
    engines.new = lambda: EchoEngine(tokens_per_s=200.0)
    await attach.start(1, WORDS)
    delivery = await coordinator.delivered()
    await delivery.next_delta()
    await links.reconnect()
    assert (await delivery.all())[-1].HasField("finished")
    again = await coordinator.attached()
    assert again.epoch == attach.epoch + 1
