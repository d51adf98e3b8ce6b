"""Who may call what, walked whole; and how machines become members."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from coordinator.access import ALLOWED, DOING
from coordinator.coordinator import Coordinator
from mesh.dial import mesh_channel
from mesh.errors import InvalidRequest, NodeLost, NotAuthenticated
from mesh.home import Home
from mesh.identity.keys import new_key
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.identity.request import certificate_request
from mesh.identity.store import IdentityStore
from mesh.joining import join
from mesh.v1 import fleet_pb2, inference_pb2, operations_pb2
from mesh.v1 import fleet_pb2_grpc as fleet_grpc
from mesh.v1 import operations_pb2_grpc as operations_grpc
from tests.coordinator.conftest import quick_settings

CALL_WITHIN_S = 5.0
FILES = (inference_pb2.DESCRIPTOR, fleet_pb2.DESCRIPTOR, operations_pb2.DESCRIPTOR)
METHODS = {
    f"{service.name}/{method.name}": method
    for file in FILES
    for service in file.services_by_name.values()
    for method in service.methods
}
CALLERS = (PeerRole.NODE, PeerRole.CLIENT, PeerRole.OPERATOR)


async def status_of(channel: grpc.aio.Channel, name: str) -> grpc.StatusCode:
    """Call a method with an empty request and return its status."""
    method, path = METHODS[name], f"/mesh.v1.{name}"
    call: Any
    if method.client_streaming:
        call = channel.stream_stream(path)()
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # refused before it is read
            await call.write(b"")
            await call.done_writing()
    elif method.server_streaming:
        multicallable: Any = channel.unary_stream(path)
        call = multicallable(b"")
    else:
        multicallable = channel.unary_unary(path)
        call = multicallable(b"")
    try:
        async with asyncio.timeout(CALL_WITHIN_S):
            code: grpc.StatusCode = await call.code()
            return code
    finally:
        call.cancel()


def test_the_table_names_every_method() -> None:
    assert ALLOWED.keys() == METHODS.keys()


def test_what_is_refused_to_somebody_is_called_by_what_it_does() -> None:
    assert DOING.keys() == {name for name, roles in ALLOWED.items() if roles != set(CALLERS)}


@pytest.fixture(scope="module")
async def one_for_all(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Coordinator]:
    """A coordinator that is asked by many, with requests that change nothing or are empty."""
    home = Home(tmp_path_factory.mktemp("access"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESKMESH_HOME", str(home.root))
        running = Coordinator(home, quick_settings())
        async with running.running():
            yield running


@pytest.mark.parametrize("role", CALLERS)
@pytest.mark.parametrize("name", sorted(METHODS))
async def test_each_role_may_call_what_the_table_says(
    name: str, role: PeerRole, one_for_all: Coordinator
) -> None:
    identity = one_for_all.household.authority.enrol(new_key(), role, now_s=time.time())
    async with mesh_channel(f"127.0.0.1:{one_for_all.ports.mesh}", identity) as channel:
        code = await status_of(channel, name)
    denied = code is grpc.StatusCode.PERMISSION_DENIED
    assert denied == (role not in ALLOWED[name]), code


@pytest.mark.parametrize("name", sorted(METHODS))
async def test_the_loopback_port_serves_inference_alone(
    name: str, one_for_all: Coordinator
) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{one_for_all.ports.local}") as channel:
        code = await status_of(channel, name)
    if name.startswith("Inference/"):
        assert code is not grpc.StatusCode.PERMISSION_DENIED
    else:
        assert code is grpc.StatusCode.UNIMPLEMENTED


async def test_plain_text_gets_nowhere_on_the_mesh_port(mesh_address: str) -> None:
    async with grpc.aio.insecure_channel(mesh_address) as channel:
        assert await status_of(channel, "Operations/GetMesh") is grpc.StatusCode.UNAVAILABLE


@pytest.fixture
async def operator(
    mesh_address: str, enrolled: Callable[[PeerRole], MachineIdentity]
) -> operations_grpc.OperationsStub:
    channel = mesh_channel(mesh_address, enrolled(PeerRole.OPERATOR))
    return operations_grpc.OperationsStub(channel)


async def test_a_code_makes_a_member_once(
    coordinator: Coordinator, operator: operations_grpc.OperationsStub, tmp_path: Path
) -> None:
    invitation = await operator.Invite(operations_pb2.InviteRequest())
    here = f"127.0.0.1:{coordinator.ports.join}"
    desk = Home(tmp_path / "desk")
    peer = await join(desk, invitation.code, machine_name="desk", address=here)
    assert peer.mesh_id == coordinator.household.mesh_id
    identity = IdentityStore(desk).load(PeerRole.NODE)
    assert identity.peer == peer
    assert IdentityStore(desk).membership().coordinators[0].address == (
        f"127.0.0.1:{coordinator.ports.mesh}"
    )
    with pytest.raises(NotAuthenticated, match="was used"):
        await join(Home(tmp_path / "late"), invitation.code, machine_name="late", address=here)


async def test_a_code_of_another_mesh_is_noticed_before_the_secret_is_told(
    coordinator: Coordinator, operator: operations_grpc.OperationsStub, tmp_path: Path
) -> None:
    from mesh.identity.joincode import JoinCode

    invitation = await operator.Invite(operations_pb2.InviteRequest())
    decoded = JoinCode.decode(invitation.code)
    forged = JoinCode(bytes(32), decoded.secret, decoded.addresses)
    here = f"127.0.0.1:{coordinator.ports.join}"
    with pytest.raises(NotAuthenticated, match="does not prove"):
        await join(Home(tmp_path / "x"), forged.encode(), machine_name="x", address=here)
    await join(Home(tmp_path / "y"), invitation.code, machine_name="y", address=here)


async def test_nobody_there_is_told(
    operator: operations_grpc.OperationsStub, tmp_path: Path
) -> None:
    invitation = await operator.Invite(operations_pb2.InviteRequest())
    with pytest.raises(NodeLost):
        await join(Home(tmp_path / "x"), invitation.code, machine_name="x", address="127.0.0.1:9")


async def test_the_coordinator_itself_does_not_join_another_mesh(
    operator: operations_grpc.OperationsStub, tmp_path: Path
) -> None:
    invitation = await operator.Invite(operations_pb2.InviteRequest())
    with pytest.raises(InvalidRequest, match="a mesh of its own"):
        await join(Home(tmp_path / "home"), invitation.code, machine_name="x")


async def test_a_member_renews_its_own_certificate_and_no_other(
    mesh_address: str, enrolled: Callable[[PeerRole], MachineIdentity]
) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from mesh.identity.keys import new_key

    identity = enrolled(PeerRole.NODE)
    key: Any = load_pem_private_key(identity.key_pem, None)
    async with mesh_channel(mesh_address, identity) as channel:
        stub = fleet_grpc.EnrolmentStub(channel)
        mine = fleet_pb2.RenewRequest(signing_request_pem=certificate_request(key).decode())
        assert (await stub.Renew(mine)).certificate_pem
        other = certificate_request(new_key()).decode()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Renew(fleet_pb2.RenewRequest(signing_request_pem=other))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
