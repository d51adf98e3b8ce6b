"""The hidden file of one download while it grows: its bytes, their sha256, and its checkpoints.

Each second the bytes are written through to the disk, and how many there are and what their sha256
is goes into a state file (``partial``). Of an earlier try only what its bytes still prove is
believed: they are hashed again, and the rest is cut off.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from mesh.pulling.digests import Digests
from mesh.pulling.fitting import gigabytes
from mesh.pulling.pace import Pace
from mesh.pulling.partial import Partial, State, hash_head
from mesh.pulling.source import Source


@dataclass
class Growing:
    """The open file, and what is known of it. OSError of the disk goes through."""

    source: Source
    partial: Partial
    pace: Pace
    file: BinaryIO
    before: "hashlib._Hash | None" = None  # of the parts of the model that come before it
    done_bytes: int = 0
    size_bytes: int = 0  # 0: not told yet
    validator: str = ""
    digests: Digests = field(default_factory=Digests)
    _saved_at_s: float = 0.0
    _saved_bytes: int = 0

    @property
    def whole(self) -> bool:
        """Whether no byte is missing, as far as the size is known."""
        return bool(self.size_bytes) and self.done_bytes == self.size_bytes

    def take_up(self, say: Callable[[str], None]) -> None:
        """Go on from the last try, as far as its bytes are still what it wrote."""
        state = self.partial.read()
        if state is None or not state.done_bytes or not self._same(state):
            self.begin_anew()
            return
        say(f"checking {gigabytes(state.done_bytes)} that are here already")
        digests = Digests(self.before)
        hash_head(self.file, state.done_bytes, digests, lambda _: None)
        if digests.own.hexdigest() != state.done_sha256:
            say("they changed on the disk since: beginning anew")
            self.begin_anew()
            return
        self.file.truncate(state.done_bytes)
        self.file.seek(state.done_bytes)
        self.done_bytes = self._saved_bytes = state.done_bytes
        self.size_bytes, self.validator, self.digests = state.size_bytes, state.validator, digests

    def begin_anew(self) -> None:
        """Throw away what is here."""
        self.done_bytes = self.size_bytes = self._saved_bytes = 0
        self.validator, self.digests = "", Digests(self.before)
        self.partial.state_file.unlink(missing_ok=True)
        self.file.truncate(0)
        self.file.seek(0)

    def append(self, block: bytes) -> None:
        """Add bytes that came, and write all through to the disk where it is time to."""
        view = memoryview(block)
        while view:
            view = view[self.file.write(view) :]
        self.digests.update(block)
        self.done_bytes += len(block)
        ahead_bytes = self.done_bytes - self._saved_bytes
        if (
            time.monotonic() - self._saved_at_s >= self.pace.checkpoint_s
            or ahead_bytes >= self.pace.checkpoint_bytes
        ):
            self.save()

    def save(self) -> None:
        """First the bytes, then what is said of them."""
        if not self.size_bytes or self.done_bytes == self._saved_bytes:
            return
        os.fsync(self.file.fileno())
        self.partial.write(
            State(
                url=self._address(),
                validator=self.validator,
                size_bytes=self.size_bytes,
                sha256=self.source.sha256,
                done_bytes=self.done_bytes,
                done_sha256=self.digests.own.hexdigest(),
            )
        )
        self._saved_bytes, self._saved_at_s = self.done_bytes, time.monotonic()

    def _same(self, state: State) -> bool:
        """Whether the last try was for the same file."""
        if self.source.sha256:
            return state.sha256 == self.source.sha256
        if state.url != self._address() or state.sha256 or not state.validator:
            return False
        return self.source.validator in ("", state.validator)

    def _address(self) -> str:
        """Tell addresses apart without keeping a query on the disk: it may hold a signature."""
        return f"{self.source.origin} {hashlib.sha256(self.source.url.encode()).hexdigest()[:16]}"


@contextmanager
def growing(
    source: Source, partial: Partial, pace: Pace, before: "hashlib._Hash | None"
) -> Iterator[Growing]:
    """Open the hidden file; what it has is kept at the end, however that comes."""
    partial.file.touch(mode=0o600)
    with partial.file.open("r+b", buffering=0) as file:
        it = Growing(source, partial, pace, file, before, digests=Digests(before))
        try:
            yield it
        finally:
            with contextlib.suppress(OSError):
                it.save()
                if not it.done_bytes:
                    partial.remove()  # nothing to resume
