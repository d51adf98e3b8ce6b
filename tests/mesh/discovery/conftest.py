"""Real multicast, kept to this machine: what these responders send leaves by loopback only."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from mesh.discovery.advert import Advert, Role
from mesh.discovery.responder import Responder
from tests.mesh.discovery.network import LOOPBACK
from tests.mesh.discovery.peer import advert_of


@pytest.fixture
def machine_id() -> str:
    """An id that no other test, and no test run beside this one, uses."""
    return uuid4().hex[:20]


@pytest.fixture
def coordinator(machine_id: str) -> Advert:
    return advert_of(machine_id, Role.COORDINATOR)


@pytest.fixture
def node(machine_id: str) -> Advert:
    return advert_of(machine_id, Role.NODE)


@pytest.fixture
async def listener() -> AsyncIterator[Responder]:
    """The responder of the process that listens."""
    async with Responder([LOOPBACK], ask_gap_s=0.0) as responder:
        assert responder.trouble is None
        yield responder


@pytest.fixture
async def speaker() -> AsyncIterator[Responder]:
    """The responder of another machine, as far as the listener can tell."""
    async with Responder([LOOPBACK]) as responder:
        yield responder
