"""The mesh CA decides who is who, and is made once."""

import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import example, given
from hypothesis import strategies as st

import mesh.identity.authority
from mesh.errors import Forbidden, InvalidRequest, NotAuthenticated
from mesh.home import Home
from mesh.identity.authority import Authority
from mesh.identity.keys import PrivateKey, fingerprint, mesh_id_of, new_key
from mesh.identity.peer import PeerIdentity, PeerRole, coordinator_name
from mesh.identity.request import REQUEST_BYTES_MAX, certificate_request, requested_key
from tests.mesh.identity.conftest import untimed

NOW_S = 1_800_000_000.0
DAY_S = 86_400.0

CREATE = """
import sys
from pathlib import Path
from mesh.home import Home
from mesh.identity.authority import Authority
print("ready", flush=True)
sys.stdin.readline()
print(Authority.create_or_load(Home(Path(sys.argv[1])), now_s=1.8e9).sha256.hex())
"""


def issued(authority: Authority, request: bytes, role: PeerRole) -> x509.Certificate:
    certificate = x509.load_pem_x509_certificate(
        authority.issue(request, role, now_s=NOW_S).certificate_pem
    )
    certificate.verify_directly_issued_by(authority.certificate)
    return certificate


def names_of(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def usages_of(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_a_derived_key_is_the_same_after_a_restart_and_for_one_purpose_only(home: Home) -> None:
    made = Authority.create_or_load(home, now_s=NOW_S)
    key = made.derived_key("one purpose")
    assert len(key) == 32
    assert Authority.load(home).derived_key("one purpose") == key
    assert made.derived_key("another purpose") != key
    other = Authority.create_or_load(Home(home.root / "other"), now_s=NOW_S)
    assert other.derived_key("one purpose") != key


def test_the_authority_is_made_once_and_loaded_from_then_on(home: Home) -> None:
    made = Authority.create_or_load(home, now_s=NOW_S)
    assert Authority.create_or_load(home, now_s=NOW_S + DAY_S).sha256 == made.sha256
    assert (
        Authority.load(home).mesh_id
        == made.mesh_id
        == mesh_id_of(
            made.certificate.public_key()  # type: ignore[arg-type]
        )
    )


def test_the_authority_is_the_owners_alone_and_leaves_nothing_beside_it(home: Home) -> None:
    Authority.create_or_load(home, now_s=NOW_S)
    assert home.authority.stat().st_mode & 0o777 == 0o700
    assert (home.authority / "key.pem").stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in home.root.iterdir()] == ["authority"]


def test_an_empty_folder_made_before_is_no_obstacle(home: Home) -> None:
    home.ensure(home.authority)
    assert Authority.create_or_load(home, now_s=NOW_S).mesh_id


def test_the_authoritys_certificate_is_bound_to_its_mesh(home: Home) -> None:
    authority = Authority.create_or_load(home, now_s=NOW_S)
    certificate = authority.certificate
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert x509.DNSName(f"{authority.mesh_id}.deskmesh") in (
        constraints.value.permitted_subtrees or ()
    )
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert basic.value.path_length == 0
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life == timedelta(days=3650, minutes=5)


def test_of_threads_that_all_find_none_one_wins_and_all_get_its_authority(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_found_none = threading.Barrier(4, timeout=30)

    def new_key_after_all_found_none() -> PrivateKey:
        all_found_none.wait()
        return new_key()

    monkeypatch.setattr(mesh.identity.authority, "new_key", new_key_after_all_found_none)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: Authority.create_or_load(home, now_s=NOW_S), range(4)))
    assert len({authority.sha256 for authority in made}) == 1
    assert [entry.name for entry in home.root.iterdir()] == ["authority"]


def test_processes_that_start_at_once_get_the_same_authority(home: Home) -> None:
    command = [sys.executable, "-c", CREATE, str(home.root)]
    starts = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    try:
        for process in starts:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in starts:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        digests = {process.communicate(timeout=60)[0].strip() for process in starts}
    finally:
        for process in starts:
            process.kill()
            process.communicate()
    assert digests == {Authority.load(home).sha256.hex()}


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_truncated_file_of_the_authority_says_what_to_do(
    home: Home, name: str, share: float
) -> None:
    Authority.create_or_load(home, now_s=NOW_S)
    content = (home.authority / name).read_bytes()
    (home.authority / name).write_bytes(content[: int(len(content) * share)])
    with pytest.raises(NotAuthenticated, match=f"{name} is damaged.*deskmesh restore"):
        Authority.create_or_load(home, now_s=NOW_S)


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem"])
def test_half_an_authority_is_never_taken_for_none(home: Home, name: str) -> None:
    Authority.create_or_load(home, now_s=NOW_S)
    (home.authority / name).unlink()
    with pytest.raises(NotAuthenticated, match=f"{name} is missing.*begin a new mesh"):
        Authority.create_or_load(home, now_s=NOW_S)


def test_a_key_and_a_certificate_of_two_authorities_do_not_pass_for_one(
    home: Home, tmp_path: Path
) -> None:
    Authority.create_or_load(home, now_s=NOW_S)
    other = Home(tmp_path / "other")
    Authority.create_or_load(other, now_s=NOW_S)
    (other.authority / "key.pem").replace(home.authority / "key.pem")
    with pytest.raises(NotAuthenticated, match="is not for the key"):
        Authority.load(home)


@pytest.mark.parametrize("role", list(PeerRole))
def test_a_certificate_says_mesh_role_and_fingerprint_for_a_day(
    authority: Authority, role: PeerRole
) -> None:
    key = new_key()
    answer = authority.issue(certificate_request(key), role, now_s=NOW_S)
    certificate = x509.load_pem_x509_certificate(answer.certificate_pem)
    expected = PeerIdentity(role, fingerprint(key.public_key()), authority.mesh_id)
    assert answer.peer == expected
    assert certificate.public_key() == key.public_key()
    assert names_of(certificate).get_values_for_type(x509.UniformResourceIdentifier) == [
        f"deskmesh://{authority.mesh_id}/{role}/{expected.fingerprint}"
    ]
    assert certificate.not_valid_before_utc.timestamp() == NOW_S - 300
    assert certificate.not_valid_after_utc.timestamp() == answer.expires_at_s == NOW_S + DAY_S


@pytest.mark.parametrize("role", list(PeerRole))
def test_only_a_coordinators_certificate_has_a_host_name_and_may_serve(
    authority: Authority, role: PeerRole
) -> None:
    certificate = issued(authority, certificate_request(new_key()), role)
    hosts = names_of(certificate).get_values_for_type(x509.DNSName)
    if role is PeerRole.COORDINATOR:
        assert hosts == [coordinator_name(authority.mesh_id)]
        assert usages_of(certificate) == {
            ExtendedKeyUsageOID.SERVER_AUTH,
            ExtendedKeyUsageOID.CLIENT_AUTH,
        }
    else:
        assert hosts == []
        assert usages_of(certificate) == {ExtendedKeyUsageOID.CLIENT_AUTH}


def test_a_request_that_claims_to_be_the_coordinator_gains_nothing(authority: Authority) -> None:
    key = new_key()
    name = coordinator_name(authority.mesh_id)
    forged = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, SHA256())
    )
    certificate = issued(authority, forged.public_bytes(Encoding.PEM), PeerRole.NODE)
    honest = issued(authority, certificate_request(key), PeerRole.NODE)
    assert certificate.subject == honest.subject
    assert list(certificate.extensions) == list(honest.extensions)
    assert name not in certificate.subject.rfc4514_string()


def test_a_request_signed_by_another_key_is_refused(authority: Authority) -> None:
    # Swap the public key inside a signed request: the signature no longer covers what it says.
    victim, thief = new_key(), new_key()
    request = x509.load_pem_x509_csr(certificate_request(thief)).public_bytes(Encoding.DER)
    swapped = request.replace(point_of(thief), point_of(victim))
    assert swapped != request
    pem = x509.load_der_x509_csr(swapped).public_bytes(Encoding.PEM)
    with pytest.raises(InvalidRequest, match="not signed by the key"):
        authority.issue(pem, PeerRole.NODE, now_s=NOW_S)


def point_of(key: PrivateKey) -> bytes:
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32) + numbers.y.to_bytes(32)


def test_a_request_for_another_kind_of_key_is_refused(authority: Authority) -> None:
    request = certificate_request(ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(InvalidRequest, match="EC P-256"):
        authority.issue(request, PeerRole.NODE, now_s=NOW_S)


@pytest.mark.parametrize("request_pem", [b"", b"hello", b"x" * (REQUEST_BYTES_MAX + 1)])
def test_what_is_no_request_is_refused(authority: Authority, request_pem: bytes) -> None:
    with pytest.raises(InvalidRequest, match="certificate request"):
        authority.issue(request_pem, PeerRole.NODE, now_s=NOW_S)


REQUEST_DER = x509.load_pem_x509_csr(certificate_request(new_key())).public_bytes(Encoding.DER)


@untimed
@given(st.integers(0, len(REQUEST_DER) - 1), st.integers(1, 255))
@example(
    REQUEST_DER.index(b"\x02\x01\x00") + 2, 1
)  # another version, which cryptography raises an error of its own for
def test_no_changed_byte_of_a_request_passes_or_crashes(position: int, change: int) -> None:
    changed = bytearray(REQUEST_DER)
    changed[position] ^= change
    pem = ssl.DER_cert_to_PEM_cert(bytes(changed)).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    with pytest.raises(InvalidRequest):
        requested_key(pem.encode())


def test_a_certificate_is_renewed_in_its_role_for_its_own_key_only(
    authority: Authority, other_authority: Authority
) -> None:
    key = new_key()
    request = certificate_request(key)
    holder = authority.issue(request, PeerRole.CLIENT, now_s=NOW_S).peer
    renewed = authority.renew(request, holder, now_s=NOW_S + DAY_S)
    assert renewed.peer == holder
    assert renewed.expires_at_s == NOW_S + 2 * DAY_S
    with pytest.raises(Forbidden, match="no other"):
        authority.renew(certificate_request(new_key()), holder, now_s=NOW_S)
    with pytest.raises(Forbidden, match="no other"):
        other_authority.renew(request, holder, now_s=NOW_S)


def test_neither_repr_nor_error_shows_a_private_key(authority: Authority) -> None:
    identity = authority.enrol(new_key(), PeerRole.NODE, now_s=NOW_S)
    for line in identity.key_pem.decode().splitlines():
        assert line not in repr(identity)
    assert "PRIVATE" not in repr(authority)
    assert "key" not in repr(authority)
