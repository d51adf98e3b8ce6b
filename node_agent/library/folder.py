"""A folder of GGUF files, as people keep them: nested, linked, half downloaded.

Links are followed, since people link models between tools, but only to regular files and folders,
each real folder once, so that a loop ends. Hidden files and folders are skipped: they are the
workings of other tools. Everything is bounded, because the folder may be anything: somebody's whole
disk, a network share, a link to the root.
"""

import errno
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from mesh.model_note import (
    MODEL_SUFFIX,
    PARTIAL_SUFFIXES,
    SPLIT_NAME,
    BrokenNote,
    note_name,
    note_of,
    read_note,
)
from node_agent.library.found import (
    Findings,
    FolderLook,
    FoundFile,
    LibraryProblem,
)

DEPTH_MAX = 6  # publisher/repository/quantisation is 3, a Hugging Face cache is 4
ENTRIES_MAX = 50_000  # names read at one look: a tenth of a second on a local disk
FILES_MAX = 4_096  # far above what a desk holds; each may cost a child and a line of a report
PROBLEMS_MAX = 100  # more than anybody reads

# What counts is the user who will open the file, which may not be the one who started the agent.
EFFECTIVE_IDS = os.access in os.supports_effective_ids


@dataclass(frozen=True, slots=True)
class FolderSource:
    """The GGUF files in ``folder`` and below."""

    folder: Path
    named_by_owner: bool = True  # then it is a problem if it isn't there

    def find(self) -> Findings:
        """Look at every name in the folder; opens no file but owners' notes."""
        folder = self.folder.expanduser().absolute()
        try:
            is_folder = stat.S_ISDIR(folder.stat().st_mode)
        except OSError as failure:
            missing = failure.errno in {errno.ENOENT, errno.ENOTDIR}
            if missing and not self.named_by_owner:
                return Findings()
            return Findings(problems=(_unreadable(folder, failure),))
        if not is_folder:
            reason = "not a folder; name the folder that holds your model files"
            return Findings(problems=(LibraryProblem(folder, reason),))
        walk = _Walk(folder)
        walk.run()
        return Findings(
            files=tuple(walk.files),
            problems=tuple(walk.problems[:PROBLEMS_MAX]),
            folders=(FolderLook(folder, len(walk.files)),),
        )


@dataclass(slots=True)
class _Walk:
    """One look at a folder. Goes by name, so that two looks at the same files are equal."""

    folder: Path
    files: list[FoundFile] = field(default_factory=list)
    problems: list[LibraryProblem] = field(default_factory=list)
    visited: set[tuple[int, int]] = field(default_factory=set)
    splits: set[str] = field(default_factory=set)  # models in parts already told of
    entries: int = 0

    def run(self) -> None:
        waiting = [(os.fspath(self.folder), 0)]  # texts: Path would double the cost of a look
        while waiting:
            folder, depth = waiting.pop()
            inside = self._look(folder)
            if depth < DEPTH_MAX:
                waiting.extend((child, depth + 1) for child in reversed(inside))
            if self.entries > ENTRIES_MAX or len(self.files) >= FILES_MAX:
                reason = (
                    f"too big to read whole (more than {ENTRIES_MAX} names or {FILES_MAX} models);"
                    " name a smaller folder in node.model_folders"
                )
                self.problems.insert(0, LibraryProblem(self.folder, reason))
                return

    def _look(self, folder: str) -> list[str]:
        """Take the model files of one folder; return the folders in it."""
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in self.visited:
                return []
            self.visited.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listing:
                entries = {entry.name: entry for entry in self._bounded(listing)}
        except FileNotFoundError:
            return []  # it went away since its parent was read
        except OSError as failure:
            self._add_problem(_unreadable(Path(folder), failure))
            return []
        inside = []
        for name in sorted(entries):
            if _leads_to_folder(entries[name]):
                inside.append(entries[name].path)
            elif name.lower().endswith(MODEL_SUFFIX) and len(self.files) < FILES_MAX:
                self._consider(entries[name], siblings=entries.keys())
        return inside

    def _bounded(self, listing: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
        for entry in listing:
            self.entries += 1
            if self.entries > ENTRIES_MAX:
                return
            if not entry.name.startswith("."):
                yield entry

    def _consider(self, entry: os.DirEntry[str], *, siblings: Collection[str]) -> None:
        """Take a file whose name ends in .gguf, or say why not."""
        if entry.name[: -len(MODEL_SUFFIX)].lower().endswith(PARTIAL_SUFFIXES):
            return
        if any(entry.name + suffix in siblings for suffix in PARTIAL_SUFFIXES):
            self._ignore(entry.path, "still downloading: a partial file stands beside it")
            return
        if split := SPLIT_NAME.fullmatch(entry.name):
            self._ignore_split(entry.path, whole=split["whole"], parts=int(split["parts"]))
            return
        match _file_at(entry):
            case FoundFile() as file:
                noted = note_name(entry.name) in siblings
                self.files.append(self._noted(file) if noted else file)
            case LibraryProblem() as problem:
                self._add_problem(problem)
            case None:
                pass

    def _noted(self, file: FoundFile) -> FoundFile:
        """Add what the owner says of a file in the note beside it."""
        path = note_of(file.path)
        try:
            note = read_note(path)
        except BrokenNote as failure:
            self._add_problem(LibraryProblem(path, f"no note of a model: {failure}; mend it"))
            return file
        names = (note.name,) if note.name else ()
        return replace(file, names=names, domains=note.domains)

    def _ignore_split(self, path: str, *, whole: str, parts: int) -> None:
        """Speak once for all parts of a model."""
        name = os.path.join(os.path.dirname(path), whole)
        if name not in self.splits:
            self.splits.add(name)
            reason = (
                f"a model in {parts} files is not served yet;"
                " make one of them with `llama-gguf-split --merge`"
            )
            self._ignore(path, reason)

    def _ignore(self, path: str, reason: str) -> None:
        self._add_problem(LibraryProblem(Path(path), reason, ignored=True))

    def _add_problem(self, problem: LibraryProblem) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)


def _file_at(entry: os.DirEntry[str]) -> FoundFile | LibraryProblem | None:
    """Return the file, or what is wrong with it; None if it went away."""
    path = Path(entry.path)
    try:
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            return LibraryProblem(path, "not a regular file; remove it from the model folder")
        if not os.access(path, os.R_OK, effective_ids=EFFECTIVE_IDS):
            return LibraryProblem(path, "cannot be read: permission denied; run `chmod u+r` on it")
        return FoundFile.of(path, status, aliases=(entry.name[: -len(MODEL_SUFFIX)],))
    except FileNotFoundError:
        if entry.is_symlink():
            return LibraryProblem(path, "a link to a file that is gone; remove it")
        return None
    except OSError as failure:
        return _unreadable(path, failure)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link that leads in a circle is no folder


def _unreadable(path: Path, failure: OSError) -> LibraryProblem:
    why = (failure.strerror or type(failure).__name__).lower()
    return LibraryProblem(path, f"cannot be read: {why}; mend it, or take it out of the settings")
