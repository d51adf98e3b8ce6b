"""An engine takes the old one's place only if it loads: real libraries, and broken ones."""

import socket
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from mesh.engine_build import making
from mesh.engine_build.making import build_wheel, pinned_version
from mesh.engine_build.plan import Backend
from mesh.engine_build.proving import check_gpu, loaded
from mesh.errors import InvalidRequest

LACKS = "raise ImportError('libcudart.so.12: not found')"
ABORT = "import os; os.abort()"
Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def wheel_of(tmp_path: Path) -> Write:
    def write(files: dict[str, str]) -> Path:
        wheel = tmp_path / "engine.whl"
        with zipfile.ZipFile(wheel, "w") as packed:
            for name, text in files.items():
                packed.writestr(name, text)
        return wheel

    return write


@pytest.fixture(scope="module")
def real_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine of this environment, packed again as it was before it was installed."""
    wheel = tmp_path_factory.mktemp("wheel") / "llama_cpp_python.whl"
    distribution = metadata.distribution("llama-cpp-python")
    with zipfile.ZipFile(wheel, "w") as packed:
        for file in distribution.files or ():
            path = Path(str(distribution.locate_file(file)))
            if path.is_file() and ".." not in file.parts:
                packed.write(path, str(file))
    return wheel


def test_an_engine_that_loads_is_told_of(real_wheel: Path, tmp_path: Path) -> None:
    engine = loaded(real_wheel, tmp_path / "unpacked")
    assert engine.version == pinned_version()
    assert engine.devices


def test_one_that_was_built_for_a_gpu_and_finds_none_is_refused(
    real_wheel: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest, match="finds no GPU"):
        check_gpu(loaded(real_wheel, tmp_path / "unpacked"), Backend.CUDA)


def test_one_that_does_not_load_is_refused(wheel_of: Write, tmp_path: Path) -> None:
    wheel = wheel_of({"llama_cpp/__init__.py": "", "llama_cpp/llama_cpp.py": LACKS})
    with pytest.raises(InvalidRequest, match="does not load") as failure:
        loaded(wheel, tmp_path / "unpacked")
    assert "as it was" in failure.value.hint


def test_one_that_kills_its_process_is_refused(wheel_of: Write, tmp_path: Path) -> None:
    wheel = wheel_of({"llama_cpp/__init__.py": "", "llama_cpp/llama_cpp.py": ABORT})
    with pytest.raises(InvalidRequest, match="signal 6"):
        loaded(wheel, tmp_path / "unpacked")


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "cut.whl"
    wheel.write_bytes(b"PK")
    with pytest.raises(InvalidRequest, match="cannot be read"):
        loaded(wheel, tmp_path / "unpacked")


def test_a_build_that_fails_says_what_was_said_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(InvalidRequest, match="No matching distribution") as failure:
        build_wheel(("-DGGML_CUDA=ON",), tmp_path / "wheel", lambda done, all_: None)
    assert "as it was" in failure.value.hint


def test_a_build_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is reached, and never answers."""
    monkeypatch.setattr(making, "BUILDS_WITHIN_S", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        monkeypatch.setenv("PIP_TIMEOUT", "600")
        with pytest.raises(InvalidRequest, match="pip ended with -9"):
            build_wheel((), tmp_path / "wheel", lambda done, all_: None)
