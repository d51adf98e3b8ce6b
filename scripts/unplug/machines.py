"""The machines of the demonstration: hosts of their own where those can be made, else homes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.played_mesh import environment, free_port
from mesh.cli.children import Child, running
from mesh.errors import DeadlineExceeded, ServiceError
from mesh.home import Home
from scripts.network import Network, inside

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60.0  # of a busy machine of two cores that starts all of them
# Everybody's own, where they are hosts of their own.
USUAL_PORTS = {"MESH": 7443, "JOIN": 7444, "LOCAL": 7481, "HTTP": 7480}
_LOOK_EVERY_S = 0.05


@dataclass(slots=True)
class Machine:
    """One of them, and what runs on it."""

    name: str
    home: Home
    ports: dict[str, int]
    within: tuple[str, ...]  # the command that runs another one there
    process: Child | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            **environment(self.home, self.name),
            **{f"DESKMESH_PORTS__{which}": str(port) for which, port in self.ports.items()},
            # Nobody else is on a network of their own; on this machine's, others may be.
            "DESKMESH_DISCOVERY__MULTICAST": "true" if self.within else "false",
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "*",
        }

    @property
    def door(self) -> str:
        """Where its own programs reach the mesh."""
        return f"http://127.0.0.1:{self.ports['HTTP']}"

    @property
    def program_environment(self) -> dict[str, str]:
        """What a program finds there that is no child of ``running``."""
        return {**os.environ, **self.environment}

    @asynccontextmanager
    async def running(self, package: str, *, ready: str) -> AsyncIterator[None]:
        """Run it until the context ends, which begins once its log says that it is ``ready``.

        Raises:
            ServiceError: it ended instead.
            DeadlineExceeded: it never said so.
        """
        log = self.home.root.with_suffix(".log")
        async with running(package, self.environment, log_file=log, within=self.within) as child:
            self.process = child
            await self._says(child, log, ready)
            yield

    async def deskmesh(self, *arguments: str) -> Any:
        """Type a command there that prints JSON; return that.

        Raises:
            ServiceError: it failed.
        """
        process = await asyncio.create_subprocess_exec(
            *self.command("mesh.cli.entry", *arguments, "--json"),
            env=self.program_environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode:
            said = (err or out).decode().strip()
            raise ServiceError(f"deskmesh {arguments[0]} on {self.name}: {said}")
        return json.loads(out) if out.strip() else None

    def command(self, module: str, *arguments: str) -> tuple[str, ...]:
        return (*self.within, sys.executable, "-m", module, *arguments)

    def kill(self) -> None:
        """Leave no process of it, without a word."""
        assert self.process is not None, "it runs"
        agent = psutil.Process(self.process.process.pid)
        for each in (agent, *agent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                each.kill()

    async def _says(self, child: Child, log: Path, text: str) -> None:
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while text not in (said := _read(log)):
                    if child.process.returncode is not None:
                        raise ServiceError(f"{self.name} did not start", hint=f"it said: {said}")
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            raise DeadlineExceeded(f"{self.name} was not ready in {READY_WITHIN_S:.0f} s") from None


@contextmanager
def machines(names: Sequence[str], folder: Path, *, hosts: bool) -> Iterator[dict[str, Machine]]:
    """Make machines: ``hosts`` of their own on a network, or homes of their own on this one."""
    if not hosts:
        yield {name: Machine(name, Home(folder / name), _free_ports(), ()) for name in names}
        return
    with Network() as network:
        made = {}
        for number, name in enumerate(names, start=1):
            namespace = network.machine(name.replace("-", ""))
            network.plug(namespace, f"10.77.0.{number}")
            made[name] = Machine(name, Home(folder / name), USUAL_PORTS, inside(namespace))
        yield made


async def start(stack: AsyncExitStack, office: Machine, nodes: Sequence[Machine]) -> None:
    """Let a coordinator and its nodes run, each of which holds the bundled model in memory."""
    await stack.enter_async_context(
        office.running("coordinator", ready="nodes and operators on port")
    )
    await asyncio.gather(*(_join(office, each, "node") for each in nodes))
    agents = [each.running("node_agent", ready=" 1 model") for each in nodes]
    await asyncio.gather(*map(stack.enter_async_context, agents))
    await asyncio.gather(*(each.deskmesh("ask", "--tier", "device", "hi") for each in nodes))


async def start_client(stack: AsyncExitStack, office: Machine, laptop: Machine) -> None:
    """Let a machine that lends nothing run, for its own programs' sake."""
    await _join(office, laptop, "client", "--no-lend")
    await stack.enter_async_context(
        laptop.running("node_agent", ready=f"http://localhost:{laptop.ports['HTTP']}")
    )


async def _join(office: Machine, machine: Machine, role: str, *options: str) -> None:
    invitation = await office.deskmesh("invite", "--role", role)
    await machine.deskmesh("join", invitation["code"], *options)


def _free_ports() -> dict[str, int]:
    return {which: free_port() for which in USUAL_PORTS}


def _read(log: Path) -> str:
    """Return what a log says so far: a local file of a few lines."""
    return log.read_text(errors="replace").strip()
