"""Scorers on disk: the one that deskmesh ships, and those that users train."""

import gzip
import os
import zlib
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path

from mesh.core.scorer import Scorer
from mesh.core.scorer_format import scorer_from_text, scorer_to_text
from mesh.errors import InvalidRequest

SHIPPED = "scorer.json.gz"  # in the package's ``data``
TEXT_BYTES_MAX = 64_000_000  # 1,000 heads and a million prompts; a gzip bomb is stopped here
TRAIN = "make it again with `deskmesh route train`"


def read_scorer(path: Path) -> Scorer:
    """Read a scorer's file.

    Raises:
        InvalidRequest: there is none, or it is of another version, or broken.
    """
    try:
        packed = path.read_bytes()
    except OSError as failure:
        raise InvalidRequest(
            f"the scorer {path} can't be read: {failure.strerror or failure}", hint=TRAIN
        ) from None
    return _unpacked(packed, str(path))


def write_scorer(scorer: Scorer, path: Path) -> int:
    """Write a scorer's file, whole or not at all; return its size in bytes.

    Raises:
        InvalidRequest: it can't be written there.
    """
    packed = gzip.compress(scorer_to_text(scorer).encode(), mtime=0)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(packed)
        beside.replace(path)
    except OSError as failure:
        beside.unlink(missing_ok=True)
        raise InvalidRequest(
            f"{path} can't be written: {failure.strerror or failure}", hint="name another --out"
        ) from None
    return len(packed)


@cache
def shipped_scorer() -> Scorer:
    """Return the scorer that comes with deskmesh: generic heads, learned from public outcomes."""
    return _unpacked((files("mesh") / "data" / SHIPPED).read_bytes(), "the shipped scorer")


def _unpacked(packed: bytes, name: str) -> Scorer:
    try:
        with gzip.open(BytesIO(packed)) as file:
            text = file.read(TEXT_BYTES_MAX + 1)
        if len(text) > TEXT_BYTES_MAX:
            raise ValueError("it is too large")
        return scorer_from_text(text.decode())
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        raise InvalidRequest(
            f"{name} is no scorer: it is not gzipped text, or cut off", hint=TRAIN
        ) from None
    except ValueError as wrong:
        raise InvalidRequest(f"{name} can't be used: {wrong}", hint=TRAIN) from None
