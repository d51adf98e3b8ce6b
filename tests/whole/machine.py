"""A machine played by a home of its own: real processes, real sockets, its own log."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from mesh.home import Home

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0  # far longer than anything takes on a busy machine; a test that hangs fails

FREE_PORTS = {f"DESKMESH_PORTS__{port}": "0" for port in ("MESH", "JOIN", "LOCAL", "HTTP")}


@dataclass(slots=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(slots=True)
class Machine:
    """One home, and what runs in it."""

    home: Home
    name: str
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the surrounding shell's deskmesh gets in."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("DESKMESH")}
        return {
            **clean,
            "DESKMESH_HOME": str(self.home.root),
            "DESKMESH_NODE__NAME": self.name,
            "DESKMESH_NODE__MODEL_FOLDERS": "[]",
            "PYTHONPATH": str(ROOT),
            **FREE_PORTS,
            **self.settings,
        }

    async def run(self, *arguments: str, stdin: bytes | None = None) -> Result:
        """Run ``deskmesh`` with ``arguments`` and wait for its end."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mesh.cli.entry",
            *arguments,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(WITHIN_S):
            out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def running(self, *arguments: str) -> AsyncIterator["Running"]:
        """Keep ``deskmesh`` with ``arguments`` running while the context is open."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mesh.cli.entry",
            *arguments,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        started = Running(process)
        reading = asyncio.create_task(started.read())
        try:
            yield started
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(WITHIN_S):
                await process.wait()
                await reading


@dataclass(slots=True)
class Running:
    """A process, and the lines that it has printed so far."""

    process: asyncio.subprocess.Process
    lines: list[tuple[float, str]] = field(default_factory=list)  # monotonic seconds, text
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._more:
                self.lines.append((time.monotonic(), line.decode().rstrip()))
                self._more.notify_all()
        async with self._more:
            self._more.notify_all()

    async def says(self, text: str) -> float:
        """Wait for a line with ``text`` in it, and return when it came."""
        try:
            async with asyncio.timeout(WITHIN_S), self._more:
                while True:
                    for at_s, line in self.lines:
                        if text in line:
                            return at_s
                    await self._more.wait()
        except TimeoutError:
            printed = "\n".join(line for _, line in self.lines)
            raise AssertionError(f"never said {text!r}, but:\n{printed}") from None

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)

    def family(self) -> list[psutil.Process]:
        """This process and every one below it."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def engines(self) -> list[psutil.Process]:
        return [each for each in self.family() if "node_agent.engine.worker" in each.cmdline()]
