"""Reading the small files of other tools' stores: bounded, never a pipe, never a surprise."""

import os
import stat
from pathlib import Path


class TooLarge(ValueError):
    """A small file that is not small."""


def read_small_file(path: Path, bytes_max: int) -> bytes:
    """Return the content of a regular file, links followed.

    Raises:
        OSError: it is not there, cannot be read, or is no regular file.
        TooLarge: it has more than ``bytes_max`` bytes.
    """
    # Without waiting, as somebody's pipe of that name would never end; on Windows, as it is.
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, os.O_RDONLY | flags)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path.name} is not a regular file")
        content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise TooLarge(f"it has more than {bytes_max:,} bytes")
    return content


def is_folder(path: Path) -> bool:
    """Is a folder there, as far as may be known? Unlike ``Path.is_dir``, it never raises."""
    try:
        return path.is_dir()
    except OSError:
        return False


def read_text_file(path: Path, bytes_max: int) -> str:
    """Return the text of a small file that may be missing or broken: "" then."""
    try:
        return read_small_file(path, bytes_max).decode()
    except (OSError, ValueError):
        return ""
