"""One request for what is missing of a file, and what its answer adds to it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from mesh.errors import InvalidRequest
from mesh.pulling.answer import Answer, Meaning, understand, validator_of
from mesh.pulling.connection import Connection
from mesh.pulling.fitting import why_no_room
from mesh.pulling.growing import Growing
from mesh.pulling.refusals import check_status, without_a_size
from mesh.pulling.source import Source
from mesh.pulling.this_machine import disk_free_bytes
from mesh.pulling.tries import AGAIN, Later
from mesh.pulling.watcher import Watcher

SLOW_S = 60.0  # who gives less than SLOW_BYTES in such a time keeps a dead download alive
SLOW_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a request needs; ``once`` may be called again and again."""

    source: Source
    connection: Connection
    growing: Growing
    watcher: Watcher
    on_size: Callable[[int], None]  # with the size in bytes before the first of them; may raise

    def once(self) -> None:
        """Ask once, and write what comes; returns when all is here.

        Raises:
            Later: it is not, and may be next time.
            MeshError: it never will be.
        """
        if self.growing.whole:
            return  # the last try ended between the last byte and its name
        host = self.source.host
        if_range = "" if self.source.sha256 else self.growing.validator
        try:
            with self.connection.rest(self.growing.done_bytes, if_range) as answer:
                if self._accept(answer):
                    self._write(answer)
            if not self.growing.whole:
                raise Later(f"{host} stopped in the middle")
        except Later:
            self.growing.save()
            raise

    def _accept(self, answer: httpx2.Response) -> bool:
        """Decide by status and headers; False: nothing more is needed."""
        growing = self.growing
        check_status(self.source, answer.status_code, answer.headers, growing.pace)
        validator = "" if self.source.sha256 else growing.validator
        told = understand(
            answer.status_code,
            answer.headers,
            done_bytes=growing.done_bytes,
            validator=validator,
        )
        self._check_meaning(told)
        self._check_size(told.size_bytes)
        if told.meaning is not Meaning.COMPLETE:
            growing.validator = validator_of(answer.headers)
        return not growing.whole

    def _check_meaning(self, told: Answer) -> None:
        host = self.source.host
        match told.meaning:
            case Meaning.BEGIN_ANEW:
                self._another_file()
            case Meaning.NO_SIZE | Meaning.NONSENSE:
                raise without_a_size(host)
            case Meaning.FROM_THE_START:
                if self.growing.done_bytes:
                    self.watcher.said(f"{host} sends the file from its beginning: beginning anew")
                self.growing.begin_anew()

    def _check_size(self, size_bytes: int) -> None:
        known_bytes, growing = self.source.size_bytes, self.growing
        if known_bytes is not None and size_bytes != known_bytes:
            growing.begin_anew()
            raise InvalidRequest(
                f"{self.source.host} has {size_bytes:,} bytes of it, not {known_bytes:,}",
                hint="it is another file: check the name, or try another server",
            )
        if growing.size_bytes not in (0, size_bytes):
            self._another_file()
        self.on_size(size_bytes)
        free_bytes = disk_free_bytes(growing.partial.folder)
        if why := why_no_room(size_bytes - growing.done_bytes, free_bytes):
            raise InvalidRequest(f"{self.source.name} {why}", hint=f"free some space and {AGAIN}")
        growing.size_bytes = size_bytes

    def _another_file(self) -> None:
        self.growing.begin_anew()
        raise Later(f"{self.source.host} has another file there by now", wait_s=0.0)

    def _write(self, answer: httpx2.Response) -> None:
        growing = self.growing
        marked_at_s, marked_bytes = time.monotonic(), growing.done_bytes
        for block in answer.iter_raw():
            if growing.done_bytes + len(block) > growing.size_bytes:
                said_bytes = growing.size_bytes
                growing.begin_anew()
                raise InvalidRequest(
                    f"{self.source.host} sends more than the {said_bytes:,} bytes it said",
                    hint="nothing of it was kept: try another server",
                )
            growing.append(block)
            self.watcher.progressed(growing.done_bytes, growing.size_bytes)
            now_s = time.monotonic()
            if now_s - marked_at_s > SLOW_S:
                if growing.done_bytes - marked_bytes < SLOW_BYTES:
                    raise Later(f"{self.source.host} is hardly sending anything")
                marked_at_s, marked_bytes = now_s, growing.done_bytes
