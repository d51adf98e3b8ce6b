"""Key pairs, and the fingerprint by which the mesh knows a machine."""

import base64
import hashlib
from pathlib import Path
from typing import TypeGuard

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from mesh.errors import NotAuthenticated
from mesh.identity.files import JOIN_AGAIN, read_private, write_private, write_private_once

# An id is an identity, so what counts is that nobody can find a second key with the id of a given
# one: 26 base32 characters keep 130 of the 256 bits, as hard to match as the key is to break.
FINGERPRINT_CHARACTERS = 26

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


def new_key() -> PrivateKey:
    """Make an EC P-256 key, the one curve that every TLS stack has."""
    return ec.generate_private_key(ec.SECP256R1())


def fingerprint(public_key: PublicKey) -> str:
    """Return the id of a key: sha256 of its SubjectPublicKeyInfo, 26 characters a-z and 2-7."""
    information = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(information).digest()
    return base64.b32encode(digest).decode("ascii").lower()[:FINGERPRINT_CHARACTERS]


def mesh_id_of(authority_key: PublicKey) -> str:
    """Return the id of the mesh whose CA has this key: "m" and 15 characters of its fingerprint.

    Its 75 bits tell meshes apart; what proves membership is the CA's signature, never the id.
    """
    return f"m{fingerprint(authority_key)[:15]}"


def is_supported(key: object) -> TypeGuard[PublicKey]:
    """Tell whether ``key`` is a public key on the curve P-256, the only kind the mesh admits."""
    return isinstance(key, PublicKey) and isinstance(key.curve, ec.SECP256R1)


def key_to_pem(key: PrivateKey) -> bytes:
    """Return ``key`` as unencrypted PKCS #8 PEM; keep it out of every message and log."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def save_key(path: Path, key: PrivateKey) -> None:
    """Write ``key`` to ``path``, mode 600, in place of what was there.

    Raises:
        ServiceError: it cannot be written.
    """
    write_private(path, key_to_pem(key))


def load_key(path: Path, *, mend: str = JOIN_AGAIN) -> PrivateKey:
    """Read the key at ``path``; ``mend`` is the hint for the case that it is damaged.

    Raises:
        NotAuthenticated: others may read the file too, or it holds no whole P-256 key.
        FileNotFoundError: there is none.
        ServiceError: the file cannot be read.
    """
    key = _parsed(read_private(path, mend=mend))
    if key is None:
        raise NotAuthenticated(f"{path} is damaged: it holds no whole EC P-256 key", hint=mend)
    return key


def load_or_create_key(path: Path) -> PrivateKey:
    """Return the key at ``path``; make one if there is none, or a damaged one, which is lost.

    Processes that find none at the same time get the same one.

    Raises:
        NotAuthenticated: the file is there, and open to others.
        ServiceError: the file cannot be read or written.
    """
    try:
        key = _parsed(read_private(path))
    except FileNotFoundError:
        key = new_key()
        return key if write_private_once(path, key_to_pem(key)) else load_key(path)
    if key is None:
        key = new_key()
        save_key(path, key)
    return key


def _parsed(content: bytes) -> PrivateKey | None:
    """Return the P-256 key that ``content`` holds, or None. The parser's words may quote it."""
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, PrivateKey) and is_supported(key.public_key()) else None
