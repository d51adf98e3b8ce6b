"""The mesh CA: made once by the machine that starts a mesh, it says who is who in it.

It is made in a folder of its own, which is then renamed into place. A rename never puts a folder
where another one holds something, so of several first starts at once one wins and the others load
what it made, and no crash leaves half an authority.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding

from mesh.errors import Forbidden, NotAuthenticated
from mesh.home import Home
from mesh.identity.certificates import authority_certificate, machine_certificate
from mesh.identity.files import JOIN_AGAIN, cannot, read_trusted, write_private
from mesh.identity.keys import (
    PrivateKey,
    PublicKey,
    fingerprint,
    load_key,
    mesh_id_of,
    new_key,
    save_key,
)
from mesh.identity.machine import MachineIdentity, assemble
from mesh.identity.peer import PeerIdentity, PeerRole, certified_peer
from mesh.identity.reading import certified_key, load_certificate
from mesh.identity.request import requested_key
from mesh.platforms.here import HERE

CERTIFICATE_BYTES_MAX = 16_384  # ours take 800
MEND_AUTHORITY = (
    "restore it with deskmesh restore; or move the folder away to begin a new mesh, which every "
    "machine has to join again"
)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that the authority has just issued."""

    peer: PeerIdentity
    certificate_pem: bytes = field(repr=False)
    expires_at_s: float  # Unix time


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA of one mesh."""

    mesh_id: str
    certificate: x509.Certificate = field(repr=False)
    _key: PrivateKey = field(repr=False)

    @classmethod
    def create_or_load(cls, home: Home, *, now_s: float) -> Self:
        """Return the authority in ``home``, made first if there is none. ``now_s`` is Unix time.

        Raises:
            NotAuthenticated: it is there, and damaged or open to other users.
            ServiceError: the disk refuses.
        """
        if not cls.is_made(home):
            _create(home, now_s=now_s)
        return cls.load(home)

    @staticmethod
    def is_made(home: Home) -> bool:
        """Whether ``home`` has an authority, damaged or not.

        Raises:
            ServiceError: the disk does not tell.
        """
        return _holds_something(home.authority)

    @classmethod
    def load(cls, home: Home) -> Self:
        """Return the authority in ``home``.

        Raises:
            NotAuthenticated: there is none, or it is damaged or open to other users.
            ServiceError: the disk refuses.
        """
        key_file, certificate_file = _files(home.authority)
        try:
            key = load_key(key_file, mend=MEND_AUTHORITY)
            pem = read_trusted(certificate_file, mend=MEND_AUTHORITY)
        except FileNotFoundError as failure:
            raise _damaged(f"{failure.filename} is missing") from None
        certificate = load_certificate(pem, what=str(certificate_file), mend=MEND_AUTHORITY)
        if certified_key(certificate) != key.public_key():
            raise _damaged(f"{certificate_file} is not for the key in {key_file}")
        return cls(mesh_id_of(key.public_key()), certificate, key)

    @property
    def certificate_pem(self) -> bytes:
        """The CA's certificate, the root that every machine of the mesh trusts."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def sha256(self) -> bytes:
        """Digest of the CA's certificate, 32 bytes: what a join code carries."""
        return self.certificate.fingerprint(SHA256())

    def derived_key(self, purpose: str) -> bytes:
        """Return 32 secret bytes for ``purpose``, the same wherever this CA's key is.

        So a secret of the mesh outlives a restart and is kept in no file of its own; who knows it
        knows neither the CA's key nor the secret for another purpose (HKDF, RFC 5869).
        """
        secret = self._key.private_numbers().private_value.to_bytes(32, "big")
        info = f"deskmesh {purpose}".encode()
        return HKDF(SHA256(), length=32, salt=None, info=info).derive(secret)

    def issue(self, request_pem: bytes, role: PeerRole, *, now_s: float) -> Issued:
        """Certify the key of a certificate request in ``role``. ``now_s`` is Unix time.

        Of the request only the proven key counts; what it says of itself is ignored. Whoever calls
        this has made sure that the asker may have the role.

        Raises:
            InvalidRequest: the request is malformed or does not prove that it holds its key.
        """
        return self._certify(requested_key(request_pem), role, now_s=now_s)

    def renew(self, request_pem: bytes, holder: PeerIdentity, *, now_s: float) -> Issued:
        """Certify ``holder``, known by its certificate, for another day, in the role that it has.

        Raises:
            InvalidRequest: the request is malformed or does not prove that it holds its key.
            Forbidden: the request is for another key than the holder's, or of another mesh.
        """
        key = requested_key(request_pem)
        if fingerprint(key) != holder.fingerprint or holder.mesh_id != self.mesh_id:
            raise Forbidden(
                "a certificate is renewed for the key that it is for, and no other",
                hint="to use a new key, join again",
            )
        return self._certify(key, holder.role, now_s=now_s)

    def enrol(self, key: PrivateKey, role: PeerRole, *, now_s: float) -> MachineIdentity:
        """Certify a key of the authority's own machine, which needs no request and no code."""
        issued = self._certify(key.public_key(), role, now_s=now_s)
        return assemble(key, issued.certificate_pem, self.certificate_pem)

    def enrol_peer(self, key: PrivateKey, role: PeerRole) -> PeerIdentity:
        """Say who a key of the authority's own machine is, as ``enrol`` certifies it."""
        return PeerIdentity(role, fingerprint(key.public_key()), self.mesh_id)

    def certified(self, certificate_pem: bytes) -> tuple[PeerIdentity, PublicKey, float]:
        """Return whom a certificate of this CA names, the key, and its end in Unix time.

        Its dates are not checked: an expired one is good for a renewal.

        Raises:
            NotAuthenticated: it is malformed, or this CA has not issued it.
        """
        if len(certificate_pem) > CERTIFICATE_BYTES_MAX:
            raise NotAuthenticated("the certificate is too long to be ours", hint=JOIN_AGAIN)
        shown = load_certificate(certificate_pem, what="the certificate shown")
        peer = certified_peer(shown)
        try:
            shown.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            raise NotAuthenticated(
                "the certificate was issued by another mesh", hint=JOIN_AGAIN
            ) from None
        if peer.mesh_id != self.mesh_id:
            raise NotAuthenticated("the certificate is of another mesh", hint=JOIN_AGAIN)
        return peer, certified_key(shown), shown.not_valid_after_utc.timestamp()

    def _certify(self, key: PublicKey, role: PeerRole, *, now_s: float) -> Issued:
        peer = PeerIdentity(role, fingerprint(key), self.mesh_id)
        certificate = machine_certificate(
            peer, key, authority=self.certificate, authority_key=self._key, now_s=now_s
        )
        expires_at_s = certificate.not_valid_after_utc.timestamp()
        return Issued(peer, certificate.public_bytes(Encoding.PEM), expires_at_s)


def _create(home: Home, *, now_s: float) -> None:
    """Make an authority in ``home``, unless another process is faster."""
    try:
        home.ensure(home.root)
        made = Path(tempfile.mkdtemp(prefix=".authority-", dir=home.root))  # mode 700
    except OSError as failure:
        raise cannot("make a folder in", home.root, failure) from failure
    try:
        key = new_key()
        certificate = authority_certificate(key, now_s=now_s)
        key_file, certificate_file = _files(made)
        save_key(key_file, key)
        write_private(certificate_file, certificate.public_bytes(Encoding.PEM))
        made.rename(home.authority)
        HERE.sync_folder(home.root)
    except OSError as failure:
        if not _holds_something(home.authority):  # else another process was faster: load its work
            raise cannot("make", home.authority, failure) from failure
    finally:
        shutil.rmtree(made, ignore_errors=True)  # there no longer, if the rename went well


def _files(folder: Path) -> tuple[Path, Path]:
    return folder / "key.pem", folder / "certificate.pem"


def _holds_something(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False
    except OSError as failure:
        raise cannot("read", folder, failure) from failure


def _damaged(why: str) -> NotAuthenticated:
    return NotAuthenticated(f"the mesh authority is damaged: {why}", hint=MEND_AUTHORITY)
