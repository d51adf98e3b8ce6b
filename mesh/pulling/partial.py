"""What is kept of a download that is not done: a hidden file, and beside it what is known of it.

``.NAME.gguf.part`` holds the bytes, ``.NAME.gguf.part.json`` how many of them were safely written
and what their sha256 was. On the next try those are hashed again and compared, and what lies
beyond them is cut off: after a crash a disk may hold zeros where bytes were.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mesh.model_note import MODEL_SUFFIX

BLOCK_BYTES = 1 << 20
STATE_BYTES_MAX = 16 << 10  # ten times what a state takes


class Digest(Protocol):
    """What we use of a hash of hashlib."""

    def update(self, data: bytes | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


class State(BaseModel):
    """What is known of a partial file. It is only believed where it agrees with the file."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    validator: str = ""  # a strong ETag, or Last-Modified: what If-Range takes (RFC 9110, 13.1.5)
    size_bytes: int = Field(ge=0)
    sha256: str = ""  # what the whole must have; "": unknown
    done_bytes: int = Field(default=0, ge=0)
    done_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Partial:
    """The two files of one download."""

    folder: Path
    name: str

    @property
    def file(self) -> Path:
        return self.folder / f".{self.name}{MODEL_SUFFIX}.part"

    @property
    def state_file(self) -> Path:
        return self.folder / f".{self.name}{MODEL_SUFFIX}.part.json"

    def read(self) -> State | None:
        """Return the state, if there is one that can be read and a file with it."""
        try:
            with self.state_file.open("rb") as file:
                raw = file.read(STATE_BYTES_MAX + 1)
            state = State.model_validate(json.loads(raw))
            return state if self.file.stat().st_size >= state.done_bytes else None
        except (OSError, ValueError, ValidationError, RecursionError):
            return None

    def write(self, state: State) -> None:
        """Put the state in the place of the last one, in one step."""
        beside = self.state_file.with_name(f"{self.state_file.name}.tmp")
        beside.write_text(state.model_dump_json(), encoding="utf-8")
        beside.replace(self.state_file)

    def remove(self) -> None:
        """Forget all of it."""
        self.state_file.unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)


def hash_head(
    file: BinaryIO, count_bytes: int, on_progress: Callable[[int], None]
) -> "hashlib._Hash":
    """Return the sha256 of the first ``count_bytes``, still open for more."""
    digest = hashlib.sha256()
    block = memoryview(bytearray(BLOCK_BYTES))
    left_bytes = count_bytes
    file.seek(0)
    while left_bytes > 0:
        got = file.readinto(block[: min(BLOCK_BYTES, left_bytes)])  # type: ignore[attr-defined]
        if not got:
            break
        digest.update(block[:got])
        left_bytes -= got
        on_progress(count_bytes - left_bytes)
    return digest


def sha256_of(path: Path, on_progress: Callable[[int], None]) -> str:
    """Return the sha256 of a whole file."""
    with path.open("rb") as file:
        return hash_head(file, os.fstat(file.fileno()).st_size, on_progress).hexdigest()
