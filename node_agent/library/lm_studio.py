"""LM Studio's models: PUBLISHER/REPOSITORY/FILE.gguf in its models folder.

Facts and where they are from:

- The layout is in lmstudio.ai/docs/app/advanced/import-model.
- LM Studio's home is what ``~/.lmstudio-home-pointer`` holds, else ``~/.cache/lm-studio`` of older
  versions, else ``~/.lmstudio`` (lmstudio-js, ``findLMStudioHome``). Its models are in ``models``,
  unless its owner chose another folder, which is ``downloadsFolder`` in the home's
  ``settings.json`` (seen on installed systems; not documented).
- A model's key is the repository's name without ``-GGUF`` in small letters, and ``@q4_k_m`` behind
  it tells quantisations apart (lmstudio.ai/docs/app/api/endpoints/rest, ``lms ls``).
- A download is FILE.gguf.part, or begins with ``downloading_``.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from node_agent.library.found import Findings, FolderLook, FoundFile
from node_agent.library.origins import LM_STUDIO
from node_agent.library.quantisations import named_by_quantisation
from node_agent.library.store import is_folder, read_text_file
from node_agent.library.walk import Walk

POINTER_BYTES_MAX = 4_096  # a path
SETTINGS_BYTES_MAX = 1 << 20  # a hundred times what they take


def lm_studio_folders(user: Path) -> tuple[Path, ...]:
    """Return the models folders in the home of ``user``, whether they exist or not."""
    homes = [user / ".lmstudio", user / ".cache" / "lm-studio"]
    pointed = read_text_file(user / ".lmstudio-home-pointer", POINTER_BYTES_MAX).strip()
    if pointed and os.path.isabs(pointed) and "\0" not in pointed:
        homes.insert(0, Path(pointed))
    folders = [_chosen_folder(home) or home / "models" for home in homes]
    return tuple(dict.fromkeys(folders))


@dataclass(frozen=True, slots=True)
class LmStudioSource:
    """The GGUF files in one models folder of LM Studio's."""

    folder: Path

    def find(self) -> Findings:
        """Look at every name in the folder; opens no file."""
        if not is_folder(self.folder):
            return Findings()
        walk = Walk(self.folder, smaller="remove what you do not need in LM Studio")
        files = [
            replace(file, origin=LM_STUDIO)
            for repository in _by_repository(walk.go(self.folder))
            for file in self._named(repository)
        ]
        looks = (FolderLook(self.folder, len(files)),) if files else ()
        return Findings(tuple(files), tuple(walk.problems), looks)

    def _named(self, files: list[FoundFile]) -> list[FoundFile]:
        folder = files[0].path.parent
        if folder == self.folder:
            return files  # LM Studio itself does not see a file that is in no folder
        key = folder.name.lower().removesuffix("-gguf")
        named = named_by_quantisation(files, key, mark="@", lower=True)
        if sum(bool(file.names) for file in named) > 1:
            return named
        return [replace(file, names=tuple(reversed(file.names))) for file in named]


def _by_repository(files: Iterable[FoundFile]) -> list[list[FoundFile]]:
    repositories: dict[Path, list[FoundFile]] = {}
    for file in files:
        if not file.path.name.startswith("downloading_"):
            repositories.setdefault(file.path.parent, []).append(file)
    return list(repositories.values())


def _chosen_folder(home: Path) -> Path | None:
    try:
        chosen = json.loads(read_text_file(home / "settings.json", SETTINGS_BYTES_MAX) or "{}")
    except (ValueError, RecursionError):
        return None
    folder = chosen.get("downloadsFolder") if isinstance(chosen, dict) else None
    if isinstance(folder, str) and os.path.isabs(folder) and "\0" not in folder:
        return Path(folder)
    return None
