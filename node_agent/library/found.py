"""What a source of model files yields: plain facts of the file system, nothing of their content."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol


class Stamp(NamedTuple):
    """What tells a file from an earlier one at the same path, without reading it."""

    path: Path  # of a model in parts, the first of them
    size_bytes: int  # of all parts together
    mtime_ns: int  # see ``times_of``


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may be a model, or the files of a model that is split, which count as one."""

    stamp: Stamp
    inode: tuple[int, int]  # device and number: two paths with one inode are one file
    names: tuple[str, ...] = ()  # names people know it by, shown before the file's own
    aliases: tuple[str, ...] = ()  # shown after the file's own name
    domains: tuple[str, ...] = ()  # that its owner says it is a specialist of; (): as it says
    origin: str = ""  # whose store it lies in, in words for people; "": a folder
    claimed_sha256: str = ""  # what its store says of its content, yet to be proven; "": nothing
    parts: tuple[Path, ...] = ()  # those after the first, in order

    @classmethod
    def of(
        cls,
        paths: Sequence[Path],
        statuses: Sequence[os.stat_result],
        *,
        names: tuple[str, ...] = (),
        aliases: tuple[str, ...] = (),
    ) -> "FoundFile":
        """Return the file at ``paths``, of which the file system says ``statuses``.

        Both have one item, or one for each part of a model that is split, in order.
        """
        size_bytes = sum(status.st_size for status in statuses)
        stamp = Stamp(paths[0], size_bytes, times_of(statuses))
        inode = (statuses[0].st_dev, statuses[0].st_ino)
        return cls(stamp, inode, names, aliases, parts=tuple(paths[1:]))

    @property
    def path(self) -> Path:
        return self.stamp.path

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file of it, in order."""
        return (self.path, *self.parts)

    @property
    def size_bytes(self) -> int:
        return self.stamp.size_bytes

    def joined(self, other: "FoundFile") -> "FoundFile":
        """Return this file with what another source knows of it as well."""
        return replace(
            self,
            names=tuple(dict.fromkeys((*self.names, *other.names))),
            aliases=tuple(dict.fromkeys((*self.aliases, *other.aliases))),
            domains=self.domains or other.domains,
            origin=self.origin or other.origin,
            claimed_sha256=self.claimed_sha256 or other.claimed_sha256,
        )

    def stamp_now(self) -> Stamp:
        """Return the stamp that its files have at this moment.

        Raises:
            OSError: one of them is not there, or may not be looked at.
        """
        return FoundFile.of(self.paths, [path.stat() for path in self.paths]).stamp


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
    """How many model files were found in a folder; ``deskmesh doctor`` tells of it."""

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
    return FoundFile.of((path,), (path.stat(),), names=names)


def times_of(statuses: Sequence[os.stat_result]) -> int:
    """Return one number for when a model's files were last changed.

    Of one file, its modification time in nanoseconds. Of several, a digest of all their sizes and
    times: no maximum, nor a sum, would notice every change of one part.
    """
    if len(statuses) == 1:
        return statuses[0].st_mtime_ns
    told = ",".join(f"{status.st_size}:{status.st_mtime_ns}" for status in statuses)
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:7])


def printable(text: str) -> str:
    """Return ``text`` with everything that a terminal might obey, or cannot show, replaced."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
