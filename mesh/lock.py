"""One coordinator and one node a home: two of either would fight over one identity."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mesh.errors import InvalidRequest
from mesh.home import Home
from mesh.identity.files import cannot
from mesh.platforms.here import HERE


@contextmanager
def only_one(home: Home, what: str) -> Iterator[None]:
    """Be the only ``what`` of ``home`` while the context is open; a crash frees it as well.

    Raises:
        InvalidRequest: another process is; says which.
        ServiceError: the disk refuses.
    """
    path = home.root / f"{what}.lock"
    try:
        home.ensure(home.root)
        descriptor = _locked(path, home, what)
    except OSError as failure:
        raise cannot("write", path, failure) from None
    try:
        yield
    finally:
        HERE.remove_locked(descriptor, path)


def _locked(path: Path, home: Home, what: str) -> int:
    """Return the open descriptor of the lock file, locked and with our process id in it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | HERE.open_flags, 0o600)
        try:
            HERE.lock(descriptor)
            # Its last holder may have removed the file between our two steps: then it is no lock.
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
                return descriptor
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode("ascii", "replace") or "unknown"
            os.close(descriptor)
            raise InvalidRequest(
                f"a {what} runs from {home.root} already (process {holder})",
                hint="stop it, or play another machine with another DESKMESH_HOME",
            ) from None
        os.close(descriptor)
