"""The journal: append-only files of records, each written by one ``os.write``.

What is in the page cache survives the death of this process, so nothing waits for the disk; after
a loss of power the last seconds may be missing. A line is ``crc32 record\\n``: what a crash or a
full disk left half written has no end or another sum, and the reader passes over it.

When it cannot be written, lines wait in memory, in their order, and follow when it can.

It is read on while it is being written. The end of the newest segment is the present: half a line
there is one that comes. Half a line at the end of an older one, or a wrong sum anywhere, is damage:
passed over, and counted.
"""

import errno
import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from coordinator.ledger.records import Record, read_record
from mesh.platforms.here import HERE

log = logging.getLogger(__name__)

SUFFIX = ".journal"
# A segment is removed once all of it is in the store: small enough to come and go within minutes.
SEGMENT_BYTES_MAX = 8 * 1024 * 1024
SEGMENT_AGE_MAX_S = 3600.0  # and so that no row outlives its days there where little is asked
# What waits for a store that somebody has to mend: two to three hundred thousand requests, a day
# of a busy mesh, on a disk that a coordinator can be expected to have.
JOURNAL_BYTES_MAX = 512 * 1024 * 1024
# What waits in memory for a disk that somebody has to make room on: some eight thousand requests.
WAITING_BYTES_MAX = 16 * 1024 * 1024
RETRIED_AT_ONCE = 256  # a few milliseconds of the loop
# One transaction's worth: some 40 requests. Small, because a thread that works through it takes
# turns with the event loop; larger than any record.
CHUNK_BYTES = 64 * 1024


class Journal:
    """The writing end. Belongs to one event loop; ``append`` never raises and never waits."""

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        journal_bytes_max: int = JOURNAL_BYTES_MAX,
        waiting_bytes_max: int = WAITING_BYTES_MAX,
    ) -> None:
        self._folder = folder
        self._segment_bytes_max = segment_bytes_max
        self._journal_bytes_max = journal_bytes_max
        self._waiting_bytes_max = waiting_bytes_max
        # Later than any before it, even if somebody removed those: the store remembers how far it
        # has come by this number.
        self.first_segment = _next_number(segments(folder))
        self._descriptor: int | None = None
        self._size_bytes = 0
        self._old_s = 0.0  # monotonic; when the segment is too old
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._told_dropped = 0
        self.written = 0  # lines
        self.dropped = 0  # lines that found no place in memory either, and are lost
        self.trouble = ""  # why lines wait; "" if all is well

    @property
    def waiting(self) -> int:
        """Lines that are in memory alone."""
        return len(self._waiting)

    def append(self, record: bytes) -> None:
        """Keep ``record``, which holds no line break."""
        line = b"%08x %s\n" % (crc32(record), record)
        if not self._waiting:
            try:
                self._write(line)
                return
            except OSError as failure:
                self._say(failure)
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        while self._waiting_bytes > self._waiting_bytes_max:  # the oldest go first
            self._waiting_bytes -= len(self._waiting.popleft())
            self.dropped += 1

    def retry(self) -> bool:
        """Write some of what waits. Return whether there is more that can be written at once."""
        if not self._waiting:
            return False
        try:
            for _ in range(min(RETRIED_AT_ONCE, len(self._waiting))):
                self._write(self._waiting[0])
                self._waiting_bytes -= len(self._waiting.popleft())
        except OSError as failure:
            self._say(failure)
            return False
        if self._waiting:
            return True
        lost = self.dropped - self._told_dropped
        log.log(
            logging.WARNING if lost else logging.INFO,
            "the ledger's journal can be written again, and what waited is in it%s",
            f"; {lost} records did not fit into memory and are lost" if lost else "",
        )
        self.trouble, self._told_dropped = "", self.dropped
        return False

    def close(self) -> None:
        """Close the segment. What still waits is lost with the process, and said to be."""
        if self._waiting:
            log.warning("%d records never reached the ledger's journal", len(self._waiting))
        self._abandon_segment()

    def _write(self, line: bytes) -> None:
        full = (
            self._size_bytes + len(line) > self._segment_bytes_max or time.monotonic() > self._old_s
        )
        if self._descriptor is None or full or os.fstat(self._descriptor).st_nlink == 0:
            self._next_segment()  # for the last: somebody removed it, and nobody would read it
        assert self._descriptor is not None
        written = os.write(self._descriptor, line)
        if written != len(line):
            self._undo()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size_bytes += written
        self.written += 1

    def _next_segment(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        existing = segments(self._folder)
        held = sum(_size_of(self._folder, number) for number in existing)
        if held >= self._journal_bytes_max:
            megabytes = held // 2**20
            raise OSError(errno.EDQUOT, f"it holds {megabytes} MiB that the store has not taken")
        number = max(_next_number(existing), self.first_segment)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | HERE.open_flags
        descriptor = os.open(path_of(self._folder, number), flags, 0o600)
        self._abandon_segment()
        self._descriptor, self._size_bytes = descriptor, 0
        self._old_s = time.monotonic() + SEGMENT_AGE_MAX_S

    def _undo(self) -> None:
        """Take back half a line; if even that fails, the reader knows it by its missing end."""
        assert self._descriptor is not None
        try:
            os.ftruncate(self._descriptor, self._size_bytes)
        except OSError:
            self._abandon_segment()

    def _abandon_segment(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _say(self, failure: OSError) -> None:
        if not self.trouble:
            self.trouble = f"its journal cannot be written: {failure.strerror or failure}"
            log.warning(
                "the ledger waits: its journal in %s cannot be written (%s); answers go on, and "
                "up to %d MiB of rows wait in memory; free the disk or mend its permissions",
                self._folder,
                failure.strerror or failure,
                self._waiting_bytes_max // 2**20,
            )


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the journal: everything before it is in the store."""

    segment: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole records from one segment, and where to read on."""

    records: tuple[Record, ...]
    end: Position
    damaged: int = 0  # lines that were passed over


def read_on(folder: Path, position: Position) -> Chunk:
    """Return the next records after ``position``; none if the present is reached.

    Raises:
        OSError: the journal cannot be read.
    """
    damaged = 0
    # Listed first: whatever is in an older segment was written before a newer one was made.
    ahead = [number for number in segments(folder) if number >= position.segment]
    for number in ahead:
        offset = position.offset if number == position.segment else 0
        data = _read(path_of(folder, number), offset)
        whole = data.rfind(b"\n") + 1
        if whole:
            records, broken = _parse(data[:whole])
            return Chunk(records, Position(number, offset + whole), damaged + broken)
        if len(data) == CHUNK_BYTES:  # no record is that long
            return Chunk((), Position(number, offset + len(data)), damaged + 1)
        if number != ahead[-1]:
            damaged += bool(data)
            position = Position(number + 1)
    return Chunk((), position, damaged)


def segments(folder: Path) -> list[int]:
    """Return the numbers of the segments in ``folder``, the oldest first."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []  # not there yet, or not to be read: the store says more when it reads
    stems = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
    return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdigit())


def path_of(folder: Path, number: int) -> Path:
    return folder / f"{number:020d}{SUFFIX}"


def _next_number(existing: list[int]) -> int:
    return max(time.time_ns() // 1000, existing[-1] + 1 if existing else 0)


def _size_of(folder: Path, number: int) -> int:
    try:
        return path_of(folder, number).stat().st_size
    except OSError:
        return 0  # just removed: it is in the store


def _read(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK_BYTES)


def _parse(data: bytes) -> tuple[tuple[Record, ...], int]:
    lines = data.split(b"\n")[:-1]
    records = tuple(record for line in lines for record in _checked(line))
    return records, len(lines) - len(records)


def _checked(line: bytes) -> Iterator[Record]:
    told, _, content = line.partition(b" ")
    try:
        if int(told, 16) == crc32(content) and (record := read_record(content)) is not None:
            yield record
    except ValueError:
        return  # damage, and counted as such
