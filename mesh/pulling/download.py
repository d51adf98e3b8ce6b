"""Fetches one file, as often as it takes, and gives it away only when it is right.

1. Bytes go into a hidden file. Each second it is written through to the disk, and how many bytes it
   has and what their sha256 is goes into a state file (``partial``).
2. A next try, in this process or a later one, hashes those bytes again, cuts off the rest and asks
   for what follows. Where the sha256 of the whole is known, that is proof enough, whoever serves
   the rest: hubs send each try to another host, with another ETag. Otherwise If-Range asks for the
   rest of the same file only.
3. What is no byte yet, or no more, is tried again after a while (``pace``): tries without progress
   are bounded. What will not get better is said at once, and nothing is tried again.
4. At the end the sha256 of all bytes must be what it is known to be. If not, all is thrown away.
"""

import contextlib
import errno
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import SystemRandom
from typing import BinaryIO, Protocol

import httpx2

from mesh.errors import InvalidRequest, NodeLost, ServiceError
from mesh.pulling.answer import Meaning, understand, validator_of
from mesh.pulling.connection import Connection
from mesh.pulling.fitting import gigabytes, why_no_room
from mesh.pulling.hub import no_way_to
from mesh.pulling.pace import RETRY_STATUSES, Pace, retry_after_s
from mesh.pulling.partial import Partial, State, hash_head
from mesh.pulling.refusals import refuse
from mesh.pulling.source import Source
from mesh.pulling.this_machine import disk_free_bytes

AGAIN = "run the same command again to resume"
SLOW_S = 60.0  # who gives less than SLOW_BYTES in such a time keeps a dead download alive
SLOW_BYTES = 64 << 10


class Watcher(Protocol):
    """Who is told how it goes."""

    def progressed(self, done_bytes: int, size_bytes: int) -> None: ...
    def said(self, line: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole file that is what it should be, under its hidden name still."""

    file: Path
    sha256: str
    size_bytes: int
    resumed_bytes: int  # were here before


class _Later(Exception):
    """It may work the next time. ``wait_s`` None: as long as the pace says."""

    def __init__(self, why: str, *, wait_s: float | None = None, reached: bool = True) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.reached = reached


def fetch(  # noqa: PLR0913 - a file, where it goes, who is told, and time in tests
    source: Source,
    folder: Path,
    watcher: Watcher,
    *,
    pace: Pace | None = None,
    wait: Callable[[float], None] = time.sleep,
    on_size: Callable[[int], None] = lambda _: None,
) -> Fetched:
    """Fetch ``source`` into a hidden file of ``folder``. The caller holds the lock of its name.

    Args:
        on_size: called with the size in bytes before the first of them comes; may raise.

    Raises:
        MeshError: says what, why and what to do; what is here already stays for the next time
            unless it is wrong.
    """
    download = _Download(
        source, Partial(folder, source.name), watcher, pace or Pace(), wait, on_size
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return download.run()
    except OSError as failure:
        if failure.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise InvalidRequest(
                f"the disk of {folder} is full", hint=f"free some space and {AGAIN}"
            ) from None
        why = (failure.strerror or type(failure).__name__).lower()
        raise ServiceError(f"{failure.filename or folder}: {why}", hint=AGAIN) from None


@dataclass
class _Download:
    source: Source
    partial: Partial
    watcher: Watcher
    pace: Pace
    wait: Callable[[float], None]
    on_size: Callable[[int], None]
    done_bytes: int = 0
    size_bytes: int = 0  # 0: not told yet
    validator: str = ""
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    saved_at_s: float = 0.0
    saved_bytes: int = 0

    def run(self) -> Fetched:
        connection = Connection(self.source, self.pace)
        try:
            self.partial.file.touch(mode=0o600)
            with self.partial.file.open("r+b", buffering=0) as file:
                self._take_up(file)
                resumed_bytes = self.done_bytes
                try:
                    self._keep_trying(connection, file)
                finally:
                    with contextlib.suppress(OSError):
                        self._save(file)
                        if not self.done_bytes:
                            self.partial.remove()  # nothing to resume
        finally:
            connection.close()
        self._check_whole()
        return Fetched(
            file=self.partial.file,
            sha256=self.digest.hexdigest(),
            size_bytes=self.done_bytes,
            resumed_bytes=resumed_bytes,
        )

    def _take_up(self, file: BinaryIO) -> None:
        """Believe of the last try what its bytes still prove."""
        state = self.partial.read()
        if state is None or not state.done_bytes or not self._same(state):
            self._begin_anew(file)
            return
        self.watcher.said(f"checking {gigabytes(state.done_bytes)} that are here already")
        digest = hash_head(file, state.done_bytes, lambda _: None)
        if digest.hexdigest() != state.done_sha256:
            self.watcher.said("they changed on the disk since: beginning anew")
            self._begin_anew(file)
            return
        file.truncate(state.done_bytes)
        file.seek(state.done_bytes)
        self.done_bytes = self.saved_bytes = state.done_bytes
        self.size_bytes, self.validator, self.digest = state.size_bytes, state.validator, digest

    def _same(self, state: State) -> bool:
        """Whether the last try was for the same file."""
        if self.source.sha256:
            return state.sha256 == self.source.sha256
        return state.url == self._address() and not state.sha256 and bool(state.validator)

    def _begin_anew(self, file: BinaryIO) -> None:
        self.done_bytes = self.size_bytes = self.saved_bytes = 0
        self.validator, self.digest = "", hashlib.sha256()
        self.partial.state_file.unlink(missing_ok=True)
        file.truncate(0)
        file.seek(0)

    def _keep_trying(self, connection: Connection, file: BinaryIO) -> None:
        failures, reached, die = 0, self.done_bytes > 0, SystemRandom()
        while True:
            before_bytes = self.done_bytes
            try:
                self._once(connection, file)
                return
            except _Later as later:
                reached = reached or later.reached
                progress_bytes = self.done_bytes - before_bytes
                failures = 1 if progress_bytes >= self.pace.progress_bytes else failures + 1
                if failures >= (self.pace.tries if reached else self.pace.tries_offline):
                    raise self._given_up(later, reached) from None
                wait_s = later.wait_s
                if wait_s is None:
                    wait_s = self.pace.wait_s(failures, die)
                if reached:  # else one line will say that there is no way
                    self.watcher.said(f"{later}: trying again in {wait_s:.0f} s")
            self._save(file)
            self.wait(wait_s)

    def _given_up(self, last: _Later, reached: bool) -> NodeLost:
        if not reached:
            return no_way_to(self.source.host)
        return NodeLost(f"{last}, {self.pace.tries} times in a row", hint=AGAIN)

    def _once(self, connection: Connection, file: BinaryIO) -> None:
        """Ask once, and write what comes; returns when all is here."""
        if self.size_bytes and self.done_bytes == self.size_bytes:
            return  # the last try ended between the last byte and its name
        host = self.source.host
        if_range = "" if self.source.sha256 else self.validator
        try:
            with connection.rest(self.done_bytes, if_range) as answer:
                if self._accept(answer, file):
                    self._write(answer, file)
        except httpx2.ConnectError:
            raise _Later(f"{host} cannot be reached", reached=False) from None
        except httpx2.TimeoutException as failure:
            connected = not isinstance(failure, httpx2.ConnectTimeout)
            raise _Later(f"{host} is silent", reached=connected) from None
        except (httpx2.HTTPError, httpx2.StreamError):
            raise _Later(f"{host} broke the connection off") from None
        if self.done_bytes < self.size_bytes:
            raise _Later(f"{host} stopped in the middle")

    def _accept(self, answer: httpx2.Response, file: BinaryIO) -> bool:
        """Decide by status and headers; False: nothing more is needed."""
        host, status = self.source.host, answer.status_code
        if status in RETRY_STATUSES:
            raise self._told_to_wait(status, retry_after_s(answer.headers))
        if status not in (200, 206, 416) or answer.headers.get("content-encoding", "identity") != (
            "identity"
        ):
            raise refuse(self.source, status)
        validator = "" if self.source.sha256 else self.validator
        told = understand(status, answer.headers, done_bytes=self.done_bytes, validator=validator)
        match told.meaning:
            case Meaning.COMPLETE:
                return False
            case Meaning.BEGIN_ANEW:
                self._begin_anew(file)
                raise _Later(f"{host} has another file there by now", wait_s=0.0)
            case Meaning.NO_SIZE | Meaning.NONSENSE:
                raise InvalidRequest(
                    f"{host} does not say how big the file is, or contradicts itself",
                    hint="nothing is fetched that cannot be bounded: try another server",
                )
            case Meaning.FROM_THE_START:
                if self.done_bytes:
                    self.watcher.said(f"{host} sends the file from its beginning: beginning anew")
                self._begin_anew(file)
        self._check_size(told.size_bytes, file)
        self.validator = validator_of(answer.headers)
        return self.done_bytes < self.size_bytes

    def _told_to_wait(self, status: int, wait_s: float | None) -> _Later | NodeLost:
        host = self.source.host
        if wait_s is not None and wait_s > self.pace.retry_after_most_s:
            return NodeLost(
                f"{host} answered {status} and wants us back in {wait_s / 60:.0f} min",
                hint=f"{AGAIN} then",
            )
        return _Later(f"{host} answered {status}", wait_s=wait_s)

    def _check_size(self, size_bytes: int, file: BinaryIO) -> None:
        known_bytes = self.source.size_bytes
        if known_bytes is not None and size_bytes != known_bytes:
            self._begin_anew(file)
            raise InvalidRequest(
                f"{self.source.host} has {size_bytes:,} bytes, and the file has {known_bytes:,}",
                hint="it is another file: check the name, or try another server",
            )
        if self.size_bytes not in (0, size_bytes):
            self._begin_anew(file)
            raise _Later(f"{self.source.host} has another file there by now", wait_s=0.0)
        self.on_size(size_bytes)
        free_bytes = disk_free_bytes(self.partial.folder)
        if why := why_no_room(size_bytes - self.done_bytes, free_bytes):
            raise InvalidRequest(f"{self.source.name} {why}", hint=f"free some space and {AGAIN}")
        self.size_bytes = size_bytes

    def _write(self, answer: httpx2.Response, file: BinaryIO) -> None:
        marked_at_s, marked_bytes = time.monotonic(), self.done_bytes
        for block in answer.iter_raw():
            if self.done_bytes + len(block) > self.size_bytes:
                self._begin_anew(file)
                raise InvalidRequest(
                    f"{self.source.host} sends more than the {self.size_bytes:,} bytes it said",
                    hint="nothing of it was kept: try another server",
                )
            view = memoryview(block)
            while view:
                view = view[file.write(view) :]
            self.digest.update(block)
            self.done_bytes += len(block)
            self.watcher.progressed(self.done_bytes, self.size_bytes)
            now_s = time.monotonic()
            if self._due(now_s):
                self._save(file)
            if now_s - marked_at_s > SLOW_S:
                if self.done_bytes - marked_bytes < SLOW_BYTES:
                    raise _Later(f"{self.source.host} is hardly sending anything")
                marked_at_s, marked_bytes = now_s, self.done_bytes

    def _due(self, now_s: float) -> bool:
        ahead_bytes = self.done_bytes - self.saved_bytes
        return (
            now_s - self.saved_at_s >= self.pace.checkpoint_s
            or ahead_bytes >= self.pace.checkpoint_bytes
        )

    def _save(self, file: BinaryIO) -> None:
        """First the bytes, then what is said of them."""
        if not self.size_bytes or self.done_bytes == self.saved_bytes:
            return
        os.fsync(file.fileno())
        self.partial.write(
            State(
                url=self._address(),
                validator=self.validator,
                size_bytes=self.size_bytes,
                sha256=self.source.sha256,
                done_bytes=self.done_bytes,
                done_sha256=self.digest.hexdigest(),
            )
        )
        self.saved_bytes, self.saved_at_s = self.done_bytes, time.monotonic()

    def _check_whole(self) -> None:
        wanted, got = self.source.sha256, self.digest.hexdigest()
        if wanted and got != wanted:
            self.partial.remove()
            raise InvalidRequest(
                f"{self.source.origin}: its sha256 is {got[:16]}…, and should be {wanted[:16]}…",
                hint="what came was thrown away: run the same command again, or ask elsewhere",
            )

    def _address(self) -> str:
        """Tell addresses apart without keeping a query on the disk: it may hold a signature."""
        return f"{self.source.origin} {hashlib.sha256(self.source.url.encode()).hexdigest()[:16]}"
