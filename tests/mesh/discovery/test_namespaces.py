"""Machines in network namespaces of their own, joined by a bridge, find each other."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.mesh.discovery.network import peer

IP = shutil.which("ip")


def ip(*arguments: str) -> None:
    assert IP is not None
    subprocess.run([IP, *arguments], check=True, capture_output=True, text=True, timeout=10)


def why_not() -> str:
    """Return why namespaces cannot be used here, "" if they can."""
    if IP is None:
        return "needs the command ip (package iproute2)"
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    name = f"dm-probe-{os.getpid()}"
    try:
        ip("netns", "add", name)
        ip("netns", "delete", name)
    except subprocess.CalledProcessError as failure:
        return f"network namespaces are refused here: {failure.stderr.strip()}"
    return ""


pytestmark = pytest.mark.skipif(bool(WHY_NOT := why_not()), reason=WHY_NOT)


class Lan:
    """A switch, in a namespace of its own, and machines that have only loopback until plugged."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._switch = self._namespace("switch")
        ip("-n", self._switch, "link", "add", "br0", "type", "bridge")
        ip("-n", self._switch, "link", "set", "br0", "up")

    def machine(self, number: int) -> str:
        """Make a machine that is not plugged in; return its namespace."""
        return self._namespace(str(number))

    def plug(self, machine: str, address: str) -> None:
        """Join a machine to the switch."""
        port = f"p{machine.rpartition('-')[2]}"
        ends = ("name", port, "netns", self._switch)
        ip("-n", machine, "link", "add", "eth0", "type", "veth", "peer", *ends)
        ip("-n", self._switch, "link", "set", port, "master", "br0", "up")
        ip("-n", machine, "address", "add", f"{address}/24", "dev", "eth0")
        ip("-n", machine, "link", "set", "eth0", "up")

    def _namespace(self, what: str) -> str:
        name = f"dm-{os.getpid()}-{what}"
        ip("netns", "add", name)
        self._stack.callback(ip, "netns", "delete", name)
        ip("-n", name, "link", "set", "lo", "up")
        return name


@pytest.fixture
def lan() -> Iterator[Lan]:
    with ExitStack() as stack:
        yield Lan(stack)


def inside(namespace: str) -> list[str]:
    assert IP is not None
    return [IP, "netns", "exec", namespace]


async def test_machines_joined_by_a_bridge_find_each_other(lan: Lan) -> None:
    here, there = lan.machine(1), lan.machine(2)
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
    lan: Lan,
) -> None:
    laptop, desk = lan.machine(1), lan.machine(2)
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
