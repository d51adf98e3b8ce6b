"""Where this machine's model files are looked for."""

import os
import sys
from pathlib import Path

from mesh.home import Home
from mesh.settings import NodeSettings
from node_agent.library.bundled import BundledSource
from node_agent.library.folder import FolderSource
from node_agent.library.found import Source


def sources_of(home: Home, node: NodeSettings) -> tuple[Source, ...]:
    """Return every source that the owner's settings allow, the home's own folder first.

    ``node.model_folders`` replaces the well-known folders wherever it is given, also as an empty
    list: ``DESKMESH_NODE__MODEL_FOLDERS=[]`` leaves only the home's own folder.
    """
    chosen = "model_folders" in node.model_fields_set
    folders: list[Source] = [FolderSource(home.models, named_by_owner=False)]
    if chosen:
        folders += [FolderSource(folder) for folder in node.model_folders]
    else:
        folders += [FolderSource(folder, named_by_owner=False) for folder in well_known_folders()]
    if node.test_models:
        folders.append(BundledSource())
    return tuple(folders)


def well_known_folders() -> tuple[Path, ...]:
    """Return the folders where people's GGUF files usually are, whether they exist or not."""
    user = Path.home()
    return (user / "models", _llama_cpp_cache(user), user / ".lmstudio" / "models")


def _llama_cpp_cache(user: Path) -> Path:
    """Where llama.cpp's ``-hf`` downloads go: ``fs_get_cache_directory`` in its common.cpp."""
    if named := os.environ.get("LLAMA_CACHE"):
        return Path(named)
    if sys.platform == "darwin":
        return user / "Library" / "Caches" / "llama.cpp"
    return Path(os.environ.get("XDG_CACHE_HOME") or user / ".cache") / "llama.cpp"
