"""What a certificate says is believed only if all of it fits together."""

import ssl
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.errors import NotAuthenticated
from mesh.identity.authority import Authority
from mesh.identity.certificates import authority_certificate, machine_certificate
from mesh.identity.keys import fingerprint, mesh_id_of, new_key
from mesh.identity.machine import assemble
from mesh.identity.peer import PeerIdentity, PeerRole, coordinator_name, peer_identity
from tests.mesh.identity.conftest import enrolled, untimed

KEY = new_key()
FINGERPRINT = fingerprint(KEY.public_key())
MESH_ID = mesh_id_of(new_key().public_key())
NODE_URI = f"deskmesh://{MESH_ID}/node/{FINGERPRINT}"


def certificate_naming(
    names: list[x509.GeneralName], *, curve: ec.EllipticCurve | None = None
) -> bytes:
    """Return a certificate with these names, as no authority of ours would issue it."""
    key = KEY if curve is None else ec.generate_private_key(curve)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(minutes=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


@pytest.mark.parametrize("role", list(PeerRole))
def test_an_issued_certificate_says_who_its_holder_is(authority: Authority, role: PeerRole) -> None:
    machine = enrolled(authority, role)
    peer = peer_identity(machine.certificate_pem, authority.mesh_id, now_s=time.time())
    assert peer == machine.peer
    assert peer.role is role


def test_a_certificate_of_another_mesh_is_refused(
    authority: Authority, other_authority: Authority
) -> None:
    stranger = enrolled(other_authority, PeerRole.NODE)
    with pytest.raises(NotAuthenticated, match=f"is of mesh {other_authority.mesh_id}"):
        peer_identity(stranger.certificate_pem, authority.mesh_id, now_s=time.time())


def test_a_certificate_counts_in_its_time_only(authority: Authority) -> None:
    machine = enrolled(authority, PeerRole.NODE)
    for now_s in (machine.valid_from_s, machine.expires_at_s):
        assert peer_identity(machine.certificate_pem, authority.mesh_id, now_s=now_s)
    with pytest.raises(NotAuthenticated, match="expired; renew it"):
        peer_identity(machine.certificate_pem, authority.mesh_id, now_s=machine.expires_at_s + 0.1)
    with pytest.raises(NotAuthenticated, match="not valid yet; set the clocks"):
        peer_identity(machine.certificate_pem, authority.mesh_id, now_s=machine.valid_from_s - 0.1)


def test_the_helper_of_these_tests_makes_certificates_that_can_pass() -> None:
    assert peer_identity(
        certificate_naming([uri(NODE_URI)]), MESH_ID, now_s=time.time()
    ) == PeerIdentity(PeerRole.NODE, FINGERPRINT, MESH_ID)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([], "is malformed"),
        ([x509.DNSName("example.com")], "names no machine"),
        ([uri(NODE_URI), uri(NODE_URI.replace("node", "operator"))], "names no machine"),
        ([uri(NODE_URI + "/")], "names no machine"),
        ([uri(NODE_URI + "\n")], "names no machine"),
        ([uri(NODE_URI.upper())], "names no machine"),
        ([uri(NODE_URI.replace("/node/", "/root/"))], "names no machine"),
        ([uri(NODE_URI.replace("deskmesh:", "https:"))], "names no machine"),
        ([uri(NODE_URI[:-26] + "a" * 26)], "fingerprint of another key"),
        ([uri(NODE_URI), x509.DNSName(coordinator_name(MESH_ID))], "names that are not those"),
        ([uri(NODE_URI.replace("/node/", "/coordinator/"))], "names that are not those"),
        ([uri(NODE_URI), x509.RFC822Name("a@example.com")], "names that are not those"),
    ],
)
def test_a_certificate_with_other_names_than_ours_is_refused(
    names: list[x509.GeneralName], why: str
) -> None:
    with pytest.raises(NotAuthenticated, match=why):
        peer_identity(certificate_naming(names), MESH_ID, now_s=time.time())


def test_a_certificate_for_another_kind_of_key_is_refused() -> None:
    pem = certificate_naming([uri(NODE_URI)], curve=ec.SECP384R1())
    with pytest.raises(NotAuthenticated, match="no whole certificate"):
        peer_identity(pem, MESH_ID, now_s=time.time())


@pytest.mark.parametrize("pem", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nMIIB"])
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(NotAuthenticated, match="no whole certificate"):
        peer_identity(pem, MESH_ID, now_s=time.time())


DER = ssl.PEM_cert_to_DER_cert(certificate_naming([uri(NODE_URI)]).decode())
VERSION_AT = DER.index(b"\xa0\x03\x02\x01\x02") + 4


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # of a certificate damaged there
@untimed
@given(st.lists(st.tuples(st.integers(0, len(DER) - 1), st.integers(1, 255)), max_size=3))
@example([(VERSION_AT, 1)])  # which cryptography raises an error of its own for
def test_a_damaged_certificate_is_refused_or_says_the_same(
    changes: list[tuple[int, int]],
) -> None:
    changed = bytearray(DER)
    for position, change in changes:
        changed[position] ^= change
    try:
        pem = ssl.DER_cert_to_PEM_cert(bytes(changed)).encode()
        peer = peer_identity(pem, MESH_ID, now_s=time.time())
    except NotAuthenticated:
        return
    # Only what this function does not look at (TLS does) has changed, or the role's own letters.
    assert (peer.fingerprint, peer.mesh_id) == (FINGERPRINT, MESH_ID)


def test_an_identity_of_parts_that_do_not_belong_together_is_refused(
    authority: Authority, other_authority: Authority
) -> None:
    key = new_key()
    good = authority.enrol(key, PeerRole.NODE, now_s=time.time())
    assert assemble(key, good.certificate_pem, good.authority_pem) == good
    with pytest.raises(NotAuthenticated, match="for another key"):
        assemble(new_key(), good.certificate_pem, good.authority_pem)
    with pytest.raises(NotAuthenticated, match="issued by another mesh"):
        assemble(key, good.certificate_pem, other_authority.certificate_pem)
    with pytest.raises(NotAuthenticated, match="CA's certificate is damaged"):
        assemble(key, good.certificate_pem, good.authority_pem[:200])


def test_an_authority_cannot_vouch_for_a_machine_of_another_mesh() -> None:
    authority_key = new_key()
    authority = authority_certificate(authority_key, now_s=time.time())
    certificate = machine_certificate(
        PeerIdentity(PeerRole.NODE, FINGERPRINT, MESH_ID),
        KEY.public_key(),
        authority=authority,
        authority_key=authority_key,
        now_s=time.time(),
    )
    with pytest.raises(NotAuthenticated, match="names another mesh"):
        assemble(KEY, certificate.public_bytes(Encoding.PEM), authority.public_bytes(Encoding.PEM))


def test_an_identity_asks_for_renewal_from_half_its_life(authority: Authority) -> None:
    machine = enrolled(authority, PeerRole.NODE, now_s=1_800_000_000.0)
    assert machine.renew_at_s == pytest.approx(1_800_000_000.0 + 12 * 3600, abs=300)
