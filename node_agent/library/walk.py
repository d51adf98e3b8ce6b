"""Walks a tree of model files, as people and tools keep them: nested, linked, half downloaded.

Links are followed, since people link models between tools, but only to regular files and folders,
each real folder once, so that a loop ends. Hidden files and folders are skipped: they are the
workings of other tools. Everything is bounded, because the tree may be anything: somebody's whole
disk, a network share, a link to the root.

A model in parts, NAME-00001-of-00003.gguf and so on, is one find, if every part is there.
"""

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mesh.model_note import (
    MODEL_SUFFIX,
    NOTE_SUFFIX,
    PARTIAL_SUFFIXES,
    PARTS_MAX,
    SPLIT_NAME,
    part_name,
)
from node_agent.library.found import FoundFile, LibraryProblem

DEPTH_MAX = 6  # publisher/repository/quantisation is 3, a Hugging Face cache is 4
ENTRIES_MAX = 50_000  # names read at one look: a tenth of a second on a local disk
FILES_MAX = 4_096  # far above what a desk holds; each may cost a child and a line of a report
PROBLEMS_MAX = 100  # more than anybody reads
MISSING_TOLD = 3  # parts by name; of more, how many

# What counts is the user who will open the file, which may not be the one who started the agent.
EFFECTIVE_IDS = os.access in os.supports_effective_ids

_Parts = dict[int, "os.DirEntry[str]"]  # by number


@dataclass(slots=True)
class Walk:
    """One look at a place. Goes by name, so that two looks at the same files are equal.

    ``go`` may be called for several folders of the place; the bounds are for all together.
    """

    place: Path
    smaller: str = "name a smaller folder in node.model_folders"  # what to do if it is too big
    files: list[FoundFile] = field(default_factory=list)
    problems: list[LibraryProblem] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)  # paths of owners' notes that lie about
    entries: int = 0
    full: bool = False
    _visited: set[tuple[int, int]] = field(default_factory=set)

    def go(self, folder: Path, *, depth_max: int = DEPTH_MAX) -> list[FoundFile]:
        """Return the model files in ``folder`` and below that were not found before."""
        known = len(self.files)
        waiting = [(os.fspath(folder), 0)]  # texts: Path would double the cost of a look
        while waiting and not self.full:
            path, depth = waiting.pop()
            inside = self._look(path)
            if depth < depth_max:
                waiting.extend((child, depth + 1) for child in reversed(inside))
            if self.entries > ENTRIES_MAX or len(self.files) >= FILES_MAX:
                self.full = True
                reason = (
                    f"too big to read whole (more than {ENTRIES_MAX} names or {FILES_MAX} models);"
                    f" {self.smaller}"
                )
                self.problems.insert(0, LibraryProblem(self.place, reason))
        return self.files[known:]

    def add_problem(self, problem: LibraryProblem) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)

    def _look(self, folder: str) -> list[str]:
        """Take the model files of one folder; return the folders in it."""
        inside: list[str] = []
        splits: dict[tuple[str, int], _Parts] = {}
        entries = self._entries(folder)
        for name in sorted(entries):
            entry = entries[name]
            if leads_to_folder(entry):
                inside.append(entry.path)
            elif name.endswith(NOTE_SUFFIX):
                self.notes.add(entry.path)
            elif not self._is_whole(entry, siblings=entries.keys()):
                continue
            elif split := SPLIT_NAME.fullmatch(name):
                parts = splits.setdefault((split["whole"], int(split["parts"])), {})
                parts[int(split["part"])] = entry
            else:
                self._take([entry], name[: -len(MODEL_SUFFIX)])
        for (whole, count), parts in splits.items():
            self._take_split(Path(folder), whole, count, parts, siblings=entries.keys())
        return inside

    def _entries(self, folder: str) -> dict[str, os.DirEntry[str]]:
        """Return what is in a folder by name; nothing where it was visited, or cannot be."""
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in self._visited:
                return {}
            self._visited.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listing:
                return {entry.name: entry for entry in self._bounded(listing)}
        except FileNotFoundError:
            pass  # it went away since its parent was read
        except OSError as failure:
            self.add_problem(unreadable(Path(folder), failure))
        return {}

    def _bounded(self, listing: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
        for entry in listing:
            self.entries += 1
            if self.entries > ENTRIES_MAX:
                return
            if not entry.name.startswith("."):
                yield entry

    def _is_whole(self, entry: os.DirEntry[str], *, siblings: Collection[str]) -> bool:
        """Is it a model file, as far as its name tells, and not half of a download?"""
        stem, suffix = entry.name[: -len(MODEL_SUFFIX)], entry.name[-len(MODEL_SUFFIX) :]
        if suffix.lower() != MODEL_SUFFIX or len(self.files) >= FILES_MAX:
            return False
        if any(entry.name + partial in siblings for partial in PARTIAL_SUFFIXES):
            self._ignore(Path(entry.path), "still downloading: a partial file stands beside it")
            return False
        return not stem.lower().endswith(PARTIAL_SUFFIXES)

    def _take_split(
        self, folder: Path, whole: str, count: int, parts: _Parts, *, siblings: Collection[str]
    ) -> None:
        """Take a model in parts if all are there; else say once which are missing."""
        first = folder / part_name(whole, 1, count)
        if not 1 <= count <= PARTS_MAX:
            self.add_problem(LibraryProblem(first, f"no model has {count:,} parts"))
            return
        names = {number: part_name(whole, number, count) for number in range(1, count + 1)}
        missing = [name for number, name in names.items() if number not in parts]
        if not missing:
            self._take([parts[number] for number in names], whole)
        elif any(
            name.startswith(whole) and name.lower().endswith(PARTIAL_SUFFIXES) for name in siblings
        ):
            self._ignore(first, "still downloading: a partial file of its parts stands beside it")
        else:
            told = ", ".join(missing[:MISSING_TOLD])
            more = f" and {len(missing) - MISSING_TOLD} more" if missing[MISSING_TOLD:] else ""
            reason = f"a model in {count} parts of which are missing: {told}{more}; download them"
            self.add_problem(LibraryProblem(first, reason))

    def _take(self, entries: list[os.DirEntry[str]], stem: str) -> None:
        """Take the files of one model, or say what is wrong with the first that is bad."""
        statuses = []
        for entry in entries:
            status = _status_of(entry)
            if isinstance(status, LibraryProblem):
                self.add_problem(status)
            if not isinstance(status, os.stat_result):
                return
            statuses.append(status)
        paths = [Path(entry.path) for entry in entries]
        self.files.append(FoundFile.of(paths, statuses, aliases=(stem,)))

    def _ignore(self, path: Path, reason: str) -> None:
        self.add_problem(LibraryProblem(path, reason, ignored=True))


def unreadable(path: Path, failure: OSError) -> LibraryProblem:
    why = (failure.strerror or type(failure).__name__).lower()
    return LibraryProblem(path, f"cannot be read: {why}; mend it, or take it out of the settings")


def why_not_a_file(path: Path, status: os.stat_result) -> str:
    """Return why a model cannot be read from there; "" if it can."""
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file; remove it from the model folder"
    if not os.access(path, os.R_OK, effective_ids=EFFECTIVE_IDS):
        return "cannot be read: permission denied; run `chmod u+r` on it"
    return ""


def leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """Is it a folder, or a link to one?"""
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads in a circle is no folder


def _status_of(entry: os.DirEntry[str]) -> os.stat_result | LibraryProblem | None:
    """Return what the file system says of a file, or what is wrong with it; None: it went away."""
    path = Path(entry.path)
    try:
        status = entry.stat()
    except FileNotFoundError:
        if entry.is_symlink():
            return LibraryProblem(path, "a link to a file that is gone; remove it")
        return None
    except OSError as failure:
        return unreadable(path, failure)
    why = why_not_a_file(path, status)
    return LibraryProblem(path, why) if why else status
