"""What a certificate says of the one who shows it."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from cryptography import x509

from mesh.errors import NotAuthenticated
from mesh.identity.files import JOIN_AGAIN
from mesh.identity.keys import fingerprint
from mesh.identity.reading import MALFORMED, certified_key, load_certificate


class PeerRole(StrEnum):
    """What a key is in its mesh; each call names the roles that may make it."""

    NODE = "node"
    CLIENT = "client"
    OPERATOR = "operator"
    COORDINATOR = "coordinator"


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who someone is, as the mesh CA vouches for it."""

    role: PeerRole
    fingerprint: str  # of the public key, see keys.fingerprint; a node's id
    mesh_id: str

    @property
    def uri(self) -> str:
        """This identity as a certificate carries it."""
        return f"deskmesh://{self.mesh_id}/{self.role}/{self.fingerprint}"


_URI = re.compile(rf"deskmesh://(m[a-z2-7]{{15}})/({'|'.join(PeerRole)})/([a-z2-7]{{26}})")


def coordinator_name(mesh_id: str) -> str:
    """Return the DNS name that only a coordinator's certificate carries; no resolver knows it."""
    return f"coordinator.{mesh_id}.deskmesh"


def peer_identity(certificate_pem: bytes, mesh_id: str, *, now_s: float) -> PeerIdentity:
    """Return who showed ``certificate_pem``, which TLS has verified against the mesh CA before.

    The time is checked here as well, though TLS did: gRPC's server resumes TLS sessions, and a
    resumed one is not verified again; nor is a connection that outlives its certificate.

    Args:
        certificate_pem: as in gRPC's ``context.auth_context()["x509_pem_cert"][0]``.
        mesh_id: the mesh that the certificate has to be of.
        now_s: Unix time in seconds.

    Raises:
        NotAuthenticated: it is no certificate of this mesh, or not valid at this time.
    """
    peer, valid_from_s, expires_at_s = _parsed(certificate_pem)
    if peer.mesh_id != mesh_id:
        raise _not_ours(f"is of mesh {peer.mesh_id}, not of {mesh_id}")
    if now_s < valid_from_s:
        raise NotAuthenticated(
            "the certificate is not valid yet", hint="set the clocks of both machines right"
        )
    if now_s > expires_at_s:
        raise NotAuthenticated(
            "the certificate has expired", hint="renew it; if it cannot be renewed, " + JOIN_AGAIN
        )
    return peer


def certified_peer(certificate: x509.Certificate) -> PeerIdentity:
    """Return what ``certificate`` says, without a look at its issuer or its dates.

    Raises:
        NotAuthenticated: it is not one that a mesh CA issues.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except MALFORMED:
        raise _not_ours("is malformed") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    match = _URI.fullmatch(uris[0]) if len(uris) == 1 else None
    if match is None:
        raise _not_ours("names no machine of a mesh")
    peer = PeerIdentity(PeerRole(match[2]), fingerprint=match[3], mesh_id=match[1])
    if fingerprint(certified_key(certificate)) != peer.fingerprint:
        raise _not_ours("names the fingerprint of another key")
    others = [name for name in names if not isinstance(name, x509.UniformResourceIdentifier)]
    if others != _other_names(peer):
        raise _not_ours(f"carries names that are not those of its role, {peer.role}")
    return peer


def _other_names(peer: PeerIdentity) -> list[x509.GeneralName]:
    if peer.role is PeerRole.COORDINATOR:
        return [x509.DNSName(coordinator_name(peer.mesh_id))]
    return []


# Every call shows its certificate, and parsing it anew takes 52 us, a twentieth of all that the
# mesh may add to a request. 1,024 certificates of 800 bytes are under 2 MB.
@lru_cache(maxsize=1024)
def _parsed(certificate_pem: bytes) -> tuple[PeerIdentity, float, float]:
    certificate = load_certificate(certificate_pem, what="the certificate shown")
    valid_from_s = certificate.not_valid_before_utc.timestamp()
    expires_at_s = certificate.not_valid_after_utc.timestamp()
    return certified_peer(certificate), valid_from_s, expires_at_s


def _not_ours(why: str) -> NotAuthenticated:
    return NotAuthenticated(f"the certificate {why}", hint=JOIN_AGAIN)
