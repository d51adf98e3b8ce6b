"""Real connections: who gets through, and who does not."""

import gc
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mesh.errors import NotAuthenticated
from mesh.identity.authority import Authority
from mesh.identity.certificates import machine_certificate
from mesh.identity.keys import new_key
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerIdentity, PeerRole, peer_identity
from mesh.identity.tls import (
    channel_credentials,
    joining_credentials,
    name_override,
    server_credentials,
)
from tests.mesh.identity.conftest import enrolled, refused, serving, who_am_i

DAY_S = 86_400.0


@pytest.fixture
def coordinator(authority: Authority) -> MachineIdentity:
    return enrolled(authority, PeerRole.COORDINATOR)


@pytest.fixture
def node(authority: Authority) -> MachineIdentity:
    return enrolled(authority, PeerRole.NODE)


async def test_the_coordinator_knows_who_calls(
    authority: Authority, coordinator: MachineIdentity, node: MachineIdentity
) -> None:
    async with serving(server_credentials(lambda: coordinator)) as port:
        shown = await who_am_i(port, channel_credentials(node), name_override(node.authority_pem))
    assert peer_identity(shown, authority.mesh_id, now_s=time.time()) == node.peer


async def test_a_client_without_a_certificate_is_refused_by_the_mesh_port(
    coordinator: MachineIdentity,
) -> None:
    root = coordinator.authority_pem
    async with serving(server_credentials(lambda: coordinator)) as port:
        await refused(port, joining_credentials(root), name_override(root))


async def test_a_client_without_a_certificate_is_nobody_on_the_join_port(
    coordinator: MachineIdentity,
) -> None:
    root = coordinator.authority_pem
    async with serving(server_credentials(lambda: coordinator, require_client=False)) as port:
        assert await who_am_i(port, joining_credentials(root), name_override(root)) == b""


async def test_the_join_port_does_not_take_a_certificate_for_an_identity(
    coordinator: MachineIdentity, node: MachineIdentity
) -> None:
    root = coordinator.authority_pem
    async with serving(server_credentials(lambda: coordinator, require_client=False)) as port:
        assert await who_am_i(port, channel_credentials(node), name_override(root)) == b""


@pytest.mark.parametrize("role", [PeerRole.NODE, PeerRole.CLIENT, PeerRole.OPERATOR])
async def test_no_other_machine_of_the_mesh_can_serve_as_the_coordinator(
    authority: Authority, node: MachineIdentity, role: PeerRole
) -> None:
    impostor = enrolled(authority, role)
    async with serving(server_credentials(lambda: impostor)) as port:
        why = await refused(port, channel_credentials(node), name_override(node.authority_pem))
    assert "unsupported certificate purpose" in why


async def test_a_certificate_that_may_serve_but_has_another_name_is_refused(
    authority: Authority, coordinator: MachineIdentity, node: MachineIdentity
) -> None:
    # The name alone must keep an impostor out, even if a later version let nodes serve.
    async with serving(server_credentials(lambda: coordinator)) as port:
        expected = name_override(node.authority_pem)
        other = tuple((key, value.replace("coordinator", "node")) for key, value in expected)
        await refused(port, channel_credentials(node), other)
        assert await who_am_i(port, channel_credentials(node), expected)


async def test_the_address_alone_is_never_enough(
    coordinator: MachineIdentity, node: MachineIdentity
) -> None:
    async with serving(server_credentials(lambda: coordinator)) as port:
        await refused(port, channel_credentials(node), ())


async def test_a_machine_of_another_mesh_is_refused(
    coordinator: MachineIdentity, node: MachineIdentity, other_authority: Authority
) -> None:
    stranger = enrolled(other_authority, PeerRole.NODE)
    trusting = MachineIdentity(
        peer=stranger.peer,
        key_pem=stranger.key_pem,
        certificate_pem=stranger.certificate_pem,
        authority_pem=coordinator.authority_pem,
        valid_from_s=stranger.valid_from_s,
        expires_at_s=stranger.expires_at_s,
    )
    override = name_override(coordinator.authority_pem)
    async with serving(server_credentials(lambda: coordinator)) as port:
        await refused(port, channel_credentials(trusting), override)
        assert await who_am_i(port, channel_credentials(node), override)


async def test_the_coordinator_of_another_mesh_is_refused(
    node: MachineIdentity, other_authority: Authority
) -> None:
    other = enrolled(other_authority, PeerRole.COORDINATOR)
    async with serving(server_credentials(lambda: other)) as port:
        why = await refused(port, channel_credentials(node), name_override(node.authority_pem))
    assert "CERTIFICATE_VERIFY_FAILED" in why


async def test_an_authority_is_not_believed_about_names_outside_its_mesh(
    authority: Authority, coordinator: MachineIdentity, other_authority: Authority
) -> None:
    key = new_key()
    foreign = PeerIdentity(PeerRole.NODE, "a" * 26, other_authority.mesh_id)
    certificate = machine_certificate(
        foreign,
        key.public_key(),
        authority=authority.certificate,
        authority_key=authority._key,
        now_s=time.time(),
    )
    good = authority.enrol(key, PeerRole.NODE, now_s=time.time())
    forged = MachineIdentity(
        peer=foreign,
        key_pem=good.key_pem,
        certificate_pem=certificate.public_bytes(Encoding.PEM),
        authority_pem=good.authority_pem,
        valid_from_s=good.valid_from_s,
        expires_at_s=good.expires_at_s,
    )
    override = name_override(coordinator.authority_pem)
    async with serving(server_credentials(lambda: coordinator)) as port:
        await refused(port, channel_credentials(forged), override)
        assert await who_am_i(port, channel_credentials(good), override)


async def test_an_expired_certificate_is_refused_on_both_sides(
    authority: Authority, coordinator: MachineIdentity, node: MachineIdentity
) -> None:
    yesterday_s = time.time() - DAY_S - 60
    override = name_override(authority.certificate_pem)
    late_node = enrolled(authority, PeerRole.NODE, now_s=yesterday_s)
    async with serving(server_credentials(lambda: coordinator)) as port:
        await refused(port, channel_credentials(late_node), override)
    late_coordinator = enrolled(authority, PeerRole.COORDINATOR, now_s=yesterday_s)
    async with serving(server_credentials(lambda: late_coordinator)) as port:
        assert "expired" in await refused(port, channel_credentials(node), override)


async def test_a_renewed_certificate_is_served_without_a_restart(
    authority: Authority, node: MachineIdentity
) -> None:
    override = name_override(authority.certificate_pem)
    now = [enrolled(authority, PeerRole.COORDINATOR, now_s=time.time() - DAY_S - 60)]
    async with serving(server_credentials(lambda: now[0])) as port:
        gc.collect()  # the server alone keeps the credentials alive
        await refused(port, channel_credentials(node), override)
        now[0] = enrolled(authority, PeerRole.COORDINATOR)
        for _ in range(2):
            assert await who_am_i(port, channel_credentials(node), override)


def test_a_damaged_authority_gives_no_channel_options(authority: Authority) -> None:
    with pytest.raises(NotAuthenticated, match="damaged"):
        name_override(authority.certificate_pem[:100])
