"""A folder of GGUF files, as its owner keeps them, with the notes that lie beside them."""

import errno
import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from mesh.model_note import BrokenNote, note_of, read_note
from node_agent.library.found import Findings, FolderLook, FoundFile, LibraryProblem
from node_agent.library.walk import PROBLEMS_MAX, Walk, unreadable


@dataclass(frozen=True, slots=True)
class FolderSource:
    """The GGUF files in ``folder`` and below."""

    folder: Path
    named_by_owner: bool = True  # then it is a problem if it isn't there

    def find(self) -> Findings:
        """Look at every name in the folder; opens no file but owners' notes."""
        folder = Path(os.path.expanduser(self.folder)).absolute()
        try:
            is_folder = stat.S_ISDIR(folder.stat().st_mode)
        except OSError as failure:
            missing = failure.errno in {errno.ENOENT, errno.ENOTDIR}
            if missing and not self.named_by_owner:
                return Findings()
            return Findings(problems=(unreadable(folder, failure),))
        if not is_folder:
            reason = "not a folder; name the folder that holds your model files"
            return Findings(problems=(LibraryProblem(folder, reason),))
        walk = Walk(folder)
        files = tuple(_noted(file, walk) for file in walk.go(folder))
        return Findings(
            files=files,
            problems=tuple(walk.problems[:PROBLEMS_MAX]),
            folders=(FolderLook(folder, len(files)),),
        )


def _noted(file: FoundFile, walk: Walk) -> FoundFile:
    """Add what the owner says of a file in the note beside it."""
    path = note_of(file.path)
    if os.fspath(path) not in walk.notes:
        return file
    try:
        note = read_note(path)
    except BrokenNote as failure:
        walk.add_problem(LibraryProblem(path, f"no note of a model: {failure}; mend it"))
        return file
    names = (note.name,) if note.name else ()
    return replace(file, names=names, domains=note.domains)
