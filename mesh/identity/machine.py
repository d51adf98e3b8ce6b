"""A machine's identity in one role: its key, its certificate, and the authority behind it."""

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature

from mesh.errors import NotAuthenticated
from mesh.identity.files import JOIN_AGAIN
from mesh.identity.keys import PrivateKey, fingerprint, key_to_pem, mesh_id_of
from mesh.identity.peer import PeerIdentity, certified_peer
from mesh.identity.reading import certified_key, load_certificate


@dataclass(frozen=True, slots=True)
class MachineIdentity:
    """All that TLS needs to be someone. Its parts belong together: ``assemble`` has seen to it."""

    peer: PeerIdentity
    key_pem: bytes = field(repr=False)  # private: only for TLS and the store
    certificate_pem: bytes = field(repr=False)
    authority_pem: bytes = field(repr=False)
    valid_from_s: float  # Unix time
    expires_at_s: float  # Unix time

    @property
    def renew_at_s(self) -> float:
        """Unix time of half its life: from then on a new certificate should be asked for."""
        return (self.valid_from_s + self.expires_at_s) / 2


def assemble(key: PrivateKey, certificate_pem: bytes, authority_pem: bytes) -> MachineIdentity:
    """Make an identity of its parts. Its dates are not checked: an expired one may be renewed.

    Raises:
        NotAuthenticated: a part is malformed, the certificate is for another key, or this
            authority has not issued it.
    """
    authority = load_certificate(authority_pem, what="the mesh CA's certificate")
    certificate = load_certificate(certificate_pem, what="the machine's certificate")
    peer = certified_peer(certificate)
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        raise NotAuthenticated(
            "the machine's certificate was issued by another mesh", hint=JOIN_AGAIN
        ) from None
    if peer.mesh_id != mesh_id_of(certified_key(authority)):
        raise NotAuthenticated("the machine's certificate names another mesh", hint=JOIN_AGAIN)
    if peer.fingerprint != fingerprint(key.public_key()):
        raise NotAuthenticated("the machine's certificate is for another key", hint=JOIN_AGAIN)
    return MachineIdentity(
        peer=peer,
        key_pem=key_to_pem(key),
        certificate_pem=certificate_pem,
        authority_pem=authority_pem,
        valid_from_s=certificate.not_valid_before_utc.timestamp(),
        expires_at_s=certificate.not_valid_after_utc.timestamp(),
    )
