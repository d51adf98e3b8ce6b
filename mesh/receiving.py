"""Requests that are being received: so many at a time, from one caller and from all together.

A message of 32 MiB is in memory before anybody has seen what it asks for. Callers take turns here,
so that what arrives is bounded before what is open can be counted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from mesh.errors import DeadlineExceeded, Overloaded

# Usual requests take a millisecond here. The largest ones together: 512 MiB, 128 of one caller.
AT_ONCE_MAX = 16
OF_ONE_CALLER_MAX = 4
# gRPC holds up to 64 KiB of each stream that nobody reads, so 64 MiB of one caller's.
WAITING_OF_ONE_CALLER_MAX = 1024
WITHIN_S = 30.0  # the largest one over a Wi-Fi of 10 Mbit/s; whoever stalls makes room


class Receiving:
    """The turns on one port. One event loop owns it."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(AT_ONCE_MAX)
        self._callers: WeakValueDictionary[str, _Turns] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """Receive one request inside. ``caller`` is whoever is to answer for it.

        Raises:
            Overloaded: too many of this caller's wait.
            DeadlineExceeded: it was not received in time.
        """
        turns = self._callers.get(caller)
        if turns is None:
            turns = self._callers[caller] = _Turns()
        if turns.waiting >= WAITING_OF_ONE_CALLER_MAX:
            raise Overloaded(
                f"{WAITING_OF_ONE_CALLER_MAX} requests of this caller wait to be received",
                hint="send fewer at a time",
            )
        turns.waiting += 1
        try:
            async with turns.own, self._all:
                try:
                    async with asyncio.timeout(WITHIN_S):
                        yield
                except TimeoutError:
                    raise DeadlineExceeded(
                        f"the request was not received within {WITHIN_S:g} seconds",
                        hint="is the network slow, or the program that sends it stuck?",
                    ) from None
        finally:
            turns.waiting -= 1


class _Turns:
    """Of one caller; gone with the last request that waits."""

    def __init__(self) -> None:
        self.own = asyncio.Semaphore(OF_ONE_CALLER_MAX)
        self.waiting = 0
