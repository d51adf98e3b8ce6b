"""What the tests do on the network besides what they test: wait, forge, overhear, start others."""

import asyncio
import json
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from zeroconf import Zeroconf
from zeroconf.asyncio import AsyncServiceInfo

from mesh.discovery.advert import Advert, encode
from mesh.discovery.browser import Browser
from mesh.discovery.records import service_info
from mesh.discovery.sighting import MachineEvent
from mesh.settings import Advertise

LOOPBACK = "127.0.0.1"
PATIENCE_S = 20.0  # only a hang takes as long
GROUP = ("224.0.0.251", 5353)
ROOT = Path(__file__).parents[3]


async def event_of(
    browser: Browser, where: Callable[[MachineEvent], bool], *, patience_s: float = PATIENCE_S
) -> MachineEvent:
    """Return the next event for which ``where`` is true, and drop those before it."""
    async with asyncio.timeout(patience_s), aclosing(browser.events()) as events:
        async for event in events:
            if where(event):
                return event
    raise AssertionError("events end only when they are closed")


def is_of(advert: Advert, kind: type[MachineEvent]) -> Callable[[MachineEvent], bool]:
    """For ``event_of``: other meshes on this network may be heard as well."""
    return lambda event: (
        isinstance(event, kind) and event.sighting.advert.machine_id == advert.machine_id
    )


def records_of(advert: Advert, *addresses: str, port: int | None = None) -> AsyncServiceInfo:
    """The records of a machine that says ``advert``, or of a forger who says so."""
    return service_info(
        advert.label,
        encode(advert, Advertise.FULL),
        port=advert.mesh_port if port is None else port,
        addresses=addresses,
    )


def announce(zeroconf: Zeroconf, info: AsyncServiceInfo, *, ttl_s: int | None = None) -> None:
    """Multicast an announcement, or a goodbye with ``ttl_s=0``, without being that machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
        for packet in zeroconf.generate_service_broadcast(info, ttl_s).packets():
            sending.sendto(packet, GROUP)


@asynccontextmanager
async def overhearing() -> AsyncIterator["asyncio.Queue[bytes]"]:
    """Yield every mDNS packet of this machine's loopback, as it was on the wire."""
    overheard: asyncio.Queue[bytes] = asyncio.Queue()

    class Ear(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _addr: object) -> None:
            overheard.put_nowait(data)

    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    ear.bind(("", GROUP[1]))
    membership = struct.pack("4s4s", socket.inet_aton(GROUP[0]), socket.inet_aton(LOOPBACK))
    ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Ear, sock=ear)
    try:
        yield overheard
    finally:
        transport.close()


class Peer:
    """Another process that runs ``peer.py``."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self, kind: str, label: str = "") -> dict[str, Any]:
        """Return its next line of that kind about that machine, and drop those before it."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while line := await self._process.stdout.readline():
                said: dict[str, Any] = json.loads(line)
                if said["kind"] == kind and said.get("label", "") == label:
                    return said
        raise AssertionError("the peer has ended")

    async def leave(self) -> None:
        """Let it say goodbye and end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(PATIENCE_S):
            assert await self._process.wait() == 0


@asynccontextmanager
async def peer(machine_id: str, role: str, *, prefix: Sequence[str] = ()) -> AsyncIterator[Peer]:
    """Start a machine of its own; ``prefix`` is a command that runs it elsewhere."""
    process = await asyncio.create_subprocess_exec(
        *prefix,
        sys.executable,
        "-m",
        "tests.mesh.discovery.peer",
        machine_id,
        role,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        yield Peer(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
