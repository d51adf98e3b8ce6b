"""Coordinator and node as child processes of ``deskmesh up`` and ``deskmesh demo``."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mesh.platforms.here import HERE
from mesh.process import SUPERVISED

STOP_WITHIN_S = 10.0  # an agent lets its running answers finish for 5 s


@dataclass(slots=True)
class Child:
    """One process of ours; it ends when we do, however we end."""

    name: str
    process: asyncio.subprocess.Process

    async def wait(self) -> int:
        return await self.process.wait()

    async def stop(self) -> None:
        """Ask it to stop, then make it."""
        if self.process.returncode is not None:
            return
        assert self.process.stdin is not None
        self.process.stdin.close()  # which is how it would learn of our end as well
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def running(
    package: str,
    environment: Mapping[str, str],
    *,
    log_file: Path | None = None,
    within: Sequence[str] = (),
) -> AsyncIterator[Child]:
    """Run ``python -m package`` while the context is open.

    Its log goes to our stderr, or to ``log_file``. Its stdin is a pipe that only we hold: when we
    die without a word, it reads the end of it and stops. ``within`` is a command that becomes the
    one after it, on another machine that is played here.
    """
    with ExitStack() as files:
        # Opened before any loop work of the child's: a local file, and this process waits anyway.
        log = files.enter_context(log_file.open("ab")) if log_file else None
        process = await asyncio.create_subprocess_exec(
            *within,
            sys.executable,
            "-m",
            package,
            env={**os.environ, **environment, SUPERVISED: "1"},
            stdin=asyncio.subprocess.PIPE,
            stderr=log,
            **HERE.apart,  # Ctrl-C comes to us alone, and we stop it in order
        )
    child = Child(package, process)
    try:
        yield child
    finally:
        await asyncio.shield(child.stop())
