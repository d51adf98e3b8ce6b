"""What strangers on the network can and cannot do to what a browser shows."""

import asyncio
from dataclasses import replace
from random import Random

import pytest

from mesh.discovery.advert import TXT_BYTES_MAX, Advert, encode, size_bytes
from mesh.discovery.advertiser import Advertiser
from mesh.discovery.browser import Browser
from mesh.discovery.records import service_info, take_answer
from mesh.discovery.responder import Responder
from mesh.discovery.sighting import Endpoint, MachineGone, MachineSeen
from mesh.settings import Advertise
from tests.mesh.discovery.network import (
    LOOPBACK,
    PATIENCE_S,
    announce,
    event_of,
    is_of,
    overhearing,
    records_of,
)

REAL = Endpoint(LOOPBACK, 7443, 7444)


async def test_a_forged_address_and_port_do_not_hide_the_real_ones(
    listener: Responder, speaker: Responder, coordinator: Advert
) -> None:
    assert listener.zeroconf is not None
    async with Browser(listener) as browser, Advertiser(speaker, coordinator):
        await event_of(browser, lambda event: event.sighting.advert == coordinator)
        announce(listener.zeroconf, records_of(coordinator, "198.51.100.66", port=6666))
        event = await event_of(browser, lambda event: event.sighting.advert.mesh_port == 6666)
        assert REAL in event.sighting.endpoints


async def test_a_machine_that_is_still_there_contradicts_a_forged_goodbye(
    listener: Responder, speaker: Responder, coordinator: Advert
) -> None:
    assert listener.zeroconf is not None
    async with Browser(listener) as browser, Advertiser(speaker, coordinator):
        await event_of(browser, lambda event: event.sighting.advert == coordinator)
        announce(listener.zeroconf, records_of(coordinator, LOOPBACK), ttl_s=0)
        gone = await event_of(browser, is_of(coordinator, MachineGone))
        assert gone.sighting.endpoints == (REAL,)
        back = await event_of(browser, is_of(coordinator, MachineSeen))
        assert back.sighting.advert == coordinator


async def test_a_goodbye_makes_the_listener_ask(
    listener: Responder, coordinator: Advert, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert listener.zeroconf is not None
    asked: list[str] = []
    monkeypatch.setattr(listener, "ask", lambda: asked.append("who is there?"))
    async with Browser(listener) as browser:
        announce(listener.zeroconf, records_of(coordinator, LOOPBACK))
        await event_of(browser, lambda event: event.sighting.advert == coordinator)
        assert asked == []
        announce(listener.zeroconf, records_of(coordinator, LOOPBACK), ttl_s=0)
        await event_of(browser, is_of(coordinator, MachineGone))
        assert asked == ["who is there?"]


async def test_records_that_contradict_each_other_are_ignored(
    listener: Responder, coordinator: Advert
) -> None:
    assert listener.zeroconf is not None
    other = replace(coordinator, machine_id=f"{coordinator.machine_id}-x")
    stolen_id = records_of(other, "198.51.100.66")
    stolen_id.text = records_of(coordinator, LOOPBACK).text
    stolen_host = records_of(other, "198.51.100.66")
    stolen_host.server = "printer.local."
    async with Browser(listener) as browser:
        for forged in (stolen_id, stolen_host):
            announce(listener.zeroconf, forged)
        announce(listener.zeroconf, records_of(coordinator, LOOPBACK))  # comes after them
        await event_of(browser, lambda event: event.sighting.advert == coordinator)
        hosts = [host for sighting in browser.sightings() for host in sighting.addresses]
        assert "198.51.100.66" not in hosts


@pytest.mark.parametrize(
    "text",
    [b"", b"\x00", b"\xff" * 50, b"\x09txtvers=1", b"\x05id=\xff\xfe", b"\x03r=c" * 300],
    ids=["empty", "nothing", "noise", "bare", "broken", "huge"],
)
async def test_malformed_text_is_ignored(
    listener: Responder, coordinator: Advert, text: bytes
) -> None:
    assert listener.zeroconf is not None
    other = replace(coordinator, machine_id=f"{coordinator.machine_id}-x")
    malformed = records_of(other, LOOPBACK)
    malformed.text = text
    async with Browser(listener) as browser:
        announce(listener.zeroconf, malformed)
        announce(listener.zeroconf, records_of(coordinator, LOOPBACK))  # comes after it
        await event_of(browser, lambda event: event.sighting.advert == coordinator)
        labels = [sighting.advert.label for sighting in browser.sightings()]
        assert other.label not in labels


async def test_noise_harms_nobody(listener: Responder, coordinator: Advert) -> None:
    assert listener.zeroconf is not None
    random = Random(6762)
    (packet,) = listener.zeroconf.generate_service_broadcast(
        records_of(coordinator, LOOPBACK), None
    ).packets()
    async with Browser(listener) as browser:
        for _ in range(500):
            noise = bytearray(packet)
            for _ in range(random.randint(1, 20)):
                noise[random.randrange(4, len(noise))] = random.randrange(256)
            take_answer(listener.zeroconf, bytes(noise[: random.randint(1, len(noise))]))
        announce(listener.zeroconf, records_of(coordinator, "198.51.100.7"))
        await event_of(browser, lambda event: "198.51.100.7" in event.sighting.addresses)


async def test_the_size_that_we_check_is_the_size_on_the_wire(
    speaker: Responder, node: Advert
) -> None:
    names = tuple(f"model-{number}-本地" for number in range(60))
    full = replace(node, models=names, name="é" * 64, mesh_id="m" * 32, version="9" * 16)
    properties = encode(full, Advertise.FULL)
    text = service_info(full.label, properties, port=0, addresses=[LOOPBACK]).text
    assert size_bytes(properties) == len(text)
    assert TXT_BYTES_MAX - 20 < len(text) <= TXT_BYTES_MAX
    async with asyncio.timeout(PATIENCE_S), overhearing() as overheard, Advertiser(speaker, full):
        packet = await overheard.get()
        while text not in packet:
            packet = await overheard.get()
    # An announcement is one packet of one Ethernet frame, with all that a listener needs.
    assert len(packet) < 1400
    assert f"deskmesh-{full.label}".encode() in packet
