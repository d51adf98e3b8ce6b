"""A node's parts around a played engine, attached to a played coordinator."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from random import Random

import grpc
import pytest

from mesh.core.types import Load, Machine, NodeId
from mesh.rpc import CHANNEL_OPTIONS
from mesh.settings import NodeSettings
from node_agent.addresses import Origin
from node_agent.attach import Myself
from node_agent.links import Links
from node_agent.shelf import Shelf
from tests.node_agent.played_engines import Engines, entry, library
from tests.node_agent.scripted_coordinator import PlayedAttach, ScriptedCoordinator
from tests.node_agent.watched_shelf import Changes

PLENTY_BYTES = 1 << 40


class Told:
    """What the owner is told in the log."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def hear(self, record: logging.LogRecord) -> bool:
        """A filter that lets everything through."""
        self.lines.append(record.getMessage())
        self._more.set()
        return True

    def of(self, part: str) -> list[str]:
        """Return the lines with ``part`` in them."""
        return [line for line in self.lines if part in line]

    async def line(self, part: str) -> str:
        """Wait for a line with ``part`` in it."""
        async with asyncio.timeout(10):
            while not (lines := self.of(part)):
                self._more.clear()
                await self._more.wait()
        return lines[0]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Told]:
    """Every line, of every logger."""
    told = Told()
    caplog.set_level(logging.INFO)
    caplog.handler.addFilter(told.hear)
    yield told
    caplog.handler.removeFilter(told.hear)


@pytest.fixture
def engines() -> Engines:
    return Engines()


@pytest.fixture
async def shelf(engines: Engines) -> AsyncIterator[Shelf]:
    """One model, cold."""
    shelf = Shelf(engines.load, NodeSettings(slots=1), free_memory=lambda: PLENTY_BYTES)
    shelf.show(library(entry()))
    async with shelf.running():
        yield shelf


@pytest.fixture
async def coordinator() -> AsyncIterator[ScriptedCoordinator]:
    async with ScriptedCoordinator().serving() as serving:
        yield serving


@pytest.fixture
async def links(shelf: Shelf) -> AsyncIterator[Links]:
    """Links that know no address yet."""
    machine = Machine("desk", "Linux x86_64", 2, 1 << 34, "1")
    myself = Myself(NodeId("node-of-the-test"), machine, Load)
    links = Links(plain_channel, myself, shelf, Random(1))
    running = asyncio.create_task(links.run())
    yield links
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled(), running


@pytest.fixture
async def attach(links: Links, coordinator: ScriptedCoordinator) -> PlayedAttach:
    """The node's control stream, as its coordinator holds it."""
    links.add(coordinator.address, Origin.JOINED)
    return await coordinator.attached()


def plain_channel(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=list(CHANNEL_OPTIONS))


@pytest.fixture
def changes(shelf: Shelf) -> Changes:
    changes = Changes()
    shelf.watchers.add(changes)
    return changes
