"""A machine played by a home of its own: real processes, real sockets, its own log."""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from mesh.home import Home

ROOT = Path(__file__).parents[2]
WITHIN_S = 60.0  # far longer than anything takes on a busy machine; a test that hangs fails

FREE_PORTS = {f"DESKMESH_PORTS__{port}": "0" for port in ("MESH", "JOIN", "LOCAL", "HTTP")}
FOREIGN = re.compile(
    r"DESKMESH|OPENAI_|OLLAMA_|LLAMA_|HF_|HUGGINGFACE_|XDG_|.*_PROXY$", re.IGNORECASE
)
DESKMESH = (sys.executable, "-m", "mesh.cli.entry")


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
    ports: dict[str, str] = field(default_factory=FREE_PORTS.copy)
    within: tuple[str, ...] = ()  # the command that runs another one on this machine

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the surrounding shell that deskmesh or its clients read gets in."""
        clean = {key: value for key, value in os.environ.items() if not FOREIGN.match(key)}
        return {
            **clean,
            "DESKMESH_HOME": str(self.home.root),
            "DESKMESH_NODE__NAME": self.name,
            "DESKMESH_NODE__MODEL_FOLDERS": "[]",
            "DESKMESH_NODE__FIND_ENGINES": "false",  # whoever runs the tests may have some
            "DESKMESH_NODE__GENEROSITY": "full",  # other tests are no owner to step back for
            "DESKMESH_NODE__ON_BATTERY": "serve",
            "PYTHONPATH": str(ROOT),
            **self.ports,
            **self.settings,
        }

    async def run(self, *arguments: str, stdin: bytes | None = None) -> Result:
        """Run ``deskmesh`` with ``arguments`` and wait for its end."""
        return await self.run_program(*DESKMESH, *arguments, stdin=stdin)

    async def run_program(self, *command: str, stdin: bytes | None = None) -> Result:
        """Run any ``command`` and wait for its end."""
        process = await asyncio.create_subprocess_exec(
            *self.within,
            *command,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(WITHIN_S):
            out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())

    def running(self, *arguments: str) -> AbstractAsyncContextManager["Running"]:
        """Keep ``deskmesh`` with ``arguments`` running while the context is open."""
        return self.running_program(*DESKMESH, *arguments)

    @asynccontextmanager
    async def running_program(self, *command: str) -> AsyncIterator["Running"]:
        """Keep any ``command`` running while the context is open."""
        process = await asyncio.create_subprocess_exec(
            *self.within,
            *command,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
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

    async def tell(self, line: str) -> None:
        """Write a line to its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def says(self, text: str) -> float:
        """Wait for a line with ``text`` in it, and return when it came."""
        return await self.line(lambda line: text in line, what=repr(text))

    async def line(self, wanted: Callable[[str], bool], *, what: str, after: int = 0) -> float:
        """Wait for a ``wanted`` line, not among the first ``after``, and return when it came."""
        try:
            async with asyncio.timeout(WITHIN_S), self._more:
                while True:
                    for at_s, line in self.lines[after:]:
                        if wanted(line):
                            return at_s
                    after = max(after, len(self.lines))
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"never said {what}, but:\n{self.text}") from None

    @property
    def text(self) -> str:
        return "\n".join(line for _, line in self.lines)

    def family(self) -> list[psutil.Process]:
        """This process and every one below it."""
        me = psutil.Process(self.process.pid)
        return [me, *me.children(recursive=True)]

    def engines(self) -> list[psutil.Process]:
        return [each for each in self.family() if "node_agent.engine.worker" in _words(each)]


def _words(process: psutil.Process) -> list[str]:
    """Return its command line; none if it has just ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
