"""Private files: each is whole or absent, and made for its owner alone.

A file is written under a temporary name beside its own, made with mode 600 from the start, flushed
to disk and then renamed. Whoever reads sees the old content or the new one, never a part.
"""

import errno
import os
import secrets
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mesh.errors import NotAuthenticated, ServiceError
from mesh.platforms.here import HERE

FILE_BYTES_MAX = 65_536  # keys, certificates and addresses take a few kilobytes
JOIN_AGAIN = "run deskmesh join again, with a new code"
NOT_OURS = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})  # what no other try will change
OPEN_HOME = "let this user read and write there, or set DESKMESH_HOME to a folder of its own"


def private_folder(folder: Path) -> Path:
    """Make ``folder`` if needed, see to it that only its owner may enter (700), and return it.

    Raises:
        ServiceError: the folder cannot be made or belongs to someone else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as failure:
        raise cannot("make the folder", folder, failure) from failure
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path``, mode 600; what was there is replaced in one step.

    Raises:
        ServiceError: it cannot be written; what was there is still there.
    """
    try:
        with _written_beside(path, content) as temporary:
            temporary.replace(path)
        HERE.sync_folder(path.parent)
    except OSError as failure:
        raise cannot("write", path, failure) from failure


def write_private_once(path: Path, content: bytes) -> bool:
    """Write ``content`` to ``path``, mode 600, unless it exists; tell whether this call wrote it.

    Of several processes that try at once exactly one gets True.

    Raises:
        ServiceError: it cannot be written.
    """
    try:
        with _written_beside(path, content) as temporary:
            os.link(temporary, path)  # unlike a rename, a link never replaces
        HERE.sync_folder(path.parent)
    except FileExistsError:
        return False
    except OSError as failure:
        raise cannot("write", path, failure) from failure
    return True


def read_private(path: Path, *, mend: str = JOIN_AGAIN) -> bytes:
    """Read a secret file, which nobody else may read; ``mend`` is the hint if it is damaged.

    Raises:
        NotAuthenticated: others may read or write it, or it is too long to be ours.
        FileNotFoundError: it is not there.
        ServiceError: it cannot be read.
    """
    return _read(path, forbidden=0o077, mend=mend)


def read_trusted(path: Path, *, mend: str = JOIN_AGAIN) -> bytes:
    """Read a file that nobody else may write; ``mend`` is the hint if it is damaged.

    Raises:
        NotAuthenticated: others may write it, or it is too long to be ours.
        FileNotFoundError: it is not there.
        ServiceError: it cannot be read.
    """
    return _read(path, forbidden=0o022, mend=mend)


def cannot(action: str, path: Path, failure: OSError) -> ServiceError:
    """Say that the machine's disk, not the mesh, is what stands in the way."""
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some disk space and try again"
    else:
        hint = OPEN_HOME
    return ServiceError(f"cannot {action} {path}: {failure.strerror or failure}", hint=hint)


def _read(path: Path, *, forbidden: int, mend: str) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise
    except OSError as failure:
        raise cannot("read", path, failure) from failure
    if HERE.open_to_others(status, forbidden):
        mode = stat.S_IMODE(status.st_mode)
        raise NotAuthenticated(
            f"{path} is open to other users (mode {mode:03o}), so it is not used",
            hint=f"close it: chmod 600 {shlex.quote(str(path))}",
        )
    if len(content) > FILE_BYTES_MAX:
        raise NotAuthenticated(f"{path} is damaged: longer than {FILE_BYTES_MAX} bytes", hint=mend)
    return content


@contextmanager
def _written_beside(path: Path, content: bytes) -> Iterator[Path]:
    """Yield a new file in ``path``'s folder that holds ``content``, on disk; then remove it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | HERE.open_flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
