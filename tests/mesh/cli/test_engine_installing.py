"""``deskmesh engine install``, up to where a compiler begins its work."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from mesh.cli import entry


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No engine that this machine has built before is found, and put in place."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["deskmesh", "engine", "install", *arguments])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    return int(ended.value.code or 0)


def test_a_plan_is_told_and_nothing_is_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--vulkan", "--plan", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["backend"] == "vulkan"
    assert "-DGGML_VULKAN=ON" in told["cmake_args"]
    assert told["minutes"] > 0
    assert told["kept"] is None


def test_two_backends_are_one_too_many(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--cuda", "--cpu") == 2
    assert "one of cuda, cpu" in capsys.readouterr().err


def test_without_a_compiler_it_says_where_to_get_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert run(monkeypatch, "--cpu", "--yes") == 1
    assert "a C++ compiler (" in capsys.readouterr().err


def test_nothing_is_built_where_nobody_can_be_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert run(monkeypatch, "--cpu") == 1
    assert "--yes" in capsys.readouterr().err
