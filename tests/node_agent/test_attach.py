"""What a node says on its control stream, and how it obeys."""

import asyncio

import grpc
import pytest

from mesh.core.types import ReplicaState
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from node_agent.addresses import Origin
from node_agent.links import Links
from node_agent.shelf import Shelf
from tests.node_agent.conftest import Told
from tests.node_agent.played_engines import Engines, entry, library
from tests.node_agent.scripted_coordinator import PlayedAttach, ScriptedCoordinator


def test_hello_makes_the_node_routable(attach: PlayedAttach) -> None:
    hello = attach.hello
    assert hello.node_id == "node-of-the-test"
    assert hello.machine.name == "desk"
    assert hello.protocol_min <= 1 <= hello.protocol_max
    assert [offer.model.names[0] for offer in hello.offers] == ["echo"]
    assert [(r.ordinal, r.state) for r in hello.report.replicas] == [
        (hello.offers[0].ordinal, inference.REPLICA_STATE_AVAILABLE)
    ]
    assert hello.report.epoch == 0


async def test_beats_carry_the_epoch_and_a_growing_sequence(attach: PlayedAttach) -> None:
    reports = [await attach.next("report") for _ in range(5)]
    assert [report.epoch for report in reports] == [attach.epoch] * 5
    assert [report.sequence for report in reports] == [1, 2, 3, 4, 5]


async def test_a_beat_says_nothing_of_replicas_that_did_not_change(attach: PlayedAttach) -> None:
    assert [len((await attach.next("report")).replicas) for _ in range(3)] == [0, 0, 0]


async def test_a_ping_is_answered(attach: PlayedAttach) -> None:
    await attach.send(ping=fleet.Ping(nonce=42))
    assert (await attach.next("pong")).nonce == 42


async def test_a_taken_slot_is_reported_and_so_is_its_return(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.gate.clear()
    await attach.start(1)
    loading = await attach.replica(slots_taken=1)
    assert loading.state == inference.REPLICA_STATE_LOADING
    engines.gate.set()
    await (await coordinator.delivered()).all()
    freed = await attach.replica(slots_taken=0)
    assert freed.state == inference.REPLICA_STATE_WARM
    assert freed.numerics == "echo"


async def test_an_attempt_for_a_taken_slot_is_refused_and_the_replica_reported(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines
) -> None:
    engines.gate.clear()
    await attach.start(1)
    await attach.start(2)
    refused = await attach.next("refused")
    assert (refused.epoch, refused.attempt_id) == (attach.epoch, 2)
    assert refused.reason == fleet.REFUSAL_REASON_BUSY
    await attach.replica(slots_taken=1)
    engines.gate.set()
    assert (await coordinator.delivered()).opened.attempt_id == 1


async def test_a_draining_node_refuses_until_the_drain_ends(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    await attach.send(drain=fleet.Drain(reason="the test"))
    await attach.start(1)
    assert (await attach.next("refused")).reason == fleet.REFUSAL_REASON_DRAINING
    await attach.send(drain=fleet.Drain(resume=True))
    await attach.start(2)
    assert (await coordinator.delivered()).opened.attempt_id == 2


async def test_an_attempt_that_was_cancelled_before_its_start_never_begins(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    await attach.cancel(1)
    await attach.start(1)
    await attach.start(2)
    assert (await coordinator.delivered()).opened.attempt_id == 2


async def test_a_start_of_another_epoch_is_not_obeyed(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    await attach.send(start=fleet.StartAttempt(epoch=attach.epoch + 7, attempt_id=1))
    await attach.start(2)
    assert (await coordinator.delivered()).opened.attempt_id == 2


async def test_a_new_model_is_offered_and_keeps_the_others_ordinals(
    attach: PlayedAttach, shelf: Shelf
) -> None:
    shelf.show(library(entry(), entry("another")))
    offers = (await attach.next("inventory")).offers
    assert [offer.model.names[0] for offer in offers] == ["echo", "another"]
    assert offers[0].ordinal == attach.hello.offers[0].ordinal
    report = await attach.next("report")
    assert {replica.ordinal for replica in report.replicas} == {o.ordinal for o in offers}


async def test_a_model_can_be_loaded_and_unloaded_by_command(
    attach: PlayedAttach, shelf: Shelf
) -> None:
    model_id = attach.hello.offers[0].model.model_id
    await attach.send(load=fleet.LoadModel(model_id=model_id))
    await attach.replica(state=inference.REPLICA_STATE_WARM)
    await attach.send(unload=fleet.UnloadModel(model_id=model_id))
    await attach.replica(state=inference.REPLICA_STATE_AVAILABLE)
    assert shelf.statuses()[0][1].state is ReplicaState.AVAILABLE


async def test_a_change_between_hello_and_welcome_is_not_lost(
    links: Links, coordinator: ScriptedCoordinator, shelf: Shelf
) -> None:
    coordinator.before_welcome = lambda: shelf.show(library(entry(), entry("another")))
    links.add(coordinator.address, Origin.JOINED)
    attach = await coordinator.attached()
    assert len(attach.hello.offers) == 1
    assert len((await attach.next("inventory")).offers) == 2


async def test_the_node_attaches_again_when_the_stream_ends(
    attach: PlayedAttach, coordinator: ScriptedCoordinator
) -> None:
    attach.end()
    again = await coordinator.attached()
    assert again.epoch == attach.epoch + 1
    assert (await again.next("report")).epoch == again.epoch


async def test_the_node_attaches_again_when_the_coordinator_comes_back(links: Links) -> None:
    async with ScriptedCoordinator().serving() as first:
        links.add(first.address, Origin.JOINED)
        await first.attached()
        port = first.port
    async with ScriptedCoordinator().serving(port) as second:
        attach = await second.attached()
        assert (await attach.next("report")).sequence == 1


async def test_attempts_end_with_their_attach(
    attach: PlayedAttach, coordinator: ScriptedCoordinator, engines: Engines, shelf: Shelf
) -> None:
    engines.gate.clear()
    await attach.start(1)
    delivery = await coordinator.delivered()
    attach.end()
    await delivery.ended.wait()
    again = await coordinator.attached()
    assert [replica.slots_taken for replica in again.hello.report.replicas] == [0]


@pytest.mark.parametrize(
    "status",
    [
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    ],
)
async def test_a_coordinator_that_does_not_want_us_is_left_in_peace(
    links: Links, coordinator: ScriptedCoordinator, status: grpc.StatusCode, told: Told
) -> None:
    coordinator.refuses = status
    links.add(coordinator.address, Origin.JOINED)
    await told.line("as the test says")
    await asyncio.sleep(0.5)  # one that is out of reach is dialled again within 0.2 s
    assert coordinator.greeted == 1


async def test_an_absent_coordinator_is_told_of_once(links: Links, told: Told) -> None:
    async with ScriptedCoordinator().serving() as gone:
        port = gone.port
    links.add(f"127.0.0.1:{port}", Origin.JOINED)
    await asyncio.sleep(1.0)  # several tries
    assert len(told.of("no coordinator at")) == 1
    async with ScriptedCoordinator().serving(port) as back:
        await back.attached()
