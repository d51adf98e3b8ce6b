"""One setup at a time: others that want the same wait for it, and say so."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.following import say


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold ``path`` for this process alone. It is made if need be, its content left alone."""
    with path.open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(what, "another setup is at it, waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file lets go, and so does dying
