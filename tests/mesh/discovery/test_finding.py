"""Machines find each other over real multicast, on loopback."""

import asyncio
from dataclasses import replace

from mesh.discovery.advert import Advert, Role
from mesh.discovery.advertiser import Advertiser
from mesh.discovery.browser import Browser
from mesh.discovery.load_bucket import LoadBucket
from mesh.discovery.nearby import find_coordinators, scan
from mesh.discovery.question import asked
from mesh.discovery.records import instance_name
from mesh.discovery.responder import Responder
from mesh.discovery.sighting import Endpoint, MachineEvent, MachineGone, MachineSeen
from mesh.settings import Advertise
from tests.mesh.discovery.network import (
    LOOPBACK,
    PATIENCE_S,
    announce,
    event_of,
    is_of,
    peer,
    records_of,
)


async def test_two_processes_find_each_other_and_notice_that_one_leaves(
    machine_id: str,
) -> None:
    boss, worker = f"{machine_id}-a", f"{machine_id}-b"
    async with peer(boss, "c") as first, peer(worker, "n") as second:
        seen = await second.says("MachineSeen", f"{boss}-c")
        assert seen["addresses"]
        await first.says("MachineSeen", f"{worker}-n")
        await first.leave()
        gone = await second.says("MachineGone", f"{boss}-c")
        assert gone["addresses"] == seen["addresses"]


async def test_a_coordinator_is_seen_with_both_ports_and_its_address(
    listener: Responder, speaker: Responder, coordinator: Advert
) -> None:
    async with Browser(listener) as browser, Advertiser(speaker, coordinator):
        event = await event_of(browser, lambda event: event.sighting.advert == coordinator)
    assert isinstance(event, MachineSeen)
    assert event.sighting.endpoints == (Endpoint(LOOPBACK, 7443, 7444),)


async def test_a_browser_that_comes_later_sees_who_is_there(
    listener: Responder, speaker: Responder, node: Advert
) -> None:
    async with Advertiser(speaker, node):
        async with Browser(listener) as early:
            await event_of(early, lambda event: event.sighting.advert == node)
        async with Browser(listener) as late:  # the library's cache knows it already
            await event_of(late, lambda event: event.sighting.advert == node)


async def test_a_question_just_after_the_announcement_is_answered_to_the_port_that_asked(
    listener: Responder, speaker: Responder, node: Advert
) -> None:
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    async with Browser(listener) as browser, Advertiser(speaker, node):
        await event_of(browser, lambda event: event.sighting.advert == node)
        async with (
            asyncio.timeout(PATIENCE_S),
            asked(speaker.interfaces, answers.put_nowait) as refused,
        ):
            assert refused == {}
            while node.label.encode() not in await answers.get():
                pass


async def test_registering_does_not_wait_for_probes(speaker: Responder, node: Advert) -> None:
    assert speaker.zeroconf is not None
    async with Advertiser(speaker, node):
        for _ in range(10):  # turns of the loop, not time: a probe takes 750 ms
            await asyncio.sleep(0)
        name = instance_name(node.label)
        assert speaker.zeroconf.registry.async_get_info_name(name) is not None


async def test_leaving_says_goodbye_and_the_endpoints_stay_known(
    listener: Responder, speaker: Responder, coordinator: Advert
) -> None:
    async with Browser(listener) as browser:
        async with Advertiser(speaker, coordinator):
            await event_of(browser, lambda event: event.sighting.advert == coordinator)
        event = await event_of(browser, is_of(coordinator, MachineGone))
        assert event.sighting.advert == coordinator
        assert event.sighting.addresses == (LOOPBACK,)


async def test_a_changed_load_arrives(
    listener: Responder, speaker: Responder, node: Advert
) -> None:
    def tells_load(event: MachineEvent) -> bool:
        return is_of(node, MachineSeen)(event) and event.sighting.advert.load is not None

    async with Browser(listener) as browser, Advertiser(speaker, node, gap_s=0.0) as advertiser:
        for load in (LoadBucket.LIGHT, LoadBucket.FULL, LoadBucket.LIGHT):  # back again too
            advertiser.update(replace(node, load=load))
            event = await event_of(browser, tells_load)
            assert event.sighting.advert.load is load


async def test_a_change_that_others_may_not_see_is_not_sent(
    listener: Responder, speaker: Responder, node: Advert
) -> None:
    async with (
        Browser(listener) as browser,
        Advertiser(speaker, node, Advertise.MINIMAL, gap_s=0.0) as advertiser,
    ):
        advertiser.update(replace(node, models=("secret",), load=LoadBucket.FULL))
        advertiser.update(renamed := replace(node, models=("secret",), name="Renamed"))
        event = await event_of(browser, lambda event: event.sighting.advert.name == renamed.name)
        assert (event.sighting.advert.models, event.sighting.advert.load) == ((), None)


async def test_an_advert_that_is_off_is_not_registered(speaker: Responder, node: Advert) -> None:
    assert speaker.zeroconf is not None
    async with Advertiser(speaker, node, Advertise.OFF) as advertiser:
        advertiser.update(replace(node, name="Renamed"))
        await asyncio.sleep(0)
        assert speaker.zeroconf.registry.async_get_service_infos() == []


async def test_a_node_and_a_coordinator_in_one_process_are_both_seen(
    listener: Responder, speaker: Responder, node: Advert, coordinator: Advert
) -> None:
    async with (
        Browser(listener) as browser,
        Advertiser(speaker, node),
        Advertiser(speaker, coordinator),
    ):
        labels = {node.label, coordinator.label}
        while labels:
            event = await event_of(browser, lambda event: event.sighting.advert.label in labels)
            labels.discard(event.sighting.advert.label)


async def test_a_hundred_machines_are_all_seen(listener: Responder, machine_id: str) -> None:
    assert listener.zeroconf is not None
    waiting = set()
    async with Browser(listener) as browser:
        for number in range(100):
            advert = Advert(f"{machine_id}-{number}", "m", "0.1.0", Role.NODE, f"Desk {number}")
            waiting.add(advert.label)
            announce(listener.zeroconf, records_of(advert, f"10.1.1.{number}"))
            if number % 20 == 0:
                await asyncio.sleep(0)  # so that the socket's buffer holds the rest
        while waiting:
            event = await event_of(browser, lambda event: event.sighting.advert.label in waiting)
            waiting.discard(event.sighting.advert.label)


async def test_a_look_around_finds_the_coordinator_of_a_mesh_at_once(
    speaker: Responder, coordinator: Advert
) -> None:
    ours = replace(coordinator, mesh_id=f"m{coordinator.machine_id[:15]}")
    async with Advertiser(speaker, ours):
        nearby = await find_coordinators(ours.mesh_id, timeout_s=PATIENCE_S, interfaces=[LOOPBACK])
    assert nearby.trouble is None
    assert [sighting.advert for sighting in nearby.sightings] == [ours]


async def test_a_look_around_ends_in_time_when_nobody_is_there() -> None:
    nearby = await find_coordinators("mnobody", timeout_s=0.05, interfaces=[LOOPBACK])
    assert nearby.sightings == ()


async def test_a_look_around_without_multicast_says_why() -> None:
    nearby = await scan(PATIENCE_S, interfaces=["203.0.113.1"])
    assert nearby.sightings == ()
    assert "203.0.113.1" in str(nearby.trouble)
