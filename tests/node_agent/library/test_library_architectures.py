"""Which architectures the llama.cpp that is installed here knows, by its library."""

from pathlib import Path

import gguf
import pytest

from node_agent.library.known_architectures import FOLDER_VARIABLE, is_known


def test_every_architecture_that_the_world_converts_to_is_known() -> None:
    """The package of formats is older than the engine; were it newer, this would name the rest."""
    assert [name for name in gguf.MODEL_ARCH_NAMES.values() if not is_known(name)] == []


@pytest.mark.parametrize("name", ["qwen25vl", "gptoss", "mllama", "no such", "Llama", "\udcff"])
def test_an_architecture_that_another_engine_made_up_is_not(name: str) -> None:
    assert not is_known(name)


def test_where_no_llama_cpp_is_found_nothing_is_ruled_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert is_known("no such")
    (tmp_path / "libllama.so").write_bytes(b"")
    assert is_known("no such")
    (tmp_path / "libllama.dylib").write_bytes(b"\0llama\0falcon\0")
    assert [is_known(name) for name in ("llama", "falcon", "fal")] == [True, True, False]
