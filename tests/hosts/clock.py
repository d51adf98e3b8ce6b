"""A wall clock of one's own for the processes of one machine, which a test moves while they run.

``libfaketime`` 0.9.10 was tried: with a true monotonic clock, Python's ``time.sleep`` fails under
it, and the futex waits of gRPC sleep as long as the clock was moved.
"""

import shutil
import struct
import subprocess
import sys
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

SOURCE = Path(__file__).with_name("clock.c")
COMPILER = shutil.which("cc") or shutil.which("c++") or ""
SECONDS = struct.Struct("=q")

_folder = TemporaryDirectory(prefix="deskmesh-clock-")  # removed when this process ends
_numbers = count()


class Clock:
    """How far one machine's wall clock is off, kept in a file that its processes read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._moved_s = 0
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(SECONDS.pack(0))

    def move(self, seconds: float) -> None:
        """Set the clock forward, or back, for everything that runs with it and will."""
        self._moved_s += int(seconds)
        with self._file.open("r+b") as file:  # in place: its readers have mapped it
            file.write(SECONDS.pack(self._moved_s))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in order to live by this clock."""
        return {"LD_PRELOAD": str(_library(self._file))}


@cache
def _library(file: Path) -> Path:
    library = Path(_folder.name) / f"clock-{next(_numbers)}.so"
    options = ["-x", "c", "-shared", "-fPIC", "-O2", f'-DCLOCK_FILE="{file}"']
    command = [COMPILER, *options, "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return library


@cache
def why_not() -> str:
    """Return why clocks cannot be moved here, "" if they can."""
    if sys.platform != "linux":
        return "needs Linux, to move clocks"
    if not COMPILER:
        return "needs a C compiler, to move clocks"
    try:
        _library(Path("/nowhere"))
    except subprocess.CalledProcessError as failure:
        return f"the clock that moves does not compile here: {failure.stderr.strip()[-300:]}"
    return ""


needs_clock = pytest.mark.skipif(bool(why_not()), reason=why_not())
