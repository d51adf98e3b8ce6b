"""Machines in network namespaces of their own, joined by a bridge, find each other."""

import asyncio
from collections.abc import Iterator

import pytest

from scripts.network import Network, inside
from tests.hosts.network import needs_network
from tests.mesh.discovery.network import peer

pytestmark = needs_network


@pytest.fixture
def lan() -> Iterator[Network]:
    with Network() as network:
        yield network


async def test_machines_joined_by_a_bridge_find_each_other(lan: Network) -> None:
    here, there = lan.machine("one"), lan.machine("two")
    lan.plug(here, "10.77.0.1")
    lan.plug(there, "10.77.0.2")
    async with (
        peer("boss", "c", prefix=inside(here)) as boss,
        peer("worker", "n", prefix=inside(there)) as worker,
    ):
        seen = await worker.says("MachineSeen", "boss-c")
        assert seen["addresses"] == ["10.77.0.1"]
        seen = await boss.says("MachineSeen", "worker-n")
        assert seen["addresses"] == ["10.77.0.2"]
        await asyncio.gather(boss.leave(), worker.leave())


async def test_processes_of_a_machine_without_a_network_find_each_other_and_take_it_when_it_comes(
    lan: Network,
) -> None:
    laptop, desk = lan.machine("laptop"), lan.machine("desk")
    lan.plug(desk, "10.77.0.2")
    async with (
        peer("boss", "c", prefix=inside(laptop)) as boss,
        peer("worker", "n", prefix=inside(laptop)) as worker,
        peer("distant", "n", prefix=inside(desk)) as distant,
    ):
        seen = await worker.says("MachineSeen", "boss-c")
        assert seen["addresses"] == ["127.0.0.1"]
        await boss.says("MachineSeen", "worker-n")
        lan.plug(laptop, "10.77.0.1")
        seen = await distant.says("MachineSeen", "boss-c")
        assert "10.77.0.1" in seen["addresses"]
        await worker.says("MachineSeen", "distant-n")
