"""The cache of the Hugging Face Hub: ``models--OWNER--NAME/snapshots/REVISION/FILE``.

Facts, from huggingface.co/docs/hub/local-cache and huggingface_hub's guide "Manage cache":

- It is ``$HF_HUB_CACHE``, else ``$HF_HOME/hub``, else ``~/.cache/huggingface/hub``, with
  ``$XDG_CACHE_HOME`` in place of ``~/.cache`` if set. llama.cpp since its pull request 20775 keeps
  its ``-hf`` downloads there as well, or in ``$LLAMA_CACHE`` in the same layout
  (common/hf-cache.cpp).
- A snapshot holds links to ``blobs``, or copies where there can be no links. A blob is named for
  the sha256 of its content if it is kept by LFS, as model files are, else for git's sha1.
- ``refs/main`` holds the revision that is current; others stay as long as their owner lets them.
- A download is BLOB.incomplete, and only becomes part of a snapshot once it is whole.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from node_agent.library.found import Findings, FolderLook, FoundFile, LibraryProblem
from node_agent.library.origins import HUGGING_FACE
from node_agent.library.quantisations import named_by_quantisation
from node_agent.library.store import read_text_file
from node_agent.library.walk import ENTRIES_MAX, Walk, leads_to_folder, unreadable

REF_BYTES_MAX = 256  # a revision has 40
REVISION_LETTERS_TOLD = 8

_REPOSITORY = re.compile(r"models--(?P<name>[A-Za-z0-9._-]+)")
_REVISION = re.compile(r"[0-9a-f]{40}")
_LFS_BLOB = re.compile(r"[0-9a-f]{64}")


def hugging_face_cache(user: Path, environment: Mapping[str, str]) -> Path:
    """Return where the cache is in the home of ``user``, whether it exists or not."""
    for name, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if named := environment.get(name):
            return Path(os.path.expanduser(named)) / below
    cache = Path(environment.get("XDG_CACHE_HOME") or user / ".cache")
    return cache / "huggingface" / "hub"


@dataclass(frozen=True, slots=True)
class HuggingFaceSource:
    """The GGUF files in one cache of this layout."""

    folder: Path
    origin: str = HUGGING_FACE

    def find(self) -> Findings:
        """Look at the names in every snapshot; opens no file but ``refs/main``."""
        walk = Walk(self.folder, smaller="remove what you do not need with `hf cache`")
        files: list[FoundFile] = []
        for repository in self._repositories(walk):
            name = repository.name.removeprefix("models--").replace("--", "/")
            snapshots = _folders_in(repository / "snapshots", walk)
            current = _current(repository, snapshots)
            # The current one first: a file that others have as well is known by its plain name.
            for snapshot in sorted(snapshots, key=lambda each: each != current):
                of_old = "" if snapshot == current else f"@{snapshot.name[:REVISION_LETTERS_TOLD]}"
                found = walk.go(snapshot)
                files += named_by_quantisation(found, f"{name}{of_old}", mark=":")
        files = [replace(file, origin=self.origin, claimed_sha256=_claim(file)) for file in files]
        looks = (FolderLook(self.folder, len(files)),) if files else ()
        return Findings(tuple(files), tuple(walk.problems), looks)

    def _repositories(self, walk: Walk) -> list[Path]:
        return [
            folder
            for folder in _folders_in(self.folder, walk)
            if _REPOSITORY.fullmatch(folder.name)
        ]


def _folders_in(folder: Path, walk: Walk) -> list[Path]:
    """Return the folders in ``folder`` by name, within the bounds of the look."""
    found: list[Path] = []
    try:
        with os.scandir(folder) as listing:
            for entry in listing:
                walk.entries += 1
                if walk.entries > ENTRIES_MAX:
                    break
                if leads_to_folder(entry) and not entry.name.startswith("."):
                    found.append(folder / entry.name)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as failure:
        problem = unreadable(folder, failure)
        walk.add_problem(LibraryProblem(problem.path, problem.reason, ignored=True))
    return sorted(found)


def _current(repository: Path, snapshots: list[Path]) -> Path | None:
    """Return the snapshot whose files go by the repository's plain name."""
    revision = read_text_file(repository / "refs" / "main", REF_BYTES_MAX).strip()
    if _REVISION.fullmatch(revision) and repository / "snapshots" / revision in snapshots:
        return repository / "snapshots" / revision
    return snapshots[0] if len(snapshots) == 1 else None


def _claim(file: FoundFile) -> str:
    """Return the sha256 that the name of a file's blob claims; "" for a copy, and for parts."""
    if file.parts:
        return ""
    try:
        blob = Path(os.readlink(file.path))
    except OSError:
        return ""
    return blob.name if blob.parent.name == "blobs" and _LFS_BLOB.fullmatch(blob.name) else ""
