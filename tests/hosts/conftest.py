"""Meshes of hosts that are joined by nothing but a network."""

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from scripts.network import Network
from tests.hosts.clock import Clock
from tests.hosts.host import Host, plugged_in

NewHost = Callable[..., Host]
Figure = Callable[[str, float], None]

_figures: dict[str, list[float]] = {}


@pytest.fixture
def figure() -> Figure:
    """Notes a measured time in seconds, to be shown when the run ends. None is held to it."""
    return lambda what, seconds: _figures.setdefault(what, []).append(seconds)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured."""
    for what, seconds in _figures.items():
        shown = ", ".join(f"{each:.3f}" for each in seconds)
        terminalreporter.write_line(f"measured: {what}: {shown} s")


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as made:
        yield made


@pytest.fixture
def new_host(network: Network, tmp_path: Path) -> NewHost:
    """Makes hosts, plugged in; ``clock=True`` gives one a clock that can be moved."""
    numbers = count(1)

    def make(name: str, *, clock: bool = False, **settings: str) -> Host:
        given = Clock(tmp_path / "clocks" / name) if clock else None
        host = plugged_in(network, tmp_path, name, address=f"10.77.0.{next(numbers)}", clock=given)
        host.settings.update(settings)
        return host

    return make


@pytest.fixture
async def office(new_host: NewHost) -> AsyncIterator[Host]:
    """A host that runs a coordinator."""
    host = new_host("office")
    async with host.running("coordinator") as coordinator:
        await coordinator.says("nodes and operators on port")
        yield host
