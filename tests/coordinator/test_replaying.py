"""An operator asks what recorded traffic would have cost under another policy."""

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from rich.console import Console

from coordinator.coordinator import Coordinator
from mesh.cli.route_replaying import show
from mesh.client import MeshClient
from mesh.dial import mesh_channel
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.rpc import from_rpc
from mesh.settings import Settings
from mesh.v1 import operations_pb2 as operations
from mesh.v1.operations_pb2_grpc import OperationsStub
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.ledger.played_requests import settled
from tests.coordinator.scripted_node import model


@pytest.fixture
def settings() -> Settings:
    return patient_settings()


@pytest.fixture
async def operator(
    mesh_address: str, enrolled: Callable[[PeerRole], MachineIdentity]
) -> AsyncIterator[OperationsStub]:
    async with mesh_channel(mesh_address, enrolled(PeerRole.OPERATOR)) as channel:
        yield OperationsStub(channel)


async def test_recorded_requests_are_decided_anew(
    client: MeshClient, operator: OperationsStub, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(model("qwen")) as node:
        for number in range(3):
            asking = asyncio.create_task(client.ask("hi", request_id=f"r-{number}"))
            start = await node.told_to_start()
            await node.deliver().answer(start.attempt_id, "a")
            await asking
    await client.judge("r-0", 0.5)
    await settled(coordinator.ledger)
    found = await operator.ReplayRoutes(operations.ReplayRoutesRequest(policy="frugal"))
    assert (found.requests, found.other_first, found.left_out) == (3, 0, 0)
    assert (found.judged, found.judged_score) == (1, 0.5)
    assert [(each.model_name, each.requests) for each in found.replayed.first] == [("qwen", 3)]
    assert found.recorded.expected_quality == pytest.approx(found.replayed.expected_quality)
    told = Console(record=True, width=100)
    show(found, told)
    assert "3 requests, 0 would begin elsewhere" in told.export_text()
    later = operations.ReplayRoutesRequest(policy="frugal", since_s=9e9)
    assert (await operator.ReplayRoutes(later)).requests == 0


async def test_an_unknown_policy_is_told_so(operator: OperationsStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await operator.ReplayRoutes(operations.ReplayRoutesRequest(policy="frugall"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "did you mean frugal?" in (from_rpc(refused.value).hint or "")
