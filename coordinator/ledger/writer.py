"""The one thread that moves the journal into the store, tidies up there, and keeps trying.

Nothing waits for it. What it cannot do now it says once, and tries again.
"""

import contextlib
import logging
import math
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from coordinator.ledger.database import is_ours, words_of
from coordinator.ledger.journal import Chunk, Position, path_of, read_on, segments
from coordinator.ledger.store import FILE, Store
from coordinator.ledger.totals import DAY_S, HOURS_KEPT_DAYS, Totals, day_of

log = logging.getLogger(__name__)

# Rows that arrive within this share a transaction; reports lag behind by as much.
GATHER_S = 0.1
TIDY_EVERY_S = 3600.0
FORGOTTEN_AT_ONCE = 500  # rows a transaction: some 20 ms, in which nobody else may write
# A thread that computes makes the event loop wait for the interpreter for so long, by default 5 ms:
# as much as the whole mesh may add to a first token.
SWITCH_INTERVAL_S = 0.0005


@dataclass(frozen=True, slots=True)
class Restored:
    """What the store holds of today, from before this process."""

    totals: Totals
    day_s: int  # Unix time at which that day began


@dataclass(slots=True)
class Writer:
    """Owns the thread. Other threads call ``wake`` and ``finish``, and read the plain fields."""

    folder: Path  # of the store
    journal: Path  # folder of the journal
    first_segment: int  # of this process; whatever is in earlier ones was opened by another
    keep_days: int
    retry_every_s: float
    clock: Callable[[], float]  # Unix time
    # Both are called in the writer's thread; the first once, the other whenever trouble begins.
    on_restored: Callable[[Restored], None]
    on_trouble: Callable[[], None]
    applied: int = 0  # records of this process that are in the store
    refused: int = 0  # records that no table takes, or that are damaged: they are lost
    restored: bool = False  # was told what the store holds of today
    trouble: str = ""  # why rows wait; "" if all is well
    _more: threading.Event = field(default_factory=threading.Event)
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_S))
        self._thread.start()

    def wake(self) -> None:
        """There is more in the journal."""
        if not self._more.is_set():
            self._more.set()

    def finish(self, within_s: float) -> bool:
        """Move in what is there and end. Return whether that was done in time; blocks."""
        self._ending.set()
        self._more.set()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        work: _Work | None = None
        while True:
            try:
                work = work or _Work(self)
                ended = self._turn(work)
            except Exception as failure:  # whatever it is, the mesh answers on, and we try again
                self._say(failure)
                if work is not None:
                    work.close()
                    work = None
                if self._ending.wait(self.retry_every_s):
                    return
                continue
            if ended:
                work.close()
                return

    def _turn(self, work: "_Work") -> bool:
        """Do what there is to do, or wait for more. Return whether this was the end of it."""
        ending = self._ending.is_set()
        self._more.clear()
        if work.move() or (not ending and work.tidy()):
            self._recover()
            return False
        self._recover()
        if ending:
            return True
        if self._more.wait(TIDY_EVERY_S):
            self._ending.wait(GATHER_S)
        return False

    def _say(self, failure: Exception) -> None:
        words = words_of(failure)
        if not self.trouble:
            log.warning(
                "the ledger waits: %s cannot take rows: %s; answers go on, rows wait in the "
                "journal and follow",
                self.folder / FILE,
                words,
            )
            if "a bug of ours" in words:
                log.error("that is a bug", exc_info=failure)
            self.trouble = words
            self.on_trouble()
        self.trouble = words

    def _recover(self) -> None:
        if self.trouble:
            self.trouble = ""
            log.info("the ledger takes rows again, and those that waited are in it")


class _Work:
    """What one open store is good for. Lives in the writer's thread."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._store = Store(writer.folder)
        self._position = self._store.position()
        if not writer.restored and self._position.segment > writer.first_segment:
            # A clock was set back and the journal removed. What is in the store twice counts once.
            self._position = Position()
        self._tidied_s = -math.inf  # monotonic

    def close(self) -> None:
        with contextlib.suppress(Exception):  # it failed already, and that was said
            self._store.close()

    def move(self) -> bool:
        """Move one chunk of the journal. Return whether there may be more."""
        if self._store.replaced:
            raise OSError("its file was moved away or replaced")
        chunk = read_on(self._writer.journal, self._position)
        own = chunk.end.segment >= self._writer.first_segment
        if own or chunk.end == self._position:
            self._restore()
        if chunk.end == self._position:
            return False
        self._apply(chunk)
        self._writer.applied += len(chunk.records) if own else 0
        if chunk.damaged:
            self._writer.refused += chunk.damaged
            log.warning(
                "%d damaged records of the ledger's journal were passed over", chunk.damaged
            )
        if chunk.end.segment != self._position.segment:
            self._drop_segments_before(chunk.end.segment)
        self._position = chunk.end
        return True

    def _apply(self, chunk: Chunk) -> None:
        """Move a chunk in; where one of its records cannot be a row, all but that one."""
        try:
            self._store.apply(chunk.records, chunk.end)
        except Exception as failure:
            if not is_ours(failure):
                raise  # of the file or its disk, and a later try may do better
            log.exception("the ledger's journal has a record that no table takes: a bug of ours")
            for record in chunk.records:  # what is in already changes nothing a second time
                try:
                    self._store.apply([record], self._position)
                except Exception as again:
                    if not is_ours(again):
                        raise
                    self._writer.refused += 1
            self._store.apply((), chunk.end)

    def tidy(self) -> bool:
        """Once in a while, remove some of what is too old. Return whether there is more of it."""
        if time.monotonic() < self._tidied_s + TIDY_EVERY_S:
            return False
        now_s = self._writer.clock()
        oldest_us = int((now_s - self._writer.keep_days * DAY_S) * 1_000_000)
        if self._store.forget_before(oldest_us, at_most=FORGOTTEN_AT_ONCE) == FORGOTTEN_AT_ONCE:
            return True
        self._store.merge_hours_before(day_of(now_s) - HOURS_KEPT_DAYS * DAY_S)
        self._tidied_s = time.monotonic()
        return False

    def _restore(self) -> None:
        """Once, when all that earlier processes wrote is in: end what they left open."""
        if self._writer.restored:
            return
        if lost := self._store.lose_open():
            log.warning("%d requests were open when the coordinator ended, and are lost", lost)
        day_s = day_of(self._writer.clock())
        restored = Restored(self._store.totals(day_s), day_s)
        self._writer.restored = True
        self._writer.on_restored(restored)

    def _drop_segments_before(self, number: int) -> None:
        """Remove segments that are in the store for good: a loss of power brings none back."""
        if not self._store.flush():
            return  # a reader holds it up; the next segment's end will do
        for old in segments(self._writer.journal):
            if old < number:
                path_of(self._writer.journal, old).unlink(missing_ok=True)
