"""Proof of holding a certified key, for whoever has only an expired certificate to show.

A coordinator keeps nothing of it: a challenge carries its own time and a code that only the
coordinator which made it can compute. It is good for one key and for a minute. To answer it
twice gains nothing: what it buys is a certificate for that very key.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from mesh.errors import NotAuthenticated
from mesh.identity.keys import PrivateKey, PublicKey, fingerprint

SIGNED_PREFIX = b"deskmesh renew"
RENEWABLE_FOR_S = 90 * 86_400.0  # after its end a certificate is still good for a new one
CHALLENGE_LIFE_S = 60.0
_TIME_BYTES, _NONCE_BYTES, _CODE_BYTES = 8, 16, 32
CHALLENGE_BYTES = _TIME_BYTES + _NONCE_BYTES + _CODE_BYTES


class Challenges:
    """Makes challenges and knows its own again. Those of a former process are no longer good."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    def new(self, key: PublicKey) -> bytes:
        """Return a challenge for the holder of ``key``."""
        now_ms = int(self._clock() * 1000)
        head = now_ms.to_bytes(_TIME_BYTES) + secrets.token_bytes(_NONCE_BYTES)
        return head + self._code(head, key)

    def check(self, challenge: bytes, proof: bytes, key: PublicKey) -> None:
        """Let pass whoever signed our own fresh challenge with ``key``.

        Raises:
            NotAuthenticated: not ours, not for this key, too old, or not signed by it.
        """
        head, code = challenge[:-_CODE_BYTES], challenge[-_CODE_BYTES:]
        ours = len(challenge) == CHALLENGE_BYTES and hmac.compare_digest(
            code, self._code(head, key)
        )
        age_s = self._clock() - int.from_bytes(head[:_TIME_BYTES]) / 1000 if ours else 0.0
        if not ours or age_s > CHALLENGE_LIFE_S:
            raise NotAuthenticated("the challenge is not one of this minute", hint="renew again")
        try:
            key.verify(proof, SIGNED_PREFIX + challenge, ec.ECDSA(SHA256()))
        except InvalidSignature:
            raise NotAuthenticated(
                "the proof was not made by the certificate's key", hint="join again with a new code"
            ) from None

    def _code(self, head: bytes, key: PublicKey) -> bytes:
        return hmac.digest(self._secret, head + fingerprint(key).encode(), hashlib.sha256)


def prove(key: PrivateKey, challenge: bytes) -> bytes:
    """Return the signature that answers ``challenge``; nothing else is ever signed in this way.

    Raises:
        NotAuthenticated: it has not the length of one.
    """
    if len(challenge) != CHALLENGE_BYTES:
        raise NotAuthenticated("the coordinator's challenge is malformed", hint="update deskmesh")
    return key.sign(SIGNED_PREFIX + challenge, ec.ECDSA(SHA256()))
