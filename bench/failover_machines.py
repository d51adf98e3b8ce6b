"""Machines to be killed: real agents with real engines, which come back each time.

A machine counts as ready when its own door has answered once from each of its models, so that a
death never waits for a cold load elsewhere: that is another figure.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import psutil

from bench.played_mesh import PlayedMesh, environment, free_port
from mesh.cli.children import Child, running
from mesh.cli.operations import new_invitation
from mesh.client import connect
from mesh.errors import MeshError
from mesh.home import Home
from mesh.joining import join

SLOTS = 8  # of each model: one machine can take over what all others answered
READY_WITHIN_S = 60.0
# A machine that comes back takes processors of its own. Here all share two cores, and a program's
# start takes both for a second or two: let those who go on have begun by then.
BACK_AFTER_S = 2.0
_AGAIN_S = 0.1
_ENGINE = "node_agent.engine.worker"


class How(StrEnum):
    """What is done to a machine, and so how it can be noticed."""

    AGENT = "reset"  # kill -9 of the agent, and its engines die with it
    ENGINE = "engine"  # kill -9 of an engine; the agent tells
    SILENCE = "silence"  # SIGSTOP of all of it: as a host that hangs
    WEDGE = "wedge"  # SIGSTOP of the engines while the agent beats


@dataclass(slots=True)
class VictimMachine:
    """One node. ``ready`` tells whether it may be killed, and whether others may be."""

    name: str
    given: dict[str, str]
    log: Path
    models: Sequence[str]
    ready: bool = False
    deaths: int = 0
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _agent: Child | None = None
    _returning: "asyncio.Task[None] | None" = None

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        self._agent = await self._stack.enter_async_context(
            running("node_agent", self.given, log_file=self.log)
        )
        await self._answered()

    async def stop(self) -> None:
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.wait([self._returning])
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)
        await self._stack.aclose()

    def strike(self, how: How) -> float:
        """Do it now; return when, on ``time.monotonic``. It comes back by itself."""
        self.ready = False
        self.deaths += 1
        family = self._family()
        engines = [each for each in family if _is_engine(each)]
        struck = {
            How.AGENT: family[:1],
            How.ENGINE: engines,
            How.SILENCE: [*family[:1], *engines],
            How.WEDGE: engines,
        }[how]
        blow = signal.SIGKILL if how in (How.AGENT, How.ENGINE) else signal.SIGSTOP
        at_s = time.monotonic()
        for process in struck:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(blow)
        if how in (How.AGENT, How.ENGINE):
            self.come_back(how)
        return at_s

    def come_back(self, how: How) -> None:
        """Make it useful again, in the background: what hangs is killed first."""
        self._returning = asyncio.create_task(self._come_back(how))

    async def _come_back(self, how: How) -> None:
        await asyncio.sleep(BACK_AFTER_S)
        whole = how in (How.AGENT, How.SILENCE)
        while not self.ready:
            try:
                await self._start_again(whole=whole)
            except (OSError, TimeoutError, MeshError) as failure:
                print(f"{self.name} did not come back: {failure or type(failure).__name__}")
                whole = True

    async def _start_again(self, *, whole: bool) -> None:
        for process in self._family():
            if whole or _is_engine(process):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        if whole:
            await self._stack.aclose()
            await self.start()
        else:
            await self._answered()

    async def _answered(self) -> None:
        address = f"127.0.0.1:{self.given['DESKMESH_PORTS__LOCAL']}"
        async with asyncio.timeout(READY_WITHIN_S):
            for model in self.models:
                while True:
                    try:
                        async with connect(address) as door:
                            await door.ask("hi", model=model, tier="device", max_tokens=1)
                        break
                    except MeshError:
                        await asyncio.sleep(_AGAIN_S)
        self.ready = True

    def _family(self) -> list[psutil.Process]:
        if self._agent is None:
            return []
        try:
            agent = psutil.Process(self._agent.process.pid)
            return [agent, *agent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@asynccontextmanager
async def victims(
    mesh: PlayedMesh, count: int, folder: Path, models: Sequence[str]
) -> AsyncIterator[list[VictimMachine]]:
    """Let ``count`` machines join and start; ``folder`` has their models' files."""
    machines = []
    for number in range(count):
        name = f"desk-{number}"
        home = Home(mesh.folder / name)
        code, _ = await new_invitation("node", "", mesh.coordinator_home)
        await join(home, code, machine_name=name)
        given = {
            **environment(home, name),
            "DESKMESH_NODE__MODEL_FOLDERS": f'["{folder}"]',
            "DESKMESH_NODE__FIND_ENGINES": "false",
            "DESKMESH_NODE__SLOTS": str(SLOTS),
            "DESKMESH_NODE__CONTEXT_TOKENS_MAX": "1024",
            "DESKMESH_NODE__THREADS": "1",  # several machines share these cores
            "DESKMESH_PORTS__LOCAL": str(free_port()),
        }
        machines.append(VictimMachine(name, given, mesh.folder / f"{name}.log", models))
    try:
        await asyncio.gather(*(machine.start() for machine in machines))
        yield machines
    finally:
        await asyncio.gather(*(machine.stop() for machine in machines))


def _is_engine(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return _ENGINE in process.cmdline()
    return False
