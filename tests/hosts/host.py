"""A machine that is a host of its own: its processes live in a network namespace, on a network."""

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mesh.home import Home
from scripts.network import Network, inside
from tests.hosts.clock import Clock
from tests.whole.machine import Machine, Running

Nodes = dict[str, dict[str, Any]]  # as ``operating.py`` prints them


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

    def worsen(self, *, delay_ms: float, jitter_ms: float, loss: float) -> None:
        """Make its link slow and lossy, each way."""
        self.network.worsen(self.namespace, delay_ms=delay_ms, jitter_ms=jitter_ms, loss=loss)

    def mute(self) -> None:
        """Lose every packet that it sends; those that are sent to it arrive."""
        self.network.mute(self.namespace)

    def hear_again(self) -> None:
        self.network.hear_again(self.namespace)

    def deafen(self) -> None:
        """Lose every packet that is sent to it; those that it sends arrive."""
        self.network.deafen(self.namespace)

    def speak_to_again(self) -> None:
        self.network.speak_to_again(self.namespace)

    @asynccontextmanager
    async def operating(self) -> AsyncIterator["Operator"]:
        """Have an operator here, with this host's own identity, while the context is open."""
        async with self.running_program(sys.executable, "-m", "tests.hosts.operating") as process:
            yield Operator(process)


@dataclass(slots=True)
class Operator:
    """Sees the mesh as it changes, and drains nodes."""

    process: Running

    async def until(self, enough: Callable[[Nodes], bool], *, what: str) -> float:
        """Wait until the nodes are so, as last seen or later, and return when it was seen."""
        seen = [number for number, (_, line) in enumerate(self.process.lines) if line[:1] == "{"]
        return await self.process.line(
            lambda line: line.startswith("{") and enough(json.loads(line)),
            what=what,
            after=seen[-1] if seen else 0,
        )

    async def until_running(self, name: str) -> float:
        """Wait until an attempt is under way on the machine of that name."""
        return await self.until(
            lambda nodes: name in nodes and nodes[name]["running"] > 0, what=f"attempt on {name}"
        )

    async def until_idle(self) -> float:
        """Wait until no attempt is under way, so that one that is seen next is a new one."""
        return await self.until(
            lambda nodes: not any(node["running"] for node in nodes.values()), what="nothing to do"
        )

    async def until_state(self, state: str, *names: str) -> float:
        """Wait until the machines of these names are all so."""
        return await self.until(
            lambda nodes: all(name in nodes and nodes[name]["state"] == state for name in names),
            what=f"{' and '.join(names)} {state}",
        )

    async def until_held(self, **models: int) -> float:
        """Wait until the mesh has heard of so many models on machines of these names.

        A node's own word comes before that.
        """
        return await self.until(
            lambda nodes: {name: len(node["models"]) for name, node in nodes.items()} == models,
            what=f"models: {models}",
        )

    async def drain(self, name: str) -> None:
        """Let nothing new begin on a node."""
        await self._do(f"drain {name}")

    async def resume(self, name: str) -> None:
        await self._do(f"resume {name}")

    async def _do(self, order: str) -> None:
        given = len(self.process.lines)
        await self.process.tell(order)
        await self.process.line(lambda line: line == "done", what=order, after=given)


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
