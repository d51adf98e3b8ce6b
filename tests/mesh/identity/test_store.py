"""A joined machine remembers who it is, or says clearly that it does not."""

import time

import pytest

from mesh.errors import InvalidRequest, NotAuthenticated
from mesh.home import Home
from mesh.identity.authority import Authority
from mesh.identity.peer import PeerRole
from mesh.identity.store import CoordinatorAddress, IdentityStore, Membership


@pytest.fixture
def store(home: Home) -> IdentityStore:
    return IdentityStore(home)


def join(store: IdentityStore, authority: Authority, *roles: PeerRole) -> None:
    for role in roles:
        store.save(authority.enrol(store.key(role), role, now_s=time.time()))
    address = CoordinatorAddress(address="192.168.1.20:7443", join_port=7444)
    store.save_membership(Membership(mesh_id=authority.mesh_id, coordinators=(address,)))


def test_a_new_machine_is_of_no_mesh_and_says_how_to_join(store: IdentityStore) -> None:
    assert store.roles() == ()
    with pytest.raises(NotAuthenticated, match="joined no mesh; run deskmesh join"):
        store.membership()
    with pytest.raises(NotAuthenticated, match="role of node; run deskmesh join"):
        store.load(PeerRole.NODE)


def test_what_was_saved_is_loaded(store: IdentityStore, authority: Authority, home: Home) -> None:
    join(store, authority, PeerRole.NODE, PeerRole.CLIENT)
    again = IdentityStore(home)
    assert set(again.roles()) == {PeerRole.NODE, PeerRole.CLIENT}
    for role in again.roles():
        identity = again.load(role)
        assert identity.peer.role is role
        assert identity.peer.mesh_id == again.membership().mesh_id == authority.mesh_id
        assert identity.authority_pem == authority.certificate_pem
        assert identity.expires_at_s == pytest.approx(time.time() + 86_400, abs=60)
    assert again.load(PeerRole.NODE).peer != again.load(PeerRole.CLIENT).peer
    coordinator = again.membership().coordinators[0]
    assert (coordinator.address, coordinator.join_address) == (
        "192.168.1.20:7443",
        "192.168.1.20:7444",
    )


def test_everything_is_the_owners_alone(
    store: IdentityStore, authority: Authority, home: Home
) -> None:
    join(store, authority, PeerRole.NODE)
    for path in [home.identity, *home.identity.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert not list(home.identity.rglob(".*"))


def test_a_machine_keeps_its_key_when_it_joins_again(
    store: IdentityStore, authority: Authority, other_authority: Authority
) -> None:
    join(store, authority, PeerRole.NODE)
    before = store.load(PeerRole.NODE).peer
    join(store, other_authority, PeerRole.NODE)
    after = store.load(PeerRole.NODE).peer
    assert after.fingerprint == before.fingerprint
    assert after.mesh_id == other_authority.mesh_id


def test_joining_another_mesh_forgets_the_certificates_of_the_former(
    store: IdentityStore, authority: Authority, other_authority: Authority
) -> None:
    join(store, authority, PeerRole.NODE, PeerRole.OPERATOR)
    join(store, other_authority, PeerRole.NODE)
    assert store.roles() == (PeerRole.NODE,)
    with pytest.raises(NotAuthenticated, match="no mesh in the role of operator"):
        store.load(PeerRole.OPERATOR)


def test_a_renewed_certificate_takes_the_place_of_the_old_one(
    store: IdentityStore, authority: Authority
) -> None:
    join(store, authority, PeerRole.NODE, PeerRole.CLIENT)
    later_s = time.time() + 43_200
    store.save(authority.enrol(store.key(PeerRole.NODE), PeerRole.NODE, now_s=later_s))
    assert store.load(PeerRole.NODE).expires_at_s == pytest.approx(later_s + 86_400, abs=1)
    assert store.load(PeerRole.CLIENT).expires_at_s < later_s + 50_000


def test_an_expired_certificate_is_still_loaded_so_that_it_can_be_renewed(
    store: IdentityStore, authority: Authority
) -> None:
    month_ago_s = time.time() - 30 * 86_400
    store.save(authority.enrol(store.key(PeerRole.NODE), PeerRole.NODE, now_s=month_ago_s))
    assert store.load(PeerRole.NODE).expires_at_s < time.time()


@pytest.mark.parametrize("name", ["node/key.pem", "node/certificate.pem", "authority.pem"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_truncated_file_says_join_again_and_joining_again_mends_it(
    store: IdentityStore, authority: Authority, home: Home, name: str, share: float
) -> None:
    join(store, authority, PeerRole.NODE)
    path = home.identity / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(NotAuthenticated, match=r"damaged.*run deskmesh join again"):
        store.load(PeerRole.NODE)
    join(store, authority, PeerRole.NODE)
    assert store.load(PeerRole.NODE).peer.role is PeerRole.NODE


@pytest.mark.parametrize("name", ["node/key.pem", "authority.pem"])
def test_a_half_written_identity_says_what_is_missing(
    store: IdentityStore, authority: Authority, home: Home, name: str
) -> None:
    join(store, authority, PeerRole.NODE)
    (home.identity / name).unlink()
    with pytest.raises(NotAuthenticated, match=f"{name} is missing; run deskmesh join again"):
        store.load(PeerRole.NODE)


def test_a_key_and_a_certificate_that_a_crash_parted_do_not_pass(
    store: IdentityStore, authority: Authority, home: Home
) -> None:
    join(store, authority, PeerRole.NODE)
    (home.identity / "node" / "key.pem").write_bytes(b"")
    store.key(PeerRole.NODE)  # a new one; the crash comes before its certificate
    with pytest.raises(NotAuthenticated, match=r"for another key; run deskmesh join again"):
        store.load(PeerRole.NODE)


def test_a_key_that_others_may_read_is_not_used(
    store: IdentityStore, authority: Authority, home: Home
) -> None:
    join(store, authority, PeerRole.NODE)
    (home.identity / "node" / "key.pem").chmod(0o644)
    with pytest.raises(NotAuthenticated, match="chmod 600"):
        store.load(PeerRole.NODE)
    with pytest.raises(NotAuthenticated, match="chmod 600"):
        store.key(PeerRole.NODE)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"mesh_id": "elsewhere"}',
        '{"version": 2, "mesh_id": "maaaaaaaaaaaaaaa"}',
        '{"mesh_id": "maaaaaaaaaaaaaaa", "coordinators": [{"address": "x", "join_port": 1}]}',
    ],
)
def test_a_damaged_membership_says_join_again(
    store: IdentityStore, authority: Authority, home: Home, content: str
) -> None:
    join(store, authority, PeerRole.NODE)
    (home.identity / "mesh.json").write_text(content)
    with pytest.raises(NotAuthenticated, match=r"mesh.json.*run deskmesh join again"):
        store.membership()


def test_a_coordinator_without_a_port_is_not_remembered() -> None:
    with pytest.raises(InvalidRequest, match="host:port"):
        CoordinatorAddress(address="192.168.1.20", join_port=7444)
