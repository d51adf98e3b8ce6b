"""What llama.cpp's own tools have downloaded with ``-hf``, in its cache of before 2026.

Facts, from llama.cpp's common/common.cpp (``fs_get_cache_directory``) and common/download.cpp:

- It is ``$LLAMA_CACHE``, else ``llama.cpp`` in ``$XDG_CACHE_HOME``, ``~/.cache``, on macOS
  ``~/Library/Caches``, on Windows ``%LOCALAPPDATA%``.
- It is flat: OWNER_REPOSITORY_FILE.gguf, beside manifest=OWNER=REPOSITORY=TAG.json. The manifest's
  name is what tells where OWNER ends and REPOSITORY begins; what is in it is not needed here.
- A download is FILE.gguf.downloadInProgress.

Newer versions use the Hub's layout (``hugging_face``), also within ``$LLAMA_CACHE``.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mesh.platforms.here import HERE
from node_agent.library.found import Findings, FolderLook, FoundFile
from node_agent.library.origins import LLAMA_CPP
from node_agent.library.quantisations import quantisation_in
from node_agent.library.store import is_folder
from node_agent.library.walk import ENTRIES_MAX, Walk


def llama_cpp_cache(user: Path, environment: Mapping[str, str]) -> Path:
    """Return where the cache is in the home of ``user``, whether it exists or not."""
    if named := environment.get("LLAMA_CACHE"):
        return Path(named)
    return HERE.llama_cpp_cache(user, environment)


@dataclass(frozen=True, slots=True)
class LlamaCppCacheSource:
    """The GGUF files in the cache, by the names that ``-hf`` has for them."""

    folder: Path

    def find(self) -> Findings:
        """Look at every name in the folder; opens no file."""
        if not is_folder(self.folder):
            return Findings()
        walk = Walk(self.folder, smaller="remove what you do not need")
        found = walk.go(self.folder, depth_max=0)
        repositories = self._repositories()
        files = tuple(replace(_named(file, repositories), origin=LLAMA_CPP) for file in found)
        looks = (FolderLook(self.folder, len(files)),) if files else ()
        return Findings(files, tuple(walk.problems), looks)

    def _repositories(self) -> dict[str, str]:
        """Return OWNER/REPOSITORY by what the names of its files begin with."""
        repositories = {}
        try:
            with os.scandir(self.folder) as listing:
                for _, entry in zip(range(ENTRIES_MAX), listing, strict=False):
                    said = entry.name.removesuffix(".json").split("=")
                    if len(said) == 4 and said[0] == "manifest":
                        repositories[f"{said[1]}_{said[2]}_"] = f"{said[1]}/{said[2]}"
        except OSError:
            pass  # the walk has told
        return repositories


def _named(file: FoundFile, repositories: Mapping[str, str]) -> FoundFile:
    stem = file.aliases[0]
    prefix = max((each for each in repositories if stem.startswith(each)), key=len, default="")
    if not prefix or "mmproj" in stem:
        return file
    name, tag = repositories[prefix], quantisation_in(stem)
    names = (f"{name}:{tag}", name) if tag else (name,)
    return replace(file, names=names, aliases=(stem.removeprefix(prefix), stem))
