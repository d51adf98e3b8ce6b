"""Members: who is listed, who renews by which way, and what a revocation ends."""

import asyncio
import time
from pathlib import Path

import grpc
import pytest

from coordinator import household
from coordinator.coordinator import Coordinator
from coordinator.household import Household
from coordinator.members import Admitted, Members
from mesh.cli.members import named
from mesh.cli.operations import calling, new_invitation
from mesh.dial import mesh_channel
from mesh.errors import (
    Forbidden,
    InvalidRequest,
    NodeLost,
    NotAuthenticated,
    Overloaded,
    ServiceError,
)
from mesh.home import Home
from mesh.identity.machine import MachineIdentity, assemble
from mesh.identity.peer import PeerIdentity, PeerRole
from mesh.identity.store import CoordinatorAddress, IdentityStore, Membership
from mesh.joining import join
from mesh.member import reach_coordinator
from mesh.renewing import is_due, is_valid, renew_expired, renew_valid
from mesh.serving import INFERENCE
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations
from mesh.v1 import operations_pb2_grpc as operations_grpc

DAY_S = 86_400.0


def begun(path: Path) -> Members:
    Members.begin(path)
    return Members(path)


@pytest.fixture
def office(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def join_address(coordinator: Coordinator) -> str:
    return f"127.0.0.1:{coordinator.ports.join}"


def aged(coordinator: Coordinator, home: Home, role: PeerRole, *, expired_s: float) -> None:
    """Give a machine a certificate that ended so long ago."""
    store, authority = IdentityStore(home), coordinator.household.authority
    issued_s = time.time() - DAY_S - expired_s
    store.save(authority.enrol(store.key(role), role, now_s=issued_s))
    here = CoordinatorAddress(
        address=f"127.0.0.1:{coordinator.ports.mesh}", join_port=coordinator.ports.join
    )
    store.save_membership(Membership(mesh_id=authority.mesh_id, coordinators=(here,)))


@pytest.mark.parametrize("role", [PeerRole.NODE, PeerRole.CLIENT, PeerRole.OPERATOR])
async def test_an_expired_certificate_is_renewed_by_proof_of_its_key(
    coordinator: Coordinator, tmp_path: Path, role: PeerRole
) -> None:
    desk = Home(tmp_path / "desk")
    aged(coordinator, desk, role, expired_s=30 * DAY_S)
    async with await reach_coordinator(desk) as channel:
        await operations_grpc.OperationsStub(channel).GetMesh(operations.GetMeshRequest())
    renewed = IdentityStore(desk).load(role)
    assert is_valid(renewed)
    assert not is_due(renewed)


async def test_after_90_days_a_machine_has_to_join_again(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    desk = Home(tmp_path / "desk")
    aged(coordinator, desk, PeerRole.CLIENT, expired_s=91 * DAY_S)
    with pytest.raises(NotAuthenticated, match=r"90 days ago.*deskmesh join"):
        await reach_coordinator(desk)


async def test_nobody_renews_with_a_certificate_whose_key_is_another(
    coordinator: Coordinator, tmp_path: Path, join_address: str
) -> None:
    owner, thief = Home(tmp_path / "owner"), Home(tmp_path / "thief")
    aged(coordinator, owner, PeerRole.NODE, expired_s=DAY_S)
    stolen = IdentityStore(owner).load(PeerRole.NODE)  # the certificate; the thief's key signs
    with pytest.raises(NotAuthenticated, match="not made by the certificate's key"):
        await renew_expired(IdentityStore(thief), stolen, [join_address])


async def test_nobody_renews_with_a_certificate_of_another_mesh(
    coordinator: Coordinator, tmp_path: Path, join_address: str
) -> None:
    from mesh.identity.authority import Authority

    store = IdentityStore(Home(tmp_path / "desk"))
    other = Authority.create_or_load(Home(tmp_path / "other"), now_s=time.time())
    foreign = other.enrol(store.key(PeerRole.NODE), PeerRole.NODE, now_s=time.time() - 2 * DAY_S)
    with pytest.raises(NodeLost):  # it does not even trust the coordinator that answers
        await renew_expired(store, foreign, [join_address])
    with pytest.raises(NotAuthenticated, match="another mesh"):
        coordinator.household.authority.certified(foreign.certificate_pem)
    with pytest.raises(NotAuthenticated):
        assemble(
            store.key(PeerRole.NODE),
            foreign.certificate_pem,
            coordinator.household.authority.certificate_pem,
        )


async def test_a_revoked_member_is_refused_in_every_way(
    coordinator: Coordinator, tmp_path: Path, office: Home, join_address: str, mesh_address: str
) -> None:
    desk = Home(tmp_path / "desk")
    code, _ = await new_invitation("node", "for Ada", office)
    peer = await join(desk, code, machine_name="desk", address=join_address)
    kept, _ = await new_invitation("operator", "made before the revocation", office)
    store = IdentityStore(desk)
    identity = store.load(PeerRole.NODE)
    async with mesh_channel(mesh_address, identity) as before, calling(office) as operator:
        stub = operations_grpc.OperationsStub(before)
        await stub.GetMesh(operations.GetMeshRequest())
        await operator.Revoke(operations.RevokeRequest(fingerprint=peer.fingerprint, reason="lost"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:  # on the connection that it has
            await stub.GetMesh(operations.GetMeshRequest())
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        listed = (await operator.ListMembers(operations.ListMembersRequest())).members
    member = named(listed, "desk")
    assert (member.revoked_because, member.invited_as) == ("lost", "for Ada")
    assert member.revoked_at_s > 0
    with pytest.raises(NotAuthenticated):  # whoever is revoked may have made it
        await join(Home(tmp_path / "back"), kept, machine_name="back", address=join_address)
    with pytest.raises(Forbidden, match="revoked"):
        await renew_valid(store, identity, mesh_address)
    with pytest.raises(Forbidden, match="revoked"):
        await renew_expired(store, identity, [join_address])
    code, _ = await new_invitation("node", "", office)
    with pytest.raises(Forbidden, match="revoked"):
        await join(desk, code, machine_name="desk", address=join_address)
    await join(Home(tmp_path / "other"), code, machine_name="other", address=join_address)
    with pytest.raises(Forbidden, match="revoked"):  # and whoever coordinates next knows it
        Members(office.members).check(peer.fingerprint)


def test_a_key_keeps_the_role_that_the_register_shows(tmp_path: Path) -> None:
    members, key = begun(tmp_path / "members.json"), "a" * 26
    members.joined(Admitted(PeerIdentity(PeerRole.OPERATOR, key, "mesh"), "ada"))
    with pytest.raises(Forbidden, match="that of a operator"):
        members.joined(Admitted(PeerIdentity(PeerRole.CLIENT, key, "mesh"), "harmless"))


async def test_a_revocation_ends_the_attach_stream(
    coordinator: Coordinator, tmp_path: Path, office: Home, join_address: str, mesh_address: str
) -> None:
    from tests.coordinator.scripted_node import ScriptedNode

    desk = Home(tmp_path / "desk")
    code, _ = await new_invitation("node", "", office)
    peer = await join(desk, code, machine_name="desk", address=join_address)
    identity = IdentityStore(desk).load(PeerRole.NODE)
    async with ScriptedNode(mesh_address, identity) as node, calling(office) as operator:
        await operator.Revoke(operations.RevokeRequest(fingerprint=peer.fingerprint))
        async with asyncio.timeout(5):
            assert await node.ended() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_call_that_was_opened_before_a_revocation_is_not_answered_after_it(
    coordinator: Coordinator, tmp_path: Path, office: Home, join_address: str, mesh_address: str
) -> None:
    desk = Home(tmp_path / "desk")
    code, _ = await new_invitation("client", "", office)
    peer = await join(desk, code, machine_name="desk", address=join_address)
    identity = IdentityStore(desk).load(PeerRole.CLIENT)
    async with mesh_channel(mesh_address, identity) as channel, calling(office) as operator:
        generate: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
        generate = channel.stream_stream(f"/{INFERENCE}/Generate")
        call = generate()
        await call.wait_for_connection()
        await operator.Revoke(operations.RevokeRequest(fingerprint=peer.fingerprint))
        await call.write(inference.GenerateRequest(request_id="r").SerializeToString())
        assert await call.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_certificates_that_a_full_disk_refuses_are_saved_later(
    office: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(household, "LOOK_EVERY_S", 0.01)
    host = Household(office)
    host.enrol_this_host(1, 2, "office")
    before, store = host.identity(), IdentityStore(office)
    due, full, refused = [True], [True], 0
    monkeypatch.setattr(household, "is_due", lambda _: due and due.pop())
    save = IdentityStore.save

    def refuse(self: IdentityStore, identity: MachineIdentity) -> None:
        nonlocal refused
        if full:
            refused += 1
            raise ServiceError("the disk is full")
        save(self, identity)

    monkeypatch.setattr(IdentityStore, "save", refuse)
    keeping = asyncio.create_task(host.keep_valid())
    async with asyncio.timeout(10):
        while refused < 3:  # noqa: ASYNC110 - a thread is refused, which sets no event of ours
            await asyncio.sleep(0.01)
    assert not keeping.done()
    assert host.identity().certificate_pem != before.certificate_pem
    assert [line for line in caplog.messages if "disk is full" in line] == [
        "this host's new certificates are not saved: the disk is full"
    ]
    full.clear()
    async with asyncio.timeout(10):
        saved = before
        while saved.certificate_pem == before.certificate_pem:
            await asyncio.sleep(0.01)
            saved = store.load(PeerRole.COORDINATOR)
    keeping.cancel()


def test_a_known_machine_joins_a_full_mesh_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.members.MEMBERS_MAX", 2)
    members = begun(tmp_path / "members.json")
    for letter in "ab":
        members.make_room(letter * 26)
        members.joined(Admitted(PeerIdentity(PeerRole.NODE, letter * 26, "mesh")))
    members.make_room("a" * 26)
    with pytest.raises(Overloaded, match="2 members"):
        members.make_room("c" * 26)
    members.ours(PeerIdentity(PeerRole.OPERATOR, "d" * 26, "mesh"), "office")
    members.write()


async def test_the_coordinators_own_keys_cannot_be_revoked(
    coordinator: Coordinator, office: Home
) -> None:
    async with calling(office) as operator:
        listed = (await operator.ListMembers(operations.ListMembersRequest())).members
        assert {each.role for each in listed} == {"operator", "node"}
    for each in listed:
        with pytest.raises(InvalidRequest, match="cannot be revoked"):
            async with calling(office) as operator:
                await operator.Revoke(operations.RevokeRequest(fingerprint=each.fingerprint))


def test_a_damaged_register_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "members.json").write_text("{}")
    with pytest.raises(ServiceError, match="nobody knows who was revoked"):
        Members(tmp_path / "members.json")


def test_a_mesh_whose_register_is_gone_does_not_start(tmp_path: Path) -> None:
    office = Home(tmp_path / "office")
    Household(office)
    Household(office)  # of a start that was killed before it wrote anyone down
    office.members.unlink()
    with pytest.raises(ServiceError, match=r"members\.json is missing"):
        Household(office)
    office.members.write_text('{"members": []}')
    Household(office)


def test_a_name_that_two_members_have_revokes_neither(tmp_path: Path) -> None:
    members = begun(tmp_path / "members.json")
    for letter in "ab":
        peer = PeerIdentity(PeerRole.NODE, letter * 26, "m" + "a" * 15)
        members.joined(Admitted(peer, name="desk"))
    views = [
        operations.MemberView(fingerprint=each.fingerprint, name=each.name, role=each.role)
        for each in members.all()
    ]
    with pytest.raises(InvalidRequest, match="2 members are called 'desk'"):
        named(views, "desk")
    assert named(views, "a" * 26).fingerprint == "a" * 26
    assert named(views, "bbbbbb").fingerprint == "b" * 26
    with pytest.raises(InvalidRequest, match="no member"):
        named(views, "nobody")
