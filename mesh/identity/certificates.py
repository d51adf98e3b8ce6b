"""The two kinds of certificate in a mesh: what stands in them, not who may have one.

- The authority's: self-signed, ten years, may sign certificates and nothing else, bound by name
  constraints to the names of its own mesh.
- A machine's: one day, one URI that says mesh, role and fingerprint. A coordinator's also carries
  the coordinator's DNS name and may serve; all others may only dial.
"""

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh.identity.keys import PrivateKey, PublicKey, mesh_id_of
from mesh.identity.peer import PeerIdentity, PeerRole, coordinator_name

AUTHORITY_LIFE = timedelta(days=3650)
MACHINE_LIFE = timedelta(hours=24)  # so short that expiry is the revocation of last resort
BACKDATING = timedelta(minutes=5)  # clocks of desk-side machines differ by about as much


def authority_certificate(key: PrivateKey, *, now_s: float) -> x509.Certificate:
    """Return the self-signed certificate of a mesh CA with this key. ``now_s`` is Unix time."""
    public = key.public_key()
    mesh_id = mesh_id_of(public)
    return (
        _certificate(f"deskmesh {mesh_id}", public, now_s, AUTHORITY_LIFE)
        .issuer_name(_name(f"deskmesh {mesh_id}"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(_only_names_of(mesh_id), critical=True)
        .sign(key, SHA256())
    )


def machine_certificate(
    peer: PeerIdentity,
    public: PublicKey,
    *,
    authority: x509.Certificate,
    authority_key: PrivateKey,
    now_s: float,
) -> x509.Certificate:
    """Return a certificate by which ``authority`` says that ``public`` is ``peer``'s key."""
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(peer.uri)]
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if peer.role is PeerRole.COORDINATOR:
        names.append(x509.DNSName(coordinator_name(peer.mesh_id)))
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        # The subject is for people. TLS falls back on it where a certificate has no names; with
        # its space it can never be taken for a host's.
        _certificate(f"{peer.role} {peer.fingerprint}", public, now_s, MACHINE_LIFE)
        .issuer_name(authority.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, SHA256())
    )


def _only_names_of(mesh_id: str) -> x509.NameConstraints:
    """Bound a CA to its mesh: were its key stolen, it could still not vouch for a web site."""
    return x509.NameConstraints(
        permitted_subtrees=[
            x509.DNSName(f"{mesh_id}.deskmesh"),
            x509.UniformResourceIdentifier(mesh_id),  # the host part, RFC 5280 section 4.2.1.10
        ],
        excluded_subtrees=[
            x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
            x509.IPAddress(ipaddress.ip_network("::/0")),
        ],
    )


def _certificate(
    common_name: str, public: PublicKey, now_s: float, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(int(now_s), tz=UTC)  # certificates know no fractions of a second
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATING)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
