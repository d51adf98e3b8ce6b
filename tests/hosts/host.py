"""A machine that is a host of its own: its processes live in a network namespace, on a network."""

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mesh.home import Home
from tests.hosts.clock import Clock
from tests.hosts.network import Network, inside
from tests.whole.machine import Machine, Running

Nodes = dict[str, dict[str, Any]]  # what ``look.py`` prints: by name, state and what is running


@dataclass(slots=True, kw_only=True)
class Host(Machine):
    """A machine with a network interface, default ports and, if it was given one, a clock."""

    network: Network
    address: str
    namespace: str
    clock: Clock | None = field(default=None)

    def move_clock(self, seconds: float) -> None:
        """Move the wall clock of everything that runs here, and will."""
        assert self.clock is not None, "this host was made without a clock"
        self.clock.move(seconds)

    def unplug(self) -> None:
        """Pull the cable."""
        self.network.unplug(self.namespace)

    def plug_again(self) -> None:
        self.network.plug_again(self.namespace)

    def silence(self) -> None:
        """Lose every packet, while the link seems good: nothing is reset, nobody is told."""
        self.network.silence(self.namespace)

    def end_silence(self) -> None:
        self.network.end_silence(self.namespace)

    @asynccontextmanager
    async def looking(self) -> AsyncIterator["Looking"]:
        """Watch the mesh from here, as this host's own identity, while the context is open."""
        async with self.running_program(sys.executable, "-m", "tests.hosts.look") as process:
            yield Looking(process)


@dataclass(slots=True)
class Looking:
    """What a host sees of the mesh, as it changes."""

    process: Running

    async def until(self, enough: Callable[[Nodes], bool], *, what: str) -> float:
        """Wait until the nodes are so, now or later, and return when it was seen."""
        seen = len(self.process.lines)
        return await self.process.line(
            lambda line: line.startswith("{") and enough(json.loads(line)),
            what=what,
            after=max(0, seen - 1),
        )


def plugged_in(
    network: Network, folder: Path, name: str, *, address: str, clock: Clock | None = None
) -> Host:
    """Make a host and plug it in. Its people have a home of their own as well."""
    namespace = network.machine(name)
    network.plug(namespace, address)
    people = folder / name
    people.mkdir()
    settings = {"HOME": str(people), **(clock.environment if clock else {})}
    return Host(
        Home(people / "deskmesh"),
        name,
        settings,
        ports={},
        within=inside(namespace),
        network=network,
        address=address,
        namespace=namespace,
        clock=clock,
    )
