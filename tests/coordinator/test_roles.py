"""What a join code lets in, and what nobody gets without one."""

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from coordinator.coordinator import Coordinator
from mesh.cli.operations import new_invitation
from mesh.errors import Forbidden
from mesh.home import Home
from mesh.identity.joincode import JoinCode
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.identity.store import IdentityStore
from mesh.identity.tls import joining_credentials, name_override
from mesh.joining import join
from mesh.rpc import CHANNEL_OPTIONS
from tests.coordinator.test_access import METHODS, status_of

NODE, CLIENT, OPERATOR = PeerRole.NODE, PeerRole.CLIENT, PeerRole.OPERATOR


@pytest.mark.parametrize(
    ("invited", "lend", "became"),
    [
        (NODE, True, NODE),
        (NODE, False, CLIENT),
        (CLIENT, True, CLIENT),
        (OPERATOR, True, OPERATOR),
        (OPERATOR, False, OPERATOR),
    ],
)
async def test_a_code_makes_what_it_says_and_no_more(
    coordinator: Coordinator, tmp_path: Path, invited: PeerRole, lend: bool, became: PeerRole
) -> None:
    home, here = Home(tmp_path / "desk"), f"127.0.0.1:{coordinator.ports.join}"
    code, _ = await new_invitation(invited, "", Home(tmp_path / "home"))
    peer = await join(home, code, machine_name="desk", address=here, lend=lend)
    assert peer.role is became
    assert IdentityStore(home).roles() == (became,)
    assert home.lends == (became is NODE)


@pytest.mark.parametrize(
    ("invited", "forged"),
    [(NODE, OPERATOR), (CLIENT, NODE), (CLIENT, OPERATOR), (OPERATOR, NODE)],
)
async def test_a_forged_role_is_refused_and_does_not_use_up_the_code(
    coordinator: Coordinator, tmp_path: Path, invited: PeerRole, forged: PeerRole
) -> None:
    home, here = Home(tmp_path / "desk"), f"127.0.0.1:{coordinator.ports.join}"
    code, _ = await new_invitation(invited, "", Home(tmp_path / "home"))
    honest = JoinCode.decode(code)
    assert honest.role is invited
    raised = JoinCode(honest.authority_sha256, honest.secret, honest.addresses, forged)
    with pytest.raises(Forbidden, match=f"lets in a {invited}, not a {forged}"):
        await join(home, raised.encode(), machine_name="desk", address=here)
    assert IdentityStore(home).roles() == ()
    await join(home, code, machine_name="desk", address=here)


async def test_a_node_that_joins_again_without_lending_no_longer_lends(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    home, here = Home(tmp_path / "desk"), f"127.0.0.1:{coordinator.ports.join}"
    for lend in (True, False, True):
        code, _ = await new_invitation(NODE, "", Home(tmp_path / "home"))
        await join(home, code, machine_name="desk", address=here, lend=lend)
        assert home.lends == lend


@pytest.mark.parametrize("name", sorted(METHODS))
async def test_without_a_certificate_only_enrolment_is_served(
    name: str, coordinator: Coordinator, enrolled: Callable[[PeerRole], MachineIdentity]
) -> None:
    root = enrolled(CLIENT).authority_pem
    options = [*CHANNEL_OPTIONS, *name_override(root)]
    codes = []
    for port in (coordinator.ports.mesh, coordinator.ports.join):
        address, credentials = f"127.0.0.1:{port}", joining_credentials(root)
        async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
            codes.append(await status_of(channel, name))
    assert codes[0] is grpc.StatusCode.UNAVAILABLE  # the handshake fails
    if name.startswith("Enrolment/"):
        assert codes[1] in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAUTHENTICATED}
    else:
        assert codes[1] is grpc.StatusCode.UNIMPLEMENTED
