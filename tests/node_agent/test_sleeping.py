"""A machine that goes to sleep says so first: by a real bus, and a logind that the test plays."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from mesh.platforms.linux import Linux
from mesh.v1 import fleet_pb2 as fleet
from node_agent import links as links_module
from node_agent.links import Links
from node_agent.sleeping import mind_sleep
from tests.node_agent.scripted_coordinator import PlayedAttach, ScriptedCoordinator

pytestmark = pytest.mark.skipif(
    shutil.which("dbus-daemon") is None, reason="no D-Bus on this machine"
)
NAME, PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
MANAGER = "org.freedesktop.login1.Manager"


@pytest.fixture
def bus_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bus of the test's own in the place of the system's."""
    address = f"unix:path={tmp_path}/bus"
    command = ["dbus-daemon", "--session", "--nofork", "--print-address", f"--address={address}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()  # it listens
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address
        daemon.terminate()


class PlayedLogind:
    """Announces sleep, and hands out locks."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self.locks: list[int] = []  # our ends of pipes: at its end once the lock is closed
        self.locked = asyncio.Event()
        bus.add_message_handler(self._answer)

    def _answer(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "Inhibit":
            return None
        assert message.body[0] == "sleep"
        assert message.body[3] == "delay"
        ours, theirs = os.pipe()
        self.locks.append(ours)
        self.locked.set()
        asyncio.get_running_loop().call_later(0.05, os.close, theirs)  # it is sent by then
        return Message.new_method_return(message, "h", [0], [theirs])

    async def announce(self, *, asleep: bool, bus: MessageBus | None = None) -> None:
        signal = Message.new_signal(PATH, MANAGER, "PrepareForSleep", "b", [asleep])
        await (bus or self._bus).send(signal)

    async def let_go(self) -> None:
        """Wait until the last lock is closed."""
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self.locks[-1], closed.set)
        try:
            await closed.wait()
        finally:
            loop.remove_reader(self.locks[-1])
        assert os.read(self.locks[-1], 1) == b""


@pytest.fixture
async def logind(bus_address: str) -> AsyncIterator[PlayedLogind]:
    bus = MessageBus(bus_address=bus_address, negotiate_unix_fd=True)
    await bus.connect()
    played = PlayedLogind(bus)
    await bus.request_name(NAME)
    yield played
    bus.disconnect()
    for lock in played.locks:
        os.close(lock)


@pytest.fixture
async def minding(links: Links, logind: PlayedLogind) -> AsyncIterator[None]:
    task = asyncio.create_task(mind_sleep(links, Linux()))
    await logind.locked.wait()
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_it_says_so_waits_in_silence_and_is_back_when_it_wakes(
    attach: PlayedAttach,
    coordinator: ScriptedCoordinator,
    logind: PlayedLogind,
    minding: None,
    links: Links,
) -> None:
    await attach.next("report")
    await logind.announce(asleep=True)
    leaving = await attach.next("leaving")
    assert leaving.why == fleet.Leaving.WHY_SLEEP
    attach.end()
    async with asyncio.timeout(5):
        await logind.let_go()
    await asyncio.sleep(0.3)
    assert coordinator.greeted == 1, "it dials nobody"
    logind.locked.clear()
    await logind.announce(asleep=False)
    await (await coordinator.attached()).next("report")
    async with asyncio.timeout(5):
        await logind.locked.wait()  # so that it hears of the next one in time as well


async def test_a_process_that_plays_the_system_is_not_believed(
    attach: PlayedAttach, logind: PlayedLogind, minding: None, bus_address: str, links: Links
) -> None:
    await attach.next("report")
    stranger = await MessageBus(bus_address=bus_address).connect()
    await logind.announce(asleep=True, bus=stranger)
    await asyncio.sleep(0.2)
    assert links.attached
    stranger.disconnect()


async def test_a_sleep_that_does_not_come_ends_the_silence(
    attach: PlayedAttach,
    coordinator: ScriptedCoordinator,
    links: Links,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(links_module, "SILENT_S_MAX", 0.1)
    await attach.next("report")
    sleeping = asyncio.create_task(links.sleep())
    await attach.next("leaving")
    attach.end()
    await sleeping
    await (await coordinator.attached()).next("report")


async def test_a_machine_without_such_a_bus_says_why(
    links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")

    async def nothing() -> None: ...

    told = await Linux().hear_sleep(nothing, lambda: None)
    assert told.startswith("no systemd-logind is in reach")
