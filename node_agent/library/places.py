"""Where this machine's model files are looked for."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from mesh.home import Home
from mesh.settings import ModelStore, NodeSettings
from node_agent.library.bundled import BundledSource
from node_agent.library.folder import FolderSource
from node_agent.library.found import Source
from node_agent.library.hugging_face import HuggingFaceSource, hugging_face_cache
from node_agent.library.llama_cpp_cache import LlamaCppCacheSource, llama_cpp_cache
from node_agent.library.lm_studio import LmStudioSource, lm_studio_folders
from node_agent.library.ollama import OllamaSource, ollama_stores
from node_agent.library.origins import LLAMA_CPP


def sources_of(home: Home, node: NodeSettings) -> tuple[Source, ...]:
    """Return every source that the owner's settings allow, the home's own folder first.

    ``node.model_folders`` replaces all the usual places wherever it is given, other tools' stores
    among them, also as an empty list: ``DESKMESH_NODE__MODEL_FOLDERS=[]`` leaves only the home's
    own folder. ``node.model_stores`` says which stores are looked at in any case.
    """
    folders_are_chosen = "model_folders" in node.model_fields_set
    stores_are_chosen = "model_stores" in node.model_fields_set
    sources: list[Source] = [FolderSource(home.models, named_by_owner=False)]
    if folders_are_chosen:
        sources += [FolderSource(folder) for folder in node.model_folders]
    else:
        sources.append(FolderSource(Path.home() / "models", named_by_owner=False))
    if stores_are_chosen or not folders_are_chosen:
        for store in dict.fromkeys(node.model_stores):
            sources += _STORES[store](Path.home(), os.environ)
    if node.test_models:
        sources.append(BundledSource())
    return tuple(sources)


def _ollama(user: Path, environment: Mapping[str, str]) -> list[Source]:
    return [OllamaSource(store) for store in ollama_stores(user, environment)]


def _lm_studio(user: Path, _environment: Mapping[str, str]) -> list[Source]:
    return [LmStudioSource(folder) for folder in lm_studio_folders(user)]


def _hugging_face(user: Path, environment: Mapping[str, str]) -> list[Source]:
    return [HuggingFaceSource(hugging_face_cache(user, environment))]


def _llama_cpp(user: Path, environment: Mapping[str, str]) -> list[Source]:
    """Its own layout and, where it was told to use a folder, the Hub's within that."""
    cache = llama_cpp_cache(user, environment)
    return [LlamaCppCacheSource(cache), HuggingFaceSource(cache, LLAMA_CPP)]


_STORES: dict[ModelStore, Callable[[Path, Mapping[str, str]], list[Source]]] = {
    ModelStore.OLLAMA: _ollama,
    ModelStore.LM_STUDIO: _lm_studio,
    ModelStore.HUGGING_FACE: _hugging_face,
    ModelStore.LLAMA_CPP: _llama_cpp,
}
