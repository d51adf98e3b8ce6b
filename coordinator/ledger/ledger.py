"""The ledger of one coordinator, as a watcher of its requests."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from coordinator.ledger.journal import Journal
from coordinator.ledger.records import (
    Row,
    attempt_rows,
    closed_row,
    opened_row,
    write_became,
    write_closed,
    write_labelled,
    write_opened,
)
from coordinator.ledger.today import Today
from coordinator.ledger.totals import day_of
from coordinator.ledger.writer import Restored, Writer
from mesh.core.actions import SendMoved, SendStarted
from mesh.core.receipt import Receipt
from mesh.core.types import Failure, Request, RequestKey

# An open store has told of today within half of a second; a locked one is not waited for.
RESTORED_WITHIN_S = 2.0
DRAINED_WITHIN_S = 2.0  # what is late is in the journal, and moved in at the next start
RETRY_EVERY_S = 1.0  # soon enough for whoever mends it and looks; a failed try costs a millisecond
# Ended requests that may be judged before their rows are in the store: ten seconds' worth of a busy
# mesh, at some kilobytes each.
ENDED_KEPT_MAX = 512


class Ledger:
    """Writes down what happens to every request. ``running()`` owns its task and its thread."""

    def __init__(
        self,
        folder: Path,
        *,
        keep_days: int,
        clock: Callable[[], float] = time.time,
        retry_every_s: float = RETRY_EVERY_S,
    ) -> None:
        """``clock`` tells Unix time. Nothing is created until it is needed."""
        self.folder = folder
        self._retry_every_s = retry_every_s
        self._clock = clock
        self._journal = Journal(folder / "journal")
        self._arrived_us: dict[RequestKey, int] = {}  # open requests, which the desk bounds
        self._ended: deque[Row] = deque(maxlen=ENDED_KEPT_MAX)  # the newest last
        self._today = Today(day_of(clock()))
        self._tried = asyncio.Event()  # today's totals are known, or the store is in trouble
        self._writer = Writer(
            folder=folder,
            journal=folder / "journal",
            first_segment=self._journal.first_segment,
            keep_days=keep_days,
            retry_every_s=retry_every_s,
            clock=clock,
            on_restored=lambda restored: self._in_loop(lambda: self._restore(restored)),
            on_trouble=lambda: self._in_loop(self._tried.set),
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        # Is told, once, in micro-USD, what today has cost before this process began. Where the
        # store cannot be read as a coordinator starts, that may be when somebody has mended it.
        self.on_spent_known: Callable[[int], None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the store while the context is open, and move in what is left when it closes.

        As it opens, what earlier processes left is reconciled and today's totals are known, unless
        the store is in trouble.
        """
        self._loop = asyncio.get_running_loop()
        self._writer.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                retrying = tasks.create_task(self._retry(), name="journal")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RESTORED_WITHIN_S):
                        await self._tried.wait()
                try:
                    yield
                finally:
                    retrying.cancel()
        finally:
            while self._journal.retry():
                pass
            self._journal.close()
            await asyncio.to_thread(self._writer.finish, DRAINED_WITHIN_S)

    # -- as a watcher ------------------------------------------------------------------------------

    def request_arrived(self, request: Request) -> None:
        arrived_us = int(self._clock() * 1_000_000)
        self._arrived_us[request.key] = arrived_us
        self._append(write_opened(opened_row(request, arrived_us)))

    def request_started(self, started: SendStarted) -> None:
        """Nothing yet: it is in the receipt, in the end."""

    def request_moved(self, moved: SendMoved) -> None:
        """Likewise."""

    def request_ended(self, request: Request, receipt: Receipt, failure: Failure | None) -> None:
        now_s = self._clock()
        arrived_us = self._arrived_us.pop(request.key, None)
        if arrived_us is None:  # it was open before we watched
            arrived_us = int((now_s - receipt.total_s) * 1_000_000)
        row = closed_row(request, receipt, failure, arrived_us=arrived_us)
        self._append(write_closed(row, attempt_rows(receipt)))
        self._ended.append(row)
        self._today.count(row, now_s)

    # -- what is said later ------------------------------------------------------------------------

    def labelled(self, row: Row) -> None:
        """Somebody said how good an answer was; columns as in ``tables.LABELS``."""
        self._append(write_labelled({**row, "labelled_us": self._now_us()}))

    def became(self, row: Row) -> None:
        """Somebody said what became of a task; columns as in ``tables.OUTCOMES``."""
        self._append(write_became({**row, "recorded_us": self._now_us()}))

    def ended(self, matches: Callable[[Row], bool]) -> Row | None:
        """Return the newest that matches of the requests that ended lately, as its row."""
        return next((row for row in reversed(self._ended) if matches(row)), None)

    # -- to be read, cheaply and at any time -------------------------------------------------------

    @property
    def today(self) -> Today:
        """What happened today, up to this moment."""
        return self._today.at(self._clock())

    @property
    def rows_waiting(self) -> int:
        """Records of this process that are not in the store yet; two a request."""
        journal = self._journal
        return max(0, journal.written - self._writer.applied) + journal.waiting

    @property
    def trouble(self) -> str:
        """Why they wait, for the operator; "" if all is well."""
        return self._journal.trouble or self._writer.trouble

    @property
    def records_lost(self) -> int:
        """Records of this process that no row will tell of, because nothing could keep them."""
        return self._journal.dropped + self._writer.refused

    @property
    def spent_today_microusd(self) -> int:
        """The cost of the requests that arrived today (UTC) and ended, as far as it is known."""
        return self.today.cost_microusd

    def _now_us(self) -> int:
        return int(self._clock() * 1_000_000)

    def _append(self, record: bytes) -> None:
        self._journal.append(record)
        self._writer.wake()

    async def _retry(self) -> None:
        """Write what waits in memory, a little at a time."""
        while True:
            await asyncio.sleep(0 if self._journal.retry() else self._retry_every_s)
            if self._journal.waiting:
                self._writer.wake()

    def _in_loop(self, step: Callable[[], None]) -> None:
        """Take a step in the event loop. Called by the writer's thread."""
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody asks any more
            self._loop.call_soon_threadsafe(step)

    def _restore(self, restored: Restored) -> None:
        self._today.restore(restored.totals, restored.day_s)
        self._tried.set()
        if self.on_spent_known is not None:
            self.on_spent_known(self.spent_today_microusd)
