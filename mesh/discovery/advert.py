"""What a machine says of itself in its DNS-SD TXT record. Pure.

The record's keys, all but the first five optional (RFC 6763 section 6.4: short, any case)::

    txtvers  1: the format below; a later one adds keys, and changes this only to break with us
    id       the machine's id, the fingerprint of its key
    m        the mesh's id; empty while the machine belongs to none
    v        the version of deskmesh
    r        role: "n" node, "c" coordinator
    n        the machine's name, for people
    j        coordinator: the port of Join; the port for mTLS is in the SRV record
    d        node: digest of the whole list of models, which tells when it changes
    k        node: names of models, those that fit, with commas between them
    x        node: how many names did not fit
    l        node: load bucket, 0 to 3

Whatever comes from the network passes ``decode``, which believes nothing: every field has a
pattern or a range, and text loses whatever could move a terminal's cursor.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mesh.discovery.load_bucket import LoadBucket
from mesh.settings import Advertise

TXT_BYTES_MAX = 400  # RFC 6763 section 6.2: up to here it fits a single 512-byte DNS message
ENTRY_BYTES_MAX = 255  # RFC 6763 section 6.1: the length before each entry is one byte
NAME_BYTES_MAX = 63  # as a DNS label; longer names are cut
VERSION_BYTES_MAX = 16
LEFT_OFF_MAX = 9999  # 4 digits: beyond that nobody counts

_FORMAT = b"1"
_JOINERS = "\u200c\u200d"  # invisible, but part of how several scripts are written
# Small letters only: a machine id is part of a DNS label, where case does not count.
_MACHINE_ID = re.compile(r"[0-9a-z-]{1,26}")
_MESH_ID = re.compile(r"[0-9a-z-]{0,32}")
_DIGEST = re.compile(r"[0-9a-f]{0,16}")
_NUMBER = re.compile(rb"[0-9]{1,5}")

Properties = dict[bytes, bytes]


class Role(StrEnum):
    """What a service does in the mesh."""

    NODE = "n"
    COORDINATOR = "c"


@dataclass(frozen=True, slots=True)
class Advert:
    """What one service of a machine says of itself. Invalid values raise ``ValueError``."""

    machine_id: str  # fingerprint of the key, 1 to 26 of 0-9 a-z -
    mesh_id: str  # "": a machine that waits to join
    version: str  # of deskmesh
    role: Role
    name: str  # for people; not unique
    mesh_port: int = 0  # coordinator: mTLS, 1 to 65535; 0 for a node, which never listens
    join_port: int = 0  # coordinator: Join, 1 to 65535; 0 for a node
    models: tuple[str, ...] = ()  # short names, the most useful first
    models_digest: str = ""  # of the whole list, see digest_of
    models_left_off: int = 0  # names which the record had no room for
    load: LoadBucket | None = None  # None: not said

    def __post_init__(self) -> None:
        if not _MACHINE_ID.fullmatch(self.machine_id):
            raise ValueError(f"machine id is not 1 to 26 of 0-9 a-z -: {self.machine_id!r}")
        if not _MESH_ID.fullmatch(self.mesh_id):
            raise ValueError(f"mesh id is not 0 to 32 of 0-9 a-z -: {self.mesh_id!r}")
        if not _DIGEST.fullmatch(self.models_digest):
            raise ValueError(f"digest is not 0 to 16 hex digits: {self.models_digest!r}")
        ports = (self.mesh_port, self.join_port)
        if self.role is Role.COORDINATOR and not all(0 < port <= 65535 for port in ports):
            raise ValueError(f"a coordinator names ports from 1 to 65535, not {ports}")
        if self.role is Role.NODE and any(ports):
            raise ValueError(f"a node names no port, not {ports}")
        if not 0 <= self.models_left_off <= LEFT_OFF_MAX:
            raise ValueError(f"models left off is not 0 to {LEFT_OFF_MAX}: {self.models_left_off}")

    @property
    def label(self) -> str:
        """The service's instance name on the network: unique, because the key is."""
        return f"{self.machine_id}-{self.role}"


def digest_of(model_ids: Iterable[str]) -> str:
    """Return 12 hex digits that change when the set of models does; the order does not matter."""
    return hashlib.sha256("\n".join(sorted(model_ids)).encode()).hexdigest()[:12]


def encode(advert: Advert, mode: Advertise) -> Properties:
    """Return the TXT record's entries for ``advert``, at most ``TXT_BYTES_MAX`` on the wire.

    ``MINIMAL`` says neither models nor load, ``OFF`` says nothing: the result is empty. Names of
    models that do not fit are left off and counted.
    """
    if mode is Advertise.OFF:
        return {}
    properties = {
        b"txtvers": _FORMAT,
        b"id": advert.machine_id.encode(),
        b"m": advert.mesh_id.encode(),
        b"v": _cut(_printable(advert.version), VERSION_BYTES_MAX),
        b"r": advert.role.encode(),
        b"n": _cut(_printable(advert.name), NAME_BYTES_MAX),
    }
    if advert.join_port:
        properties[b"j"] = str(advert.join_port).encode()
    if mode is Advertise.FULL:
        properties |= _about_models(advert, room_bytes=TXT_BYTES_MAX - size_bytes(properties))
    assert size_bytes(properties) <= TXT_BYTES_MAX
    return properties


def decode(properties: Mapping[bytes, bytes | None], *, port: int) -> Advert:
    """Return what a stranger's TXT record says; ``port`` is that of its SRV record.

    Unknown keys are ignored, so that later versions may say more.

    Raises:
        ValueError: it is too large, lacks a key, or a value is malformed; the message says which,
            without quoting more than one field.
    """
    for key, value in properties.items():
        if not isinstance(key, bytes) or not isinstance(value, bytes | None):
            raise ValueError("a key or a value is not bytes")
    if size_bytes(properties) > TXT_BYTES_MAX:
        raise ValueError(f"the record has more than {TXT_BYTES_MAX} bytes")
    if properties.get(b"txtvers") != _FORMAT:
        raise ValueError("the record has another format")
    role = Role(_text(properties, b"r"))
    is_coordinator = role is Role.COORDINATOR
    names = _text(properties, b"k", default="")
    load = _number(properties, b"l", default=None)
    return Advert(
        machine_id=_text(properties, b"id"),
        mesh_id=_text(properties, b"m"),
        version=_text(properties, b"v"),
        role=role,
        name=_text(properties, b"n", default=""),
        mesh_port=port if is_coordinator else 0,
        join_port=_number(properties, b"j", default=0) or 0 if is_coordinator else 0,
        models=tuple(_unescape(name) for name in names.split(",") if name),
        models_digest=_text(properties, b"d", default=""),
        models_left_off=_number(properties, b"x", default=0) or 0,
        load=None if load is None else LoadBucket(load),
    )


def size_bytes(properties: Mapping[bytes, bytes | None]) -> int:
    """Return the size of the TXT record on the wire: a length byte, then ``key=value``, each."""
    return sum(
        1 + len(key) + (0 if value is None else 1 + len(value)) for key, value in properties.items()
    )


def _about_models(advert: Advert, *, room_bytes: int) -> Properties:
    """What a full advert adds, in at most ``room_bytes``."""
    about: Properties = {}
    if advert.load is not None:
        about[b"l"] = str(int(advert.load)).encode()
    if advert.models_digest:
        about[b"d"] = advert.models_digest.encode()
    about[b"x"] = str(LEFT_OFF_MAX).encode()  # holds its place, until the number is known
    room_bytes = min(room_bytes - size_bytes(about) - len(b"\x00k="), ENTRY_BYTES_MAX - len(b"k="))
    fitting = bytearray()
    left_off = advert.models_left_off
    for name in advert.models:
        entry = _escape(_printable(name)).encode()
        with_comma = b"," + entry if fitting else entry
        if entry and len(fitting) + len(with_comma) <= room_bytes:
            fitting += with_comma
        else:
            left_off += 1  # and try the next, which may be shorter
    about[b"x"] = str(min(left_off, LEFT_OFF_MAX)).encode()
    if not left_off:
        del about[b"x"]
    if fitting:
        about[b"k"] = bytes(fitting)
    return about


def _printable(text: str) -> str:
    """Replace what could move a cursor, reorder a line or not be encoded at all."""
    return "".join(char if char.isprintable() or char in _JOINERS else "?" for char in text)


def _cut(text: str, bytes_max: int) -> bytes:
    """Encode ``text``, cut to ``bytes_max`` between two characters."""
    return text.encode()[:bytes_max].decode(errors="ignore").encode()


def _escape(name: str) -> str:
    """A comma parts two names, so one inside a name is written as in a URL."""
    return name.replace("%", "%25").replace(",", "%2C")


def _unescape(name: str) -> str:
    return name.replace("%2C", ",").replace("%25", "%")


def _text(
    properties: Mapping[bytes, bytes | None], key: bytes, *, default: str | None = None
) -> str:
    value = properties.get(key)
    if value is None:
        if default is None:
            raise ValueError(f"key {key.decode()} is missing")
        return default
    return _printable(value.decode())  # UnicodeDecodeError is a ValueError


def _number(
    properties: Mapping[bytes, bytes | None], key: bytes, *, default: int | None
) -> int | None:
    value = properties.get(key)
    if value is None:
        return default
    if not _NUMBER.fullmatch(value):
        raise ValueError(f"key {key.decode()} is not a number of 1 to 5 digits")
    return int(value)
