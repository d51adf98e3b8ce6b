"""Which engine serves a model that was found here, and what is said where ours can't."""

from pathlib import Path

import pytest

from mesh.settings import NodeSettings
from node_agent.engine.protocol import LoadFailed
from node_agent.engine.warm_folder import WarmFolder
from node_agent.engines import engine_processes
from node_agent.library.catalogue import Library
from node_agent.library.folder import FolderSource
from node_agent.library.found import Source
from node_agent.library.ollama import OllamaSource
from node_agent.loads_known import LoadsKnown
from tests.node_agent.library.conftest import write_gguf
from tests.node_agent.library.stores import OllamaStore, library


async def why_not(source: Source, tmp_path: Path) -> LoadFailed:
    """Load the one model of a source with llama.cpp, and return how it fails."""
    known = Library([source], tmp_path / "cache.json")
    (entry,) = (await known.complete()).entries
    settings = NodeSettings(context_tokens_max=256)
    load = engine_processes(known, settings, WarmFolder(tmp_path / "warm", 0), LoadsKnown())
    with pytest.raises(LoadFailed) as failed:
        await load(entry, 1, 256, lambda _: None)
    return failed.value


async def test_a_model_of_ollamas_that_llama_cpp_cannot_load_is_left_to_ollama(
    tmp_path: Path,
) -> None:
    store = OllamaStore(tmp_path / "ollama")
    model = write_gguf(tmp_path / "m.gguf", architecture="gemma3")
    store.pull(library("newest:8b"), model)
    failure = await why_not(OllamaSource(store.root), tmp_path)
    assert "can't be loaded" in failure.message
    assert failure.hint == "Ollama itself may: start it, and it is adopted"


async def test_of_a_file_in_a_folder_nobody_else_is_spoken_of(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf")
    failure = await why_not(FolderSource(tmp_path), tmp_path)
    assert "adopted" not in str(failure)
