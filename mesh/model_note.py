"""What an owner says of a model file, kept beside it: its bytes, and so its identity, stay as they
are. ``NAME.gguf`` has its note in ``NAME.deskmesh.toml``.

Names of files are a matter between whoever puts one into a folder and whoever looks there, so what
makes one a model's stands here.
"""

import json
import re
import tomllib
from pathlib import Path

from pydantic import Field, ValidationError

from mesh.model_settings import Word
from mesh.section import Section

NOTE_SUFFIX = ".deskmesh.toml"
MODEL_SUFFIX = ".gguf"
# What browsers, curl's wrappers, aria2, Hugging Face and LM Studio append while a download runs.
PARTIAL_SUFFIXES = (
    ".part",
    ".partial",
    ".incomplete",
    ".tmp",
    ".crdownload",
    ".download",
    ".aria2",
)
# As llama.cpp's `gguf-split` names the parts of a model, counted from 1.
SPLIT_NAME = re.compile(
    r"(?P<whole>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf", re.IGNORECASE | re.ASCII
)
PARTS_MAX = 256  # the largest public models have some dozens; their reader holds all of them open
NOTE_BYTES_MAX = 16 << 10  # ten times what the longest note takes
DOMAINS_MAX = 8  # as many as a model file may name itself


class BrokenNote(ValueError):
    """Says what is wrong with a note."""


class ModelNote(Section):
    """The owner's word on one file."""

    name: str = Field(default="", max_length=96, description="Shown first; empty: the file's own.")
    domains: tuple[Word, ...] = Field(
        default=(), max_length=DOMAINS_MAX, description="In place of those that the file names."
    )
    source: str = Field(default="", max_length=2048, description="Where it was pulled from.")
    licence: str = Field(default="", max_length=96, description="As its source names it.")
    sha256: str = Field(
        default="", pattern=r"^([0-9a-f]{64})?$", description="What the file had when it came."
    )
    verified: str = Field(
        default="", max_length=32, description="When it last had that sha256: a time in UTC."
    )

    def write(self) -> str:
        """Return the note as TOML."""
        lines = ["# What deskmesh is told of the model file beside this note."]
        if self.name:
            lines.append(f"name = {_toml(self.name)}")
        if self.domains:
            lines.append(f"domains = {_toml(list(self.domains))}")
        for key in ("source", "licence", "sha256", "verified"):
            if value := str(getattr(self, key)):
                lines.append(f"{key} = {_toml(value)}")
        return "\n".join([*lines, ""])


def part_name(whole: str, number: int, count: int) -> str:
    """Return the name of a part of a model; they are counted from 1."""
    return f"{whole}-{number:05}-of-{count:05}{MODEL_SUFFIX}"


def note_of(model_file: Path) -> Path:
    """Return where the note of a model file is."""
    return model_file.with_name(note_name(model_file.name))


def note_name(file_name: str) -> str:
    """Return the name of the note of the file of that name, which ends in .gguf."""
    return file_name[: -len(MODEL_SUFFIX)] + NOTE_SUFFIX


def read_note(path: Path) -> ModelNote:
    """Read a note.

    Raises:
        BrokenNote: it cannot be read, or is no note; says why.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(NOTE_BYTES_MAX + 1)
        if len(raw) > NOTE_BYTES_MAX:
            raise BrokenNote(f"longer than {NOTE_BYTES_MAX} bytes")
        said = ModelNote.model_validate(tomllib.loads(raw.decode()))
    except OSError as failure:
        raise BrokenNote((failure.strerror or type(failure).__name__).lower()) from None
    except ValidationError as failure:
        first = failure.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BrokenNote(f"{where}: {first['msg']}") from None
    except BrokenNote:
        raise
    except (ValueError, RecursionError) as failure:
        raise BrokenNote(f"not valid TOML: {failure}") from None
    return said.model_copy(update={"domains": tuple(each.lower() for each in said.domains)})


def _toml(value: str | list[str]) -> str:
    """JSON's texts and lists of texts are TOML's, too, but for DEL and halves of characters."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
