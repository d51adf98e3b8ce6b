"""How fast a model is pulled from this very machine, and whether memory grows with its size.

One process serves, this one fetches, hashes and writes through to the disk, as ``models pull``
does. The network is none, so what limits is ours: reading, sha256, and the disk.
"""

import asyncio
import gc
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.result import Figures
from mesh.errors import InvalidRequest
from mesh.pulling.download import fetch
from mesh.pulling.partial import Partial
from mesh.pulling.source import Source

BYTES = 5_000_000_000
SHORT_BYTES = 200_000_000
WARM_BYTES = 50_000_000  # what is allocated once, is by then
MB = 1_000_000


class _Memory:
    """A watcher that follows what this process holds."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._next_bytes = WARM_BYTES
        self.first_bytes = 0
        self.most_bytes = 0

    def progressed(self, done_bytes: int, size_bytes: int) -> None:
        if done_bytes < self._next_bytes:
            return
        self._next_bytes += WARM_BYTES // 2
        rss_bytes = int(self._process.memory_info().rss)
        self.first_bytes = self.first_bytes or rss_bytes
        self.most_bytes = max(self.most_bytes, rss_bytes)

    def said(self, line: str) -> None:
        print(f"  {line}")


async def measure(short: bool) -> Figures:
    """Fetch once, and check that every byte came."""
    return await asyncio.to_thread(pulled, SHORT_BYTES if short else BYTES)


def pulled(size_bytes: int) -> Figures:
    """Fetch ``size_bytes`` into a folder that is removed afterwards.

    Raises:
        InvalidRequest: the disk has no room for it.
    """
    with tempfile.TemporaryDirectory(prefix="deskmesh-bench-") as folder:
        if shutil.disk_usage(folder).free < 2 * size_bytes:
            raise InvalidRequest(
                f"{folder} has no room for {size_bytes:,} bytes twice", hint="try --short"
            )
        command = [sys.executable, "-m", "bench.range_server", str(size_bytes)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            url, sha256 = server.stdout.readline().split()
            try:
                return _timed(url, sha256, size_bytes, Path(folder))
            finally:
                server.kill()


def _timed(url: str, sha256: str, size_bytes: int, folder: Path) -> Figures:
    memory = _Memory()
    gc.collect()
    source = Source(url=url, name="bench", origin=url, sha256=sha256, size_bytes=size_bytes)
    began_s = time.monotonic()
    fetched = fetch(source, Partial.of_file(folder, source.name), memory)
    took_s = time.monotonic() - began_s
    assert fetched.size_bytes == size_bytes
    return {
        "mb_per_s": size_bytes / MB / took_s,
        "rss_growth_mb": (memory.most_bytes - memory.first_bytes) / MB,
        "gb": size_bytes / 1e9,
    }
