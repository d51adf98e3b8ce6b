"""This machine's sleep, as systemd-logind announces it before and after.

https://systemd.io/INHIBITOR_LOCKS: whoever must do something first takes a "delay" lock, which is
a descriptor; the signal PrepareForSleep comes with True before and with False after a sleep, and
sleep begins once all locks are closed, or after ``InhibitDelayMaxSec`` (5 s by default).
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

_LOGIND = "org.freedesktop.login1"
_MANAGER = ("/org/freedesktop/login1", "org.freedesktop.login1.Manager")
_BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
_PEER = "org.freedesktop.DBus.Peer"
_SIGNAL = "PrepareForSleep"
_ANSWERS_WITHIN_S = 5.0  # a bus on the same machine
_AGAIN_AFTER_S = 60.0  # a bus that went is being updated, and comes back in seconds


class NoLogind(Exception):
    """Nobody announces sleep here; the message says why."""


async def announced_sleep(sleeps: Callable[[], Awaitable[None]], wakes: Callable[[], None]) -> str:
    """Await ``sleeps`` before each sleep of this machine and call ``wakes`` after it, for ever.

    Return why, where nobody announces any.
    """
    try:
        import dbus_fast  # noqa: F401 - an installation without the extra `node` has none
    except ImportError:
        return "dbus-fast is not installed"
    heard = False
    while True:
        watch = _Watch(sleeps, wakes)
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                bus = await watch.begin()
            heard = True
            await bus.wait_for_disconnect()
        except (OSError, EOFError, TimeoutError, NoLogind) as failure:
            if not heard:
                return f"no systemd-logind is in reach: {str(failure) or 'it does not answer'}"
        finally:
            watch.end()
        await asyncio.sleep(_AGAIN_AFTER_S)


class _Watch:
    """One connection to the system's bus."""

    def __init__(self, sleeps: Callable[[], Awaitable[None]], wakes: Callable[[], None]) -> None:
        self._sleeps = sleeps
        self._wakes = wakes
        self._bus: MessageBus | None = None
        self._logind = ""  # its name on this bus, which nobody else can have
        self._lock: int | None = None
        self._telling: asyncio.Task[None] | None = None

    async def begin(self) -> "MessageBus":
        """Listen, and hold a lock.

        Raises:
            OSError, NoLogind: there is no such bus, or nobody on it who announces sleep.
        """
        from dbus_fast import BusType
        from dbus_fast.aio import MessageBus

        bus = MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True)
        self._bus = await bus.connect()
        # The lock comes last: whoever holds one is waited for, and has to hear of every sleep. The
        # first call starts logind, if it does not run, and the daemon says whose answer it is.
        self._logind = (await self._call(_LOGIND, _MANAGER[0], _PEER, "Ping", "", [])).sender
        rule = f"type='signal',sender='{_LOGIND}',interface='{_MANAGER[1]}',member='{_SIGNAL}'"
        bus.add_message_handler(self._hear)
        await self._call(*_BUS, "AddMatch", "s", [rule])
        await self._take_lock()
        return self._bus

    def end(self) -> None:
        self._let_go()
        if self._telling is not None:
            self._telling.cancel()
        if self._bus is not None:
            self._bus.disconnect()

    def _hear(self, message: "Message") -> None:
        # Any process may send anything to us: only the daemon's word on the sender counts.
        if message.member != _SIGNAL or message.sender != self._logind or message.body is None:
            return
        if self._telling is not None:
            self._telling.cancel()
        tell = self._before if message.body == [True] else self._after
        self._telling = asyncio.ensure_future(tell())

    async def _before(self) -> None:
        try:
            await self._sleeps()
        finally:
            self._let_go()

    async def _after(self) -> None:
        self._wakes()
        with suppress(OSError, EOFError, NoLogind):  # then the next sleep comes unannounced in time
            await self._take_lock()

    async def _take_lock(self) -> None:
        self._let_go()
        reason = ["sleep", "deskmesh", "tells the mesh that this machine goes to sleep", "delay"]
        reply = await self._call(_LOGIND, *_MANAGER, "Inhibit", "ssss", reason)
        [self._lock] = reply.unix_fds

    def _let_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _call(  # noqa: PLR0913, PLR0917 - as D-Bus has it
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str,
        body: list[Any],
    ) -> "Message":
        from dbus_fast import Message, MessageType

        assert self._bus is not None, "connected first"
        asked = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=body,
        )
        reply = await self._bus.call(asked)
        if reply is None or reply.message_type is not MessageType.METHOD_RETURN:
            raise NoLogind(f"{member}: {reply.error_name if reply is not None else 'no reply'}")
        return reply
