"""The folder of saved states, which tell what was asked: private, of bounded age and size.

Every model of a machine shares it. A file is written under another name and renamed when it is
whole, and used once: it leaves before its state is given to llama.cpp, so that one that llama.cpp
cannot bear kills one engine, not one after the other.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SUFFIX, UNFINISHED = ".warm", ".part"
AGE_S_MAX = 24 * 3600.0  # who comes back later than tomorrow has waited for worse
UNFINISHED_S_MAX = 600.0  # a writer that is killed leaves one; the slowest takes a minute
DISK_FREE_BYTES_MIN = 2 << 30  # left to the owner


@dataclass(frozen=True, slots=True)
class WarmFolder:
    """Blocking: not for the agent's event loop."""

    path: Path
    bytes_max: int  # of all files together; 0: nothing is kept

    def files(self, model_id: str) -> list[Path]:
        """Return a model's files, the newest first."""
        found = self.path.glob(f"{model_id}.*{SUFFIX}")
        return [path for _, path in sorted(_dated(found), reverse=True)]

    @contextmanager
    def written(self, model_id: str, name: str, size_bytes: int) -> Iterator[Path]:
        """Yield a new empty file, of this user alone, that is renamed if all goes well.

        Raises:
            OSError: there is no room for ``size_bytes``, or the disk refuses.
        """
        self.make_room(size_bytes)
        if shutil.disk_usage(self.path).free < size_bytes + DISK_FREE_BYTES_MIN:
            raise OSError("the disk is nearly full")
        unfinished = self.path / f"{model_id}.{name}{UNFINISHED}"
        unfinished.unlink(missing_ok=True)
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            yield unfinished
            unfinished.replace(unfinished.with_suffix(SUFFIX))
        finally:
            unfinished.unlink(missing_ok=True)

    @contextmanager
    def taken(self, path: Path) -> Iterator[Path]:
        """Yield where a file is while it is used; nobody finds it again. Raises OSError."""
        taken = path.replace(path.with_suffix(UNFINISHED))
        try:
            yield taken
        finally:
            taken.unlink(missing_ok=True)

    def make_room(self, size_bytes: int) -> None:
        """Remove what was written first until there is room. Raises OSError: there never is."""
        if size_bytes > self.bytes_max:
            raise OSError("it is larger than all that may be kept")
        files = sorted(_dated(self.path.glob(f"*{SUFFIX}")))
        total_bytes = sum(_size_bytes(path) for _, path in files)
        for _, path in files:
            if total_bytes + size_bytes <= self.bytes_max:
                return
            total_bytes -= _size_bytes(path)
            path.unlink(missing_ok=True)

    def tidy(self, now_s: float) -> None:
        """Remove what is too old, too much, or left over; all, if nothing may be kept.

        ``now_s`` is Unix time. What is dated in the future, as the clock was wrong, goes too.
        """
        with suppress(OSError):  # it is tried again within the hour
            for most_s, suffix in ((AGE_S_MAX, SUFFIX), (UNFINISHED_S_MAX, UNFINISHED)):
                for modified_s, path in _dated(self.path.glob(f"*{suffix}")):
                    if not self.bytes_max or not -1.0 <= now_s - modified_s <= most_s:
                        path.unlink(missing_ok=True)
            self.make_room(0)


@dataclass(frozen=True, slots=True)
class WarmPlace:
    """Where a model's slots are saved."""

    folder: WarmFolder
    model_id: str

    def options(self) -> dict[str, str]:
        """Return what the engine process is told of it."""
        return {
            "--model-id": self.model_id,
            "--warm-folder": os.fspath(self.folder.path),
            "--warm-bytes-max": str(self.folder.bytes_max),
        }


def _dated(paths: Iterator[Path]) -> Iterator[tuple[float, Path]]:
    for path in paths:
        with suppress(FileNotFoundError):  # another engine has just taken it
            yield path.lstat().st_mtime, path


def _size_bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
