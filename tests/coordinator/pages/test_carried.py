"""The page reaches other machines over mTLS, by the same addresses and no others."""

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc
import pytest

from coordinator.coordinator import Coordinator
from coordinator.pages.carried import OF_ONE_MACHINE_MAX
from mesh.dial import mesh_channel
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.v1 import operations_pb2 as operations
from mesh.v1 import operations_pb2_grpc as operations_grpc
from tests.coordinator.conftest import NewNode
from tests.coordinator.scripted_node import model


@pytest.fixture
async def stub(
    mesh_address: str, enrolled: Callable[[PeerRole], MachineIdentity]
) -> AsyncIterator[operations_grpc.OperationsStub]:
    async with mesh_channel(mesh_address, enrolled(PeerRole.NODE)) as channel:
        yield operations_grpc.OperationsStub(channel)


async def browse(
    stub: operations_grpc.OperationsStub, path: str
) -> tuple[int, dict[str, str], bytes]:
    parts = [part async for part in stub.Browse(operations.BrowseRequest(path=path))]
    headers = {each.name: each.value for each in parts[0].headers}
    return parts[0].status, headers, b"".join(part.body for part in parts)


async def test_another_machine_sees_the_page_its_files_and_the_metrics(
    stub: operations_grpc.OperationsStub, new_node: NewNode
) -> None:
    async with new_node(model("qwen")) as node:
        status, headers, body = await browse(stub, "/")
        assert status == 200
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert node.name.encode() in body
        for path, begins in (
            ("/page.js", b"// Keeps"),
            ("/metrics", b"# HELP"),
            ("/icon.svg", b"<svg"),
        ):
            status, _, body = await browse(stub, path)
            assert status == 200
            assert body.startswith(begins)


@pytest.mark.parametrize(
    "path", ["/v1/models", "/../etc/passwd", "/v1/chat/completions", "//page.js"]
)
async def test_nothing_else_of_the_coordinator_is_reached(
    stub: operations_grpc.OperationsStub, path: str
) -> None:
    assert (await browse(stub, path))[0] == 404


@pytest.mark.parametrize("path", ["", "page.js", "http://elsewhere/", "/" * 300])
async def test_what_is_no_path_is_refused(stub: operations_grpc.OperationsStub, path: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await browse(stub, path)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_events_are_carried_as_they_come_and_end_with_the_browser(
    stub: operations_grpc.OperationsStub, coordinator: Coordinator, new_node: NewNode
) -> None:
    pages = coordinator._pages
    pages.board.refresh()
    call = stub.Browse(operations.BrowseRequest(path=f"/events?{pages.board.tag}"))
    parts = aiter(call)
    assert (await anext(parts)).status == 200
    assert (await anext(parts)).body.startswith(b"retry:")
    assert pages.live.streams == 1
    async with new_node(model("qwen")) as node:
        while node.name.encode() not in (await anext(parts)).body:
            pass
    call.cancel()
    while pages.live.streams:  # noqa: ASYNC110 - the end of a cancelled call tells nobody
        await asyncio.sleep(0.01)


async def test_one_machine_cannot_take_all_the_streams(
    stub: operations_grpc.OperationsStub, coordinator: Coordinator
) -> None:
    coordinator._pages.board.refresh()
    path = f"/events?{coordinator._pages.board.tag}"
    calls = [stub.Browse(operations.BrowseRequest(path=path)) for _ in range(OF_ONE_MACHINE_MAX)]
    for call in calls:
        await call.read()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await browse(stub, "/")
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for call in calls:
        call.cancel()
    while coordinator._pages.live.streams:  # noqa: ASYNC110 - the end of a cancelled call tells nobody
        await asyncio.sleep(0.01)
    assert (await browse(stub, "/"))[0] == 200
