"""The one place of a process that speaks mDNS: its sockets, its interfaces, its one Zeroconf.

Several instances in a process would each hear, parse and answer everything. ``Responder`` opens
one, names the interfaces, follows them when the machine moves to another network, and says in one
line why multicast cannot be had where it cannot. Nobody has to ask first: without multicast the
advertiser and the browser keep still.
"""

import asyncio
import errno
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from zeroconf import IPVersion, NotRunningException, Zeroconf
from zeroconf.asyncio import AsyncZeroconf

from mesh.discovery.interfaces import Interface, published_addresses, usable_interfaces
from mesh.discovery.owned_task import end_task, start_task
from mesh.discovery.question import asked
from mesh.discovery.records import take_answer

# How soon a laptop that moved to another network is seen there. A look takes 0.7 ms (measured).
LOOK_EVERY_S = 15.0
# Answers come within 20 ms on a wire; Wi-Fi that saves power holds packets for some 300 ms.
LISTEN_S = 1.0
# The library sends an announcement again for 0.45 s, and holds an answer back for up to 1.2 s (RFC
# 6762 sections 8.3 and 6). Those of before a move leave by the sockets of before it.
DRAINED_AFTER_S = 1.25
# A stranger who forges goodbyes makes us ask; not more often than an advert may change.
ASK_GAP_S = 10.0

logger = logging.getLogger(__name__)
# The library warns with tracebacks about interfaces that refuse; we say it in one line.
logging.getLogger("zeroconf").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class NoMulticast:
    """Why machines can't find each other by mDNS here, in one line, and what to do about it."""

    reason: str
    hint: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.hint}"


class Responder:
    """The process's mDNS sockets; an async context manager that never fails to open.

    ``interfaces`` are addresses to use, every suitable one if empty. ``enabled=False`` opens
    nothing, for the setting ``discovery.multicast``. The times are for tests.
    """

    def __init__(
        self,
        interfaces: Sequence[str] = (),
        *,
        enabled: bool = True,
        look_every_s: float = LOOK_EVERY_S,
        ask_gap_s: float = ASK_GAP_S,
    ) -> None:
        self._wanted = tuple(interfaces)
        self._enabled = enabled
        self._look_every_s = look_every_s
        self._ask_gap_s = ask_gap_s
        self._opened: AsyncZeroconf | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ask = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self.interfaces: tuple[Interface, ...] = ()
        self.trouble: NoMulticast | None = None

    @property
    def zeroconf(self) -> Zeroconf | None:
        """The library's object; None where there is no multicast."""
        return None if self._opened is None else self._opened.zeroconf

    @property
    def addresses(self) -> tuple[str, ...]:
        """The machine's addresses to tell others, the likeliest first."""
        return published_addresses(self.interfaces)

    def ask(self) -> None:
        """Ask the network soon who is there; questions are at least 10 s apart."""
        self._ask.set()

    def on_move(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener`` when ``interfaces`` changed, before the sockets do; return the end."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def __aenter__(self) -> Self:
        if not self._enabled:
            self.trouble = NoMulticast(
                "multicast is switched off", "set discovery.multicast, or list discovery.seeds"
            )
            return self
        try:
            self.interfaces = usable_interfaces(self._wanted)
            self._opened = _open(self.interfaces)
            await self._opened.zeroconf.async_wait_for_start()
        except (OSError, ValueError, RuntimeError, NotRunningException) as failure:
            self._set_trouble(_explain(failure))
            await self._close()
            return self
        except asyncio.CancelledError:
            await self._close()
            raise
        self._ask.set()
        self._tasks = [
            start_task(self._ask_when_asked(), name="mdns questions"),
            start_task(self._follow_interfaces(), name="mdns interfaces"),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for task in self._tasks:
                await end_task(task)
        finally:
            await self._close()

    async def _close(self) -> None:
        if self._opened is not None:
            opened, self._opened = self._opened, None
            await opened.async_close()

    async def _ask_when_asked(self) -> None:
        assert self._opened is not None
        take = partial(take_answer, self._opened.zeroconf)
        while True:
            await self._ask.wait()
            self._ask.clear()
            async with asked(self.interfaces, take) as refused:
                self._judge(refused)
                await asyncio.sleep(LISTEN_S)
            await asyncio.sleep(max(0.0, self._ask_gap_s - LISTEN_S))

    async def _follow_interfaces(self) -> None:
        while True:
            await asyncio.sleep(self._look_every_s)
            await self._look()

    def _judge(self, refused: dict[Interface, OSError]) -> None:
        """Know from where a packet could leave whether other machines can be found."""
        outward = [each for each in self.interfaces if not each.is_loopback] or self.interfaces
        if not all(each in refused for each in outward):
            self._set_trouble(None)
            return
        names = ", ".join(each.name for each in outward)
        self._set_trouble(_explain(refused[outward[0]], f"on {names}"))

    def _set_trouble(self, trouble: NoMulticast | None) -> None:
        if trouble is not None and trouble != self.trouble:  # once, not at every question
            logger.warning("machines can't be found by mDNS: %s", trouble)
        self.trouble = trouble

    async def _look(self) -> None:
        """Take the sockets along when the machine has other interfaces than before."""
        assert self._opened is not None
        try:
            interfaces = usable_interfaces(self._wanted)
        except (OSError, ValueError) as failure:
            self._set_trouble(_explain(failure))  # the wanted address is away; it may come back
            return
        if self.trouble is not None:
            self.ask()  # what the system refused it may allow by now
        if interfaces == self.interfaces:
            return
        logger.info("network changed: mDNS on %s", [each.name for each in interfaces])
        self.interfaces = interfaces
        for listener in self._listeners:
            listener()
        await asyncio.sleep(DRAINED_AFTER_S)
        try:
            await self._opened.async_update_interfaces(_choice(interfaces))
        except OSError as failure:
            self._set_trouble(_explain(failure))
        self.ask()


def _open(interfaces: Sequence[Interface]) -> AsyncZeroconf:
    """Open sockets on ``interfaces``, with IPv6 where the system has it."""
    if not interfaces:
        raise ValueError("no network interface is up")
    choice = _choice(interfaces)
    only_ipv4 = [each for each in choice if isinstance(each, str)]
    if not only_ipv4:
        return AsyncZeroconf(interfaces=choice, ip_version=IPVersion.V6Only)
    if only_ipv4 != choice:
        try:
            return AsyncZeroconf(interfaces=choice, ip_version=IPVersion.All)
        except (OSError, RuntimeError) as failure:
            logger.info("mDNS without IPv6: %s", failure)
    return AsyncZeroconf(interfaces=only_ipv4, ip_version=IPVersion.V4Only)


def _choice(interfaces: Sequence[Interface]) -> list[str | int]:
    """Name interfaces as the library wants them: by address for IPv4, by index for IPv6."""
    by_address: list[str | int] = [each.ipv4 for each in interfaces if each.ipv4]
    return by_address + [each.index for each in interfaces if each.ipv6]


def _explain(failure: Exception, where: str = "") -> NoMulticast:
    """Say why multicast cannot be had, and what its owner can do."""
    hint = "list coordinators in discovery.seeds"
    number = failure.errno if isinstance(failure, OSError) else None
    why = f"{os.strerror(number)} (errno {number})" if number else str(failure)
    if sys.platform == "darwin" and number == errno.EHOSTUNREACH:
        hint = f"allow it in System Settings, Privacy & Security, Local Network, or {hint}"
    elif number in (errno.EPERM, errno.EACCES):
        hint = f"let the firewall or sandbox pass UDP port 5353, or {hint}"
    elif number == errno.EADDRINUSE:
        hint = f"let the other mDNS program share UDP port 5353, or {hint}"
    reason = " ".join(filter(None, ("no multicast", where))) + f": {why}"
    return NoMulticast(reason, hint)
