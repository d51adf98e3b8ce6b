"""What is kept of a download that is not done: a file that no library looks at, and beside it what
is known of it.

``.NAME.gguf.part`` holds the bytes, ``.NAME.gguf.part.json`` how many of them were safely written
and what their sha256 was. On the next try those are hashed again and compared, and what lies
beyond them is cut off: after a crash a disk may hold zeros where bytes were. The parts of a model
that is split have their own names, in a folder that is hidden (``begun``).
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mesh.model_note import MODEL_SUFFIX
from mesh.pulling.digests import Digest

BLOCK_BYTES = 1 << 20
STATE_BYTES_MAX = 16 << 10  # ten times what a state takes


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

    file: Path
    state_file: Path

    @classmethod
    def of_file(cls, folder: Path, name: str) -> "Partial":
        """Return those of a model's only file, in the folder where it will be."""
        file = folder / f".{name}{MODEL_SUFFIX}.part"
        return cls(file, file.with_name(f"{file.name}.json"))

    @classmethod
    def of_part(cls, hidden: Path, name: str) -> "Partial":
        """Return those of a part, in the hidden folder that will be the model's."""
        file = hidden / f"{name}{MODEL_SUFFIX}"
        return cls(file, file.with_name(f".{file.name}.json"))

    @property
    def folder(self) -> Path:
        return self.file.parent

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
        try:
            beside.write_text(state.model_dump_json(), encoding="utf-8")
            beside.replace(self.state_file)
        finally:
            beside.unlink(missing_ok=True)  # on a full disk it is there, and empty

    def remove(self) -> None:
        """Forget all of it."""
        self.state_file.unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)


def hash_head(
    file: BinaryIO, count_bytes: int, digest: Digest, on_progress: Callable[[int], None]
) -> None:
    """Add the first ``count_bytes`` of ``file`` to a digest."""
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


def sha256_of(paths: Sequence[Path], on_progress: Callable[[int], None]) -> str:
    """Return the sha256 of whole files one after the other: of a model's, its identity."""
    digest, done_bytes = hashlib.sha256(), 0
    for path in paths:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            hash_head(file, size_bytes, digest, _beyond(done_bytes, on_progress))
            done_bytes += size_bytes
    return digest.hexdigest()


def _beyond(before_bytes: int, on_progress: Callable[[int], None]) -> Callable[[int], None]:
    return lambda done_bytes: on_progress(before_bytes + done_bytes)
