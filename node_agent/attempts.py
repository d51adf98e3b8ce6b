"""The attempts of one attach: begun, cancelled, and ended with it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mesh.core.types import AttemptId, ModelId, Refusal
from mesh.errors import MeshError
from mesh.v1 import fleet_pb2 as fleet
from node_agent.answering import where
from node_agent.deliver import Delivery
from node_agent.outgoing import DeliverCall
from node_agent.shelf import Shelf
from node_agent.tombstones import Tombstones

# To open a stream takes much longer than to write to one, in both processes' gRPC. So one stands
# by, which takes a fifth off the time to a first token (measured). The next one is opened when the
# first token of the attempt that took it has most likely left.
SPARE_AFTER_S = 0.05

log = logging.getLogger("node")


class Attempts:
    """Every attempt that a coordinator has under way here. As many as there are slots."""

    def __init__(
        self,
        shelf: Shelf,
        open_stream: Callable[[], DeliverCall],
        refuse: Callable[[AttemptId, Refusal], Awaitable[None]],
    ) -> None:
        """``refuse`` tells the coordinator that an attempt was not begun after all."""
        self.draining = False  # nothing new
        self._refuse = refuse
        self._shelf = shelf
        self._open_stream = open_stream
        self._tombstones = Tombstones()
        self._running: dict[AttemptId, asyncio.Task[None]] = {}
        self._none_left = asyncio.Event()
        self._none_left.set()
        self._spare: DeliverCall | None = None
        self._spare_timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._running)

    def stand_by(self) -> None:
        """Open the stream that the next attempt will take."""
        self._spare_timer = None
        if self._spare is None:
            self._spare = self._open_stream()

    def begin(self, start: fleet.StartAttempt) -> Refusal | None:
        """Begin an attempt, or return why not. One that was cancelled before it came is dropped."""
        attempt_id = AttemptId(start.attempt_id)
        now_s = asyncio.get_running_loop().time()
        if attempt_id in self._running or self._tombstones.unearth(attempt_id, now_s):
            return None
        if self.draining:
            return Refusal.DRAINING
        try:
            slot = self._shelf.take(ModelId(start.model_id))
        except MeshError as failure:
            self._run(attempt_id, Delivery(self._take_stream(), start, failure, self._refuse))
            return None
        if isinstance(slot, Refusal):
            return slot
        self._run(attempt_id, Delivery(self._take_stream(), start, slot, self._refuse))
        return None

    def cancel(self, attempt_id: AttemptId) -> None:
        """End an attempt; if it has not come yet, it shall not begin."""
        task = self._running.get(attempt_id)
        if task is None:
            self._tombstones.bury(attempt_id, asyncio.get_running_loop().time())
        else:
            task.cancel()

    async def finish(self) -> None:
        """Return once none is under way."""
        await self._none_left.wait()

    async def end(self) -> None:
        """End all of them, and return when their slots are free."""
        if self._spare_timer is not None:
            self._spare_timer.cancel()
        if self._spare is not None:
            self._spare.cancel()
        running = list(self._running.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _take_stream(self) -> DeliverCall:
        spare, self._spare = self._spare, None
        if self._spare_timer is None:
            loop = asyncio.get_running_loop()
            self._spare_timer = loop.call_later(SPARE_AFTER_S, self.stand_by)
        return spare if spare is not None and not spare.done() else self._open_stream()

    def _run(self, attempt_id: AttemptId, delivery: Delivery) -> None:
        task = asyncio.create_task(delivery.run(), name=f"attempt {attempt_id}")
        self._running[attempt_id] = task
        self._none_left.clear()
        task.add_done_callback(lambda ended: self._ended(attempt_id, delivery, ended))

    def _ended(self, attempt_id: AttemptId, delivery: Delivery, task: asyncio.Task[None]) -> None:
        del self._running[attempt_id]
        delivery.close()  # a task that is cancelled before its first step runs no `finally`
        if not self._running:
            self._none_left.set()
        failure = None if task.cancelled() else task.exception()
        if failure is not None:  # nobody waits for an attempt, so here is where a bug shows
            log.error("attempt %d failed by a bug: %s", attempt_id, where(failure))
