"""Fetches one file, as often as it takes, and gives it away only when it is right.

1. Bytes go into a hidden file (``growing``), which a next try, in this process or a later one,
   takes up where its bytes still prove what was written.
2. It asks for what follows (``exchange``). Where the sha256 of the whole is known, that is proof
   enough, whoever serves the rest: hubs send each try to another host, with another ETag. Otherwise
   If-Range asks for the rest of the same file only.
3. What is no byte yet, or no more, is tried again after a while (``tries``): tries without progress
   are bounded. What will not get better is said at once, and nothing is tried again.
4. At the end the sha256 of all bytes must be what it is known to be. If not, all is thrown away.
"""

import errno
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mesh.errors import InvalidRequest, MeshError, ServiceError
from mesh.identity.files import NOT_OURS, OPEN_HOME
from mesh.pulling.connection import Connection
from mesh.pulling.exchange import Exchange
from mesh.pulling.growing import growing
from mesh.pulling.pace import Pace
from mesh.pulling.partial import Partial
from mesh.pulling.source import Source
from mesh.pulling.tries import AGAIN, Tries
from mesh.pulling.watcher import Watcher


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole file that is what it should be, under its hidden name still."""

    file: Path
    sha256: str
    size_bytes: int
    resumed_bytes: int  # were here before
    so_far: "hashlib._Hash"  # of a part, and all parts before it


def fetch(  # noqa: PLR0913 - a file, where it goes, who is told, and time in tests
    source: Source,
    partial: Partial,
    watcher: Watcher,
    *,
    before: "hashlib._Hash | None" = None,
    pace: Pace | None = None,
    wait: Callable[[float], None] = time.sleep,
    on_size: Callable[[int], None] = lambda _: None,
) -> Fetched:
    """Fetch ``source`` into ``partial``'s file. The caller holds the lock of the model's name.

    Args:
        before: of the parts of the same model that come before it; None: it is the first.
        on_size: called with the size in bytes before the first of them comes; may raise.

    Raises:
        MeshError: says what, why and what to do; what is here already stays for the next time
            unless it is wrong.
    """
    pace = pace or Pace()
    try:
        partial.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            Connection(source, pace) as connection,
            growing(source, partial, pace, before) as file,
        ):
            file.take_up(watcher.said)
            resumed_bytes = file.done_bytes
            exchange = Exchange(source, connection, file, watcher, on_size)
            tries = Tries(source.host, pace, watcher.said, wait)
            tries.until_done(exchange.once, lambda: file.done_bytes, reached=resumed_bytes > 0)
        sha256 = file.digests.own.hexdigest()
        _check(source, sha256, partial)
        return Fetched(
            partial.file, sha256, file.done_bytes, resumed_bytes, so_far=file.digests.so_far
        )
    except OSError as failure:
        raise _in_words(failure, partial.folder) from None


def _check(source: Source, sha256: str, partial: Partial) -> None:
    """Keep nothing that is not what it should be."""
    if source.sha256 and sha256 != source.sha256:
        partial.remove()
        raise InvalidRequest(
            f"{source.origin}: its sha256 is {sha256[:16]}…, and should be {source.sha256[:16]}…",
            hint="what came was thrown away: run the same command again, or ask elsewhere",
        )


def _in_words(failure: OSError, folder: Path) -> MeshError:
    if failure.errno in {errno.ENOSPC, errno.EDQUOT}:
        return InvalidRequest(f"the disk of {folder} is full", hint=f"free some space and {AGAIN}")
    if failure.errno == errno.EFBIG:
        return InvalidRequest(
            f"the disk of {folder} takes no file so large",
            hint="FAT32 ends at 4 GB, and `ulimit -f` may set a limit: use another, or lift it",
        )
    why = (failure.strerror or type(failure).__name__).lower()
    hint = OPEN_HOME if failure.errno in NOT_OURS else AGAIN
    return ServiceError(f"{failure.filename or folder}: {why}", hint=hint)
