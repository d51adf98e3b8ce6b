"""Where multicast cannot be had, one line says why and everything else keeps still."""

import asyncio
import errno
import logging
import sys

import pytest

from mesh.discovery.advert import Advert
from mesh.discovery.advertiser import Advertiser
from mesh.discovery.browser import Browser
from mesh.discovery.interfaces import Interface, published_addresses, usable_interfaces
from mesh.discovery.question import asked
from mesh.discovery.responder import Responder, _explain
from tests.mesh.discovery.network import LOOPBACK


async def test_an_address_that_no_interface_has_is_explained_in_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        async with Responder(["203.0.113.1"]) as responder:
            assert responder.zeroconf is None
            assert "203.0.113.1" in str(responder.trouble)
            assert "discovery.seeds" in str(responder.trouble)
    assert len(caplog.messages) == 1
    assert "\n" not in caplog.messages[0]


async def test_multicast_that_is_switched_off_opens_nothing() -> None:
    async with Responder(enabled=False) as responder:
        assert responder.zeroconf is None
        assert "switched off" in str(responder.trouble)


async def test_without_multicast_advertiser_and_browser_keep_still(node: Advert) -> None:
    async with (
        Responder(enabled=False) as responder,
        Advertiser(responder, node) as advertiser,
        Browser(responder) as browser,
    ):
        advertiser.update(node)
        assert browser.sightings() == ()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(browser.events())


async def test_an_interface_that_refuses_is_named_with_its_reason() -> None:
    gone = Interface("wlan7", 99, "203.0.113.1", "")
    async with asked([gone], lambda _: None) as refused:
        assert refused[gone].errno == errno.EADDRNOTAVAIL


def test_macos_that_denies_the_local_network_is_explained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    trouble = _explain(OSError(errno.EHOSTUNREACH, "No route to host"), "on en0")
    assert trouble.reason.startswith("no multicast on en0: No route to host")
    assert "Local Network" in trouble.hint


async def test_an_update_for_another_machine_is_refused(node: Advert, coordinator: Advert) -> None:
    async with Responder(enabled=False) as responder:
        with pytest.raises(ValueError, match=coordinator.label):
            Advertiser(responder, node).update(coordinator)


def test_loopback_is_always_used_and_comes_last() -> None:
    interfaces = usable_interfaces()
    assert [each.is_loopback for each in interfaces] == sorted(
        each.is_loopback for each in interfaces
    )
    assert LOOPBACK in {each.ipv4 for each in interfaces}


def test_only_wanted_interfaces_are_used() -> None:
    (interface,) = usable_interfaces([LOOPBACK])
    assert interface.ipv4 == LOOPBACK
    with pytest.raises(ValueError, match="not-an-address"):
        usable_interfaces(["not-an-address"])


def test_addresses_that_others_cannot_dial_are_not_told() -> None:
    loopback = Interface("lo", 1, LOOPBACK, "", is_loopback=True)
    wired = Interface("eth0", 2, "192.168.1.5", "fe80::1")
    routed = Interface("eth1", 3, "10.0.0.5", "2001:db8::5")
    assert published_addresses([wired, routed, loopback]) == (
        "192.168.1.5",
        "10.0.0.5",
        "2001:db8::5",
    )
    assert published_addresses([loopback]) == (LOOPBACK,)
