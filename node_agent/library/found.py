"""What a source of model files yields: plain facts of the file system, nothing of their content."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol


class Stamp(NamedTuple):
    """What tells a file from an earlier one at the same path, without reading it."""

    path: Path
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may be a model."""

    stamp: Stamp
    inode: tuple[int, int]  # device and number: two paths with one inode are one file
    names: tuple[str, ...] = ()  # names people know it by, shown before the file's own
    aliases: tuple[str, ...] = ()  # shown after the file's own name
    domains: tuple[str, ...] = ()  # that its owner says it is a specialist of; (): as it says

    @classmethod
    def of(
        cls,
        path: Path,
        status: os.stat_result,
        *,
        names: tuple[str, ...] = (),
        aliases: tuple[str, ...] = (),
        domains: tuple[str, ...] = (),
    ) -> "FoundFile":
        """Return the file at ``path``, of which the file system says ``status``."""
        stamp = Stamp(path, status.st_size, status.st_mtime_ns)
        return cls(stamp, (status.st_dev, status.st_ino), names, aliases, domains)

    @property
    def path(self) -> Path:
        return self.stamp.path

    @property
    def size_bytes(self) -> int:
        return self.stamp.size_bytes


@dataclass(frozen=True, slots=True)
class LibraryProblem:
    """A file or folder that gives no model, and why, in one line for people."""

    path: Path
    reason: str
    ignored: bool = False  # nothing is wrong with it, it is just not a model that can be served

    @property
    def where(self) -> str:
        """The path, safe to print: file names may hold control characters and broken UTF-8."""
        return printable(os.fspath(self.path))


@dataclass(frozen=True, slots=True)
class FolderLook:
    """How many model files were found in a folder; ``deskmesh up`` says so before it uses them."""

    folder: Path
    files: int


@dataclass(frozen=True, slots=True)
class Findings:
    """The answer of one source, or of all of them together."""

    files: tuple[FoundFile, ...] = ()
    problems: tuple[LibraryProblem, ...] = ()
    folders: tuple[FolderLook, ...] = ()


class Source(Protocol):
    """A place where model files may be."""

    def find(self) -> Findings:
        """Look once. May block on slow disks: called in a thread. Reads no model; never raises."""
        ...


def found_file(path: Path, *, names: tuple[str, ...] = ()) -> FoundFile:
    """Return what the file system says of ``path`` now, links followed.

    Raises:
        OSError: it is not there, or may not be looked at.
    """
    return FoundFile.of(path, path.stat(), names=names)


def printable(text: str) -> str:
    """Return ``text`` with everything that a terminal might obey, or cannot show, replaced."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
