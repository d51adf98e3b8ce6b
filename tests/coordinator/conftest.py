"""A real coordinator on free ports, and nodes and clients that its CA vouches for."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest

from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.core.types import Model
from mesh.dial import mesh_channel
from mesh.home import Home
from mesh.identity.keys import new_key
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.settings import DiscoverySettings, FleetSettings, PortSettings, Settings
from tests.coordinator.scripted_node import ScriptedNode

NewNode = Callable[..., ScriptedNode]


@pytest.fixture
def settings() -> Settings:
    return patient_settings(goes_on_within_s=0.0)


def quick_settings() -> Settings:
    """For silence that is noticed within a second."""
    return Settings(
        ports=PortSettings(mesh=0, join=0, local=0, http=0),
        discovery=DiscoverySettings(multicast=False),
        fleet=FleetSettings(
            beat_every_s=0.1, suspect_after_s=0.4, lost_after_s=1.0, goes_on_within_s=0.5
        ),
    )


def patient_settings(*, goes_on_within_s: float = 10.0) -> Settings:
    """For tests that are not about silence, with nodes that say nothing for long."""
    return Settings(
        ports=PortSettings(mesh=0, join=0, local=0, http=0),
        discovery=DiscoverySettings(multicast=False),
        fleet=FleetSettings(suspect_after_s=50, lost_after_s=60, goes_on_within_s=goes_on_within_s),
    )


@pytest.fixture
async def coordinator(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Coordinator]:
    monkeypatch.setenv("DESKMESH_HOME", str(tmp_path / "home"))
    running = Coordinator(Home(tmp_path / "home"), settings)
    async with running.running():
        yield running


@pytest.fixture
def enrolled(coordinator: Coordinator) -> Callable[[PeerRole], MachineIdentity]:
    """Makes identities of this mesh, by role."""

    def enrol(role: PeerRole) -> MachineIdentity:
        return coordinator.household.authority.enrol(new_key(), role, now_s=time.time())

    return enrol


@pytest.fixture
def mesh_address(coordinator: Coordinator) -> str:
    return f"127.0.0.1:{coordinator.ports.mesh}"


@pytest.fixture
def new_node(mesh_address: str, enrolled: Callable[[PeerRole], MachineIdentity]) -> NewNode:
    """Makes nodes of this mesh, each with a key of its own."""

    def make(*models: Model, slots: int = 1) -> ScriptedNode:
        return ScriptedNode(mesh_address, enrolled(PeerRole.NODE), *models, slots=slots)

    return make


@pytest.fixture
async def channel(
    mesh_address: str, enrolled: Callable[[PeerRole], MachineIdentity]
) -> AsyncIterator[grpc.aio.Channel]:
    async with mesh_channel(mesh_address, enrolled(PeerRole.CLIENT)) as opened:
        yield opened


@pytest.fixture
def client(channel: grpc.aio.Channel) -> MeshClient:
    return MeshClient(channel)
