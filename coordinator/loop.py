"""The one owner of the Fleet: events in, actions carried out at once, time told when due.

``post`` decides in the caller's own step of the event loop instead of passing the event to
another task: a hop costs 20 to 50 us three times on the way to a first token, and a single
threaded loop needs no other lock than "``post`` never awaits". An action whose effect posts
again is queued behind the one in hand, so ``handle`` never runs inside itself.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from mesh.core.actions import Action
from mesh.core.events import Event, TimePassed
from mesh.core.fleet import Fleet

log = logging.getLogger(__name__)

IDLE_S = 60.0  # look at the clock at least so often; nothing depends on it


class Effects(Protocol):
    """Whatever carries out actions; it must not wait and must not raise for a peer's sake."""

    def carry_out(self, action: Action) -> None: ...


class FleetLoop:
    """Drives a Fleet with events and with the passing of time."""

    def __init__(self, fleet: Fleet, effects: Effects, clock: Callable[[], float]) -> None:
        self.fleet = fleet
        self._effects = effects
        self._clock = clock
        self._events: deque[Event] = deque()  # bounded by what one step's effects can post
        self._handling = False
        self._wake = asyncio.Event()
        self._failure: BaseException | None = None

    @property
    def now_s(self) -> float:
        """The fleet's clock: monotonic seconds."""
        return self._clock()

    def post(self, event: Event) -> None:
        """Decide on ``event`` now, and carry out what follows from it."""
        self._events.append(event)
        if self._handling:
            return
        self._handling = True
        due_s = self.fleet.next_due_s
        try:
            while self._events:
                for action in self.fleet.handle(self._events.popleft(), self._clock()):
                    self._effects.carry_out(action)
        except BaseException as failure:
            # State may be half changed: better no coordinator than a wrong one.
            self._failure = failure
            raise
        finally:
            self._handling = False
            if self._failure is not None or self.fleet.next_due_s != due_s:
                self._wake.set()

    async def run(self) -> None:
        """Tell the fleet when something is due. Ends only by cancellation, or by a bug of ours."""
        while True:
            await self._wait_until_due()
            if self._failure is not None:
                raise RuntimeError("the fleet failed to handle an event") from self._failure
            self.post(TimePassed())

    async def _wait_until_due(self) -> None:
        self._wake.clear()
        due_s = self.fleet.next_due_s
        wait_s = IDLE_S if due_s is None else max(0.0, due_s - self._clock())
        if self._failure is not None:
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return
