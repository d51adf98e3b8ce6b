"""Where a machine looks for models, by its settings."""

from pathlib import Path

import pytest

from mesh.errors import InvalidRequest
from mesh.home import HOME_VARIABLE, Home
from mesh.settings import NodeSettings, load_settings
from node_agent.library import ollama
from node_agent.library.bundled import BUNDLED_NAME, BundledSource, bundled_model
from node_agent.library.catalogue import Library
from node_agent.library.folder import FolderSource
from node_agent.library.hugging_face import HuggingFaceSource
from node_agent.library.llama_cpp_cache import LlamaCppCacheSource
from node_agent.library.lm_studio import LmStudioSource
from node_agent.library.ollama import OllamaSource
from node_agent.library.places import sources_of
from tests.node_agent.library.conftest import write_gguf


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of deskmesh in the home of a user who has nothing else."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    for name in ("LLAMA_CACHE", "XDG_CACHE_HOME", "OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ollama, "service_store", lambda: tmp_path / "service")  # this machine's own
    return Home(tmp_path / "home")


def folders(home: Home, node: NodeSettings) -> list[Path]:
    sources = sources_of(home, node)
    return [source.folder for source in sources if isinstance(source, FolderSource)]


def stores(home: Home, node: NodeSettings) -> list[str]:
    kinds = (OllamaSource, LmStudioSource, HuggingFaceSource, LlamaCppCacheSource)
    found = [
        type(source).__name__ for source in sources_of(home, node) if isinstance(source, kinds)
    ]
    return list(dict.fromkeys(found))


ALL = ["OllamaSource", "LmStudioSource", "HuggingFaceSource", "LlamaCppCacheSource"]


def test_without_settings_the_places_that_people_use_are_looked_at(
    home: Home, tmp_path: Path
) -> None:
    assert folders(home, NodeSettings()) == [home.models, tmp_path / "user" / "models"]
    assert stores(home, NodeSettings()) == ALL


def test_folders_that_are_named_replace_every_usual_place(home: Home) -> None:
    node = NodeSettings(model_folders=(Path("/a"), Path("/b")))
    assert folders(home, node) == [home.models, Path("/a"), Path("/b")]
    assert stores(home, node) == []


def test_stores_that_are_named_are_looked_at_in_any_case(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKMESH_NODE__MODEL_FOLDERS", "[]")
    monkeypatch.setenv("DESKMESH_NODE__MODEL_STORES", '["ollama", "hugging-face"]')
    assert folders(home, load_settings().node) == [home.models]
    assert stores(home, load_settings().node) == ["OllamaSource", "HuggingFaceSource"]
    monkeypatch.setenv("DESKMESH_NODE__MODEL_STORES", "[]")
    monkeypatch.delenv("DESKMESH_NODE__MODEL_FOLDERS")
    assert stores(home, load_settings().node) == []
    assert len(folders(home, load_settings().node)) == 2


def test_a_store_that_nobody_knows_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKMESH_NODE__MODEL_STORES", '["olama"]')
    with pytest.raises(InvalidRequest, match=r"node.model_stores.*'ollama'"):
        load_settings()


def test_an_empty_list_in_the_environment_leaves_only_the_homes_own_folder(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKMESH_NODE__MODEL_FOLDERS", "[]")
    assert (folders(home, load_settings().node), stores(home, load_settings().node)) == (
        [home.models],
        [],
    )


def test_an_empty_list_in_the_file_does_the_same(home: Home) -> None:
    home.root.mkdir()
    home.settings_file.write_text("[node]\nmodel_folders = []\n")
    assert folders(home, load_settings().node) == [home.models]


def test_test_models_can_be_switched_off(home: Home) -> None:
    assert BundledSource() in sources_of(home, NodeSettings())
    assert BundledSource() not in sources_of(home, NodeSettings(test_models=False))


async def test_folders_that_nobody_made_are_no_problem(home: Home) -> None:
    view = await Library.of_machine(home, NodeSettings(test_models=False)).complete()
    assert (view.entries, view.problems) == ((), ())


async def test_a_folder_that_the_owner_named_is_missed(home: Home, tmp_path: Path) -> None:
    node = NodeSettings(model_folders=(tmp_path / "typo",), test_models=False)
    view = await Library.of_machine(home, node).complete()
    assert [problem.path.name for problem in view.problems] == ["typo"]


@pytest.mark.parametrize("place", ["node_agent/bundled", "models"])
async def test_the_bundled_model_is_found_in_a_wheel_and_in_a_checkout(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / "node_agent").mkdir(exist_ok=True)
    path = write_gguf(tmp_path / place / "test-tiny.gguf", name="Whatever", test=True)
    monkeypatch.setattr("node_agent.__file__", str(tmp_path / "node_agent/__init__.py"))
    assert bundled_model() == path
    assert [file.names for file in BundledSource().find().files] == [(BUNDLED_NAME,)]


def test_without_a_bundled_model_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node_agent.__file__", str(tmp_path / "node_agent/__init__.py"))
    assert bundled_model() is None
    assert BundledSource().find().files == ()


@pytest.mark.skipif(bundled_model() is None, reason="the test model was not made yet")
async def test_the_bundled_model_is_a_test_model_with_tasks_and_examples(home: Home) -> None:
    view = await Library.of_machine(home, NodeSettings()).complete()
    (entry,) = view.entries
    assert entry.model.name == BUNDLED_NAME
    assert entry.model.test
    assert entry.model.tasks
    assert len(entry.model.examples) == len(entry.model.tasks)
