"""A disk of a test's own, to be filled and made read-only: a small file system in memory."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE_BYTES = 2 * 1024 * 1024


class Disk:
    """A mounted file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ballast = root / "ballast"

    def fill(self) -> None:
        """Take all room there is."""
        with self._ballast.open("ab", buffering=0) as file:
            for chunk_bytes in (4096, 1):
                try:
                    while file.write(b"\0" * chunk_bytes):
                        pass
                except OSError:
                    continue

    def make_room(self) -> None:
        self._ballast.unlink()

    def make_read_only(self) -> None:
        # Lazily, as a kernel does it to a disk that fails: whoever has a file open may keep it.
        _run("mount", "-o", "remount,ro", str(self.root))

    def make_writable(self) -> None:
        _run("mount", "-o", "remount,rw", str(self.root))


@contextmanager
def mounted(root: Path) -> Iterator[Disk]:
    """Mount a disk at ``root``; skips the test where this user may not."""
    root.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk to fill")
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES},mode=700", "tmpfs", str(root))
    except (OSError, subprocess.CalledProcessError) as failure:
        pytest.skip(f"no disk can be mounted here: {failure}")
    try:
        yield Disk(root)
    finally:
        _run("umount", "--lazy", str(root))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
