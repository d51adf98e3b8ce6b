"""The names that Ollama's manifests have, found in the tree that holds them.

Facts, from github.com/ollama/ollama, manifest/paths.go and types/model/name.go: a manifest is at
``manifests/HOST/NAMESPACE/MODEL/TAG``, since version 0.40 at ``manifests-v2/...``, which counts
where both are there. The public registry is ``registry.ollama.ai`` or ``ollama.com``; it is not
shown, nor is its namespace ``library``. A host's port is written ``%3A11434``. Names differ by more
than their case.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from node_agent.library.found import LibraryProblem

TREES = ("manifests-v2", "manifests")
PUBLIC_HOSTS = ("registry.ollama.ai", "ollama.com")
LIBRARY = "library"
LATEST = "latest"
LEVELS = 4  # host, namespace, model, tag
ENTRIES_MAX = 50_000  # names read at one look, as in any other folder
NAMES_MAX = 4_096  # manifests read at one look: a second (measured), where people have dozens


@dataclass(slots=True)
class NameLook:
    """One look at the manifests of the store at ``root``."""

    root: Path
    names: dict[str, Path] = field(default_factory=dict)  # as Ollama shows it -> its manifest
    problems: list[LibraryProblem] = field(default_factory=list)
    unreadable: OSError | None = None  # the first folder that could not be looked at
    _folded: set[str] = field(default_factory=set)
    _entries: int = 0

    def run(self) -> None:
        for tree in TREES:
            for parts, path in self._manifests(self.root / tree, ()):
                name = shown_name(*parts)
                if name.lower() in self._folded:
                    continue
                if len(self.names) >= NAMES_MAX:
                    break
                self._folded.add(name.lower())
                self.names[name] = path
        if self._entries > ENTRIES_MAX or len(self.names) >= NAMES_MAX:
            reason = (
                f"too big to read whole (more than {ENTRIES_MAX} files or {NAMES_MAX} names);"
                " `ollama rm` what you do not need"
            )
            self.problems.append(LibraryProblem(self.root, reason))

    def _manifests(
        self, folder: Path, above: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], Path]]:
        """Yield every file exactly ``LEVELS`` deep with the names on the way to it, in order."""
        for entry in self._listed(folder):
            parts = (*above, entry.name)
            is_folder = entry.is_dir(follow_symlinks=False)
            if len(parts) < LEVELS and is_folder:
                yield from self._manifests(Path(entry.path), parts)
            elif len(parts) == LEVELS and not is_folder:
                yield parts, Path(entry.path)

    def _listed(self, folder: Path) -> list[os.DirEntry[str]]:
        listed: list[os.DirEntry[str]] = []
        try:
            with os.scandir(folder) as listing:
                for entry in listing:
                    self._entries += 1
                    if self._entries > ENTRIES_MAX:
                        break
                    if not entry.name.startswith("."):
                        listed.append(entry)
        except (FileNotFoundError, NotADirectoryError):
            pass  # an empty store, or what no folder is in
        except OSError as failure:
            self.unreadable = self.unreadable or failure
        return sorted(listed, key=lambda entry: entry.name)


def shown_name(host: str, namespace: str, model: str, tag: str) -> str:
    """Return a model's name as ``ollama list`` shows it."""
    host = unquote(host)
    if host.lower() not in PUBLIC_HOSTS:
        return f"{host}/{namespace}/{model}:{tag}"
    if namespace.lower() != LIBRARY:
        return f"{namespace}/{model}:{tag}"
    return f"{model}:{tag}"


def spoken_names(name: str) -> tuple[str, ...]:
    """Return the name and, where Ollama would add its tag by itself, the name without it."""
    bare, _, tag = name.rpartition(":")
    return (name, bare) if tag.lower() == LATEST else (name,)
