"""The state of one slot in a file: what llama.cpp wrote, and behind it our label and seal.

llama.cpp takes a damaged state for a good one where only its numbers are wrong (measured: a flipped
byte in them is not noticed), so nothing is given to it before the seal was compared. The seal is a
digest of all that stands before it: proof of an accident, not of a forger. Who can write to this
folder is this machine's user, who needs no files to change what its models say.
"""

import json
import os
import stat
import struct
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from mesh.platforms.here import HERE
from node_agent.engine.fields import Fields
from node_agent.engine.frames import FrameError
from node_agent.engine.held_prefixes import Chain

_FORMAT = b"deskmesh warm 1\n"
_DIGEST_BYTES = 32
_FOOTER = struct.Struct(f">I{len(_FORMAT)}s{_DIGEST_BYTES}s")  # the label's size, format, digest
_LABEL_BYTES_MAX = 16 * 1024 * 1024  # a million ids in JSON take 8 MB
_READ_BYTES = 1024 * 1024  # of the file at a time, however large it is


class Unusable(Exception):
    """The file can't be used; says why in some words."""


@dataclass(frozen=True, slots=True)
class Label:
    """Whose state it is, and of what."""

    model_id: str
    numerics: str
    context_tokens: int  # decides how some models turn positions into numbers
    slots: int  # llama.cpp takes the state of one slot only among as many others (measured)
    ids: tuple[int, ...]  # the tokens that the slot held
    chain: Chain

    def fits(self, other: "Label") -> bool:
        """Whether the state means the same in an engine of ``other``, given as many slots."""
        mine = (self.model_id, self.numerics, self.context_tokens)
        return mine == (other.model_id, other.numerics, other.context_tokens)


def seal(path: Path, label: Label) -> None:
    """Put label and seal behind what llama.cpp wrote. Raises OSError."""
    written = json.dumps(asdict(label), separators=(",", ":")).encode()
    with path.open("r+b") as file:
        digest = _digest(file, file.seek(0, os.SEEK_END))
        footer = struct.pack(f">I{len(_FORMAT)}s", len(written), _FORMAT)
        file.seek(0, os.SEEK_END)
        for part in (written, footer):
            digest.update(part)
            file.write(part)
        file.write(digest.digest())


def read_label(path: Path) -> Label:
    """Return the label; whether the file is whole is not looked at yet.

    Raises:
        Unusable: there is none, or it can't be read.
    """
    try:
        with _opened(path) as file:
            return _label(file)
    except OSError as failure:
        raise Unusable(failure.strerror or "it can't be read") from None


def check_seal(path: Path) -> None:
    """Raises Unusable: the file is not what was written."""
    try:
        with _opened(path) as file:
            size_bytes = file.seek(0, os.SEEK_END) - _DIGEST_BYTES
            digest = _digest(file, max(0, size_bytes)).digest()
            if file.read(_DIGEST_BYTES + 1) != digest:
                raise Unusable("it is damaged")
    except OSError as failure:
        raise Unusable(failure.strerror or "it can't be read") from None


def _opened(path: Path) -> BinaryIO:
    """Open a file of ours; never wait for a pipe, nor follow a link."""
    descriptor = HERE.open_plain(path)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unusable("it is no file")
    return os.fdopen(descriptor, "rb")


def _label(file: BinaryIO) -> Label:
    size_bytes = file.seek(0, os.SEEK_END)
    if size_bytes < _FOOTER.size:
        raise Unusable("it is cut short")
    file.seek(size_bytes - _FOOTER.size)
    label_bytes, written_format, _ = _FOOTER.unpack(file.read(_FOOTER.size))
    if written_format != _FORMAT:
        raise Unusable("it is cut short, or not ours")
    begin = size_bytes - _FOOTER.size - label_bytes
    if begin < 0 or label_bytes > _LABEL_BYTES_MAX:
        raise Unusable("its label is damaged")
    file.seek(begin)
    try:
        body = json.loads(file.read(label_bytes))
        fields = Fields(body if isinstance(body, dict) else {})
        chain = fields.inner("chain")
        return Label(
            fields.text("model_id"),
            fields.text("numerics"),
            fields.count("context_tokens"),
            fields.count("slots"),
            fields.ids("ids"),
            Chain(chain.ids("hashes", most=2**64 - 1), chain.ids("tokens")),
        )
    except (ValueError, RecursionError, FrameError):
        raise Unusable("its label is damaged") from None


def _digest(file: BinaryIO, size_bytes: int) -> blake2b:
    digest = blake2b(digest_size=_DIGEST_BYTES)
    file.seek(0)
    while size_bytes > 0 and (part := file.read(min(size_bytes, _READ_BYTES))):
        digest.update(part)
        size_bytes -= len(part)
    return digest
