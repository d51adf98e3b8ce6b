"""The join code: all that a new machine needs to find its mesh, trust it and be let in.

``dm1-`` (``dm1c-`` for a client, ``dm1o-`` for an operator) and base32 of: sha256 of the CA's
certificate (32 bytes), one-time secret (16 bytes), the
coordinator's addresses (each with its length before it), CRC-32 of all that (4 bytes). Base32,
because people read it aloud and programs change the case of letters. The CRC sees every burst of
up to 32 wrong bits, so every wrong character and every two neighbours that swapped places.
"""

import base64
import binascii
import zlib
from dataclasses import dataclass, field
from typing import Self

from mesh.errors import InvalidRequest
from mesh.identity.address import ADDRESS_CHARACTERS_MAX, split_address
from mesh.identity.peer import PeerRole

PREFIX = "dm1-"
# Which role the code invites to: a hint, so that the joiner asks for it; the coordinator decides.
_LETTERS = {PeerRole.NODE: "", PeerRole.CLIENT: "c", PeerRole.OPERATOR: "o"}
_PREFIXES = {f"dm1{letter}-": role for role, letter in _LETTERS.items()}
AUTHORITY_BYTES = 32
SECRET_BYTES = 16  # 128 bits: nobody guesses one in the ten minutes that it lives
ADDRESSES_MAX = 4  # Ethernet, Wi-Fi, VPN and a name; more only make the code longer
CODE_CHARACTERS_MAX = 2048  # four of the longest addresses take 1,758

_CHECKSUM_BYTES = 4
_COPY_AGAIN = "copy the whole code again, or make a new one with deskmesh invite"


@dataclass(frozen=True, slots=True)
class JoinCode:
    """What a join code says. Whoever holds its secret may join once, within ten minutes."""

    authority_sha256: bytes
    secret: bytes = field(repr=False)
    addresses: tuple[str, ...]  # hints: host:port of the join port, best first
    role: PeerRole = PeerRole.NODE  # what it invites to

    def __post_init__(self) -> None:
        if len(self.authority_sha256) != AUTHORITY_BYTES or len(self.secret) != SECRET_BYTES:
            raise InvalidRequest("a join code needs a digest of 32 bytes and a secret of 16")
        if self.role not in _LETTERS:
            raise InvalidRequest(f"a join code invites nobody to be a {self.role}")
        if len(self.addresses) > ADDRESSES_MAX:
            raise InvalidRequest(f"a join code holds at most {ADDRESSES_MAX} addresses")
        for address in self.addresses:
            split_address(address)

    def encode(self) -> str:
        """Return the code as one word to paste. It is a secret: show it, never log it."""
        content = self.authority_sha256 + self.secret
        for address in self.addresses:
            text = address.encode("ascii")
            content += len(text).to_bytes(2) + text
        letter = _LETTERS[self.role]
        content += _checksum(letter, content)
        return f"dm1{letter}-" + base64.b32encode(content).decode("ascii").rstrip("=").lower()

    @classmethod
    def decode(cls, code: str) -> Self:
        """Read a code; white space around it or within it, and the case of letters, do not matter.

        Raises:
            InvalidRequest: it is no join code, mistyped, cut short, or of a newer deskmesh.
        """
        role, content = _checked(code)
        head = AUTHORITY_BYTES + SECRET_BYTES
        addresses = []
        rest = content[head:]
        while rest:
            length = int.from_bytes(rest[:2])
            text, rest = rest[2 : 2 + length], rest[2 + length :]
            if len(text) != length or not text.isascii() or length > ADDRESS_CHARACTERS_MAX:
                raise _invalid("is malformed")
            addresses.append(text.decode("ascii"))
        return cls(content[:AUTHORITY_BYTES], content[AUTHORITY_BYTES:head], tuple(addresses), role)


def _checked(code: str) -> tuple[PeerRole, bytes]:
    """Return the role and the bytes of ``code`` without the checksum, which was right."""
    if len(code) > CODE_CHARACTERS_MAX:
        raise _invalid("is too long")
    word = "".join(code.split()).lower()
    prefix = word[: word.find("-") + 1]
    role = _PREFIXES.get(prefix)
    if role is None:
        raise _invalid(f"does not begin with {PREFIX}: it is not one, or of another version")
    text = word.removeprefix(prefix)
    try:
        whole = base64.b32decode(text + "=" * (-len(text) % 8), casefold=True)
    except (binascii.Error, ValueError):
        raise _invalid("is mistyped or cut short") from None
    content, checksum = whole[:-_CHECKSUM_BYTES], whole[-_CHECKSUM_BYTES:]
    # The last character may hold bits that belong to no byte: only one way to write it is right.
    canonical = base64.b32encode(whole).decode("ascii").rstrip("=").lower() == text
    if not canonical or checksum != _checksum(_LETTERS[role], content):
        raise _invalid("is mistyped or cut short")
    return role, content


def _checksum(letter: str, content: bytes) -> bytes:
    return zlib.crc32(letter.encode("ascii") + content).to_bytes(_CHECKSUM_BYTES)


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"the join code {why}", hint=_COPY_AGAIN)  # never the code itself
