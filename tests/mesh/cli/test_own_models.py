"""``deskmesh models add`` puts a model into this machine's own folder, whole or not at all."""

import errno
import hashlib
import json
import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import models as test_models
from mesh.cli import model_putting, models
from mesh.errors import InvalidRequest
from mesh.model_note import ModelNote, read_note

MODELS = Path(test_models.__file__).parent
NETWORKING, TEXT = MODELS / "test-networking.gguf", MODELS / "test-text.gguf"
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The own models' folder of a fresh home."""
    monkeypatch.setenv("DESKMESH_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


def run(*words: str) -> Any:
    commands = typer.Typer()
    models.register(commands)
    return CliRunner().invoke(commands, ["models", *words])


def failure_of(*words: str) -> str:
    failed = run(*words).exception
    assert isinstance(failed, InvalidRequest)
    return str(failed)


def inside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_model_is_linked_with_its_domain_beside_it_and_its_bytes_untouched(folder: Path) -> None:
    shown = run("add", str(NETWORKING), "--domain", "Networking", "--domain", "ops")
    assert shown.exit_code == 0
    assert "llama, 1.17M parameters, Q8_0, 1.3 MB, context 1024" in shown.stdout
    assert "a specialist of networking, ops" in shown.stdout
    assert inside(folder) == ["test-networking.deskmesh.toml", "test-networking.gguf"]
    assert (folder / "test-networking.gguf").read_bytes() == NETWORKING.read_bytes()
    note = read_note(folder / "test-networking.deskmesh.toml")
    assert note.name == "test-networking"
    assert note.domains == ("networking", "ops")
    assert note.sha256 == hashlib.sha256(NETWORKING.read_bytes()).hexdigest()


def test_a_script_gets_the_facts_as_json(folder: Path) -> None:
    told = json.loads(run("add", str(TEXT), "--name", "mine", "--json").stdout)
    assert told["name"] == "mine"
    assert told["file"] == str(folder / "mine.gguf")
    assert told["domains"] == ["text"], "as the file itself says"
    assert told["how"] in {"linked", "copied"}
    assert told["model_id"].startswith(told["sha256"][:16])


def test_where_no_link_can_be_the_file_is_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "link", no_link)
    assert json.loads(run("add", str(TEXT), "--json").stdout)["how"] == "copied"
    assert inside(folder) == ["test-text.deskmesh.toml", "test-text.gguf"]
    assert (folder / "test-text.gguf").read_bytes() == TEXT.read_bytes()


def test_a_full_disk_is_told_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 30, 1 << 30, 0))
    assert "0 MiB free" in failure_of("add", str(TEXT))
    assert inside(folder) == []


def test_a_file_that_changes_while_it_is_copied_is_not_added(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_putting, "_NO_LINK", {*model_putting._NO_LINK, errno.EIO})

    def no_link(*_: object) -> None:
        raise OSError(errno.EIO, "no link")

    monkeypatch.setattr(os, "link", no_link)
    with pytest.raises(InvalidRequest, match="changed while"):
        model_putting.put(
            TEXT, folder, "mine", ModelNote(), sha256="0" * 64, on_progress=lambda _: None
        )
    assert inside(folder) == []


def test_a_name_belongs_to_its_weights(folder: Path, tmp_path: Path) -> None:
    assert run("add", str(NETWORKING), "--name", "mine").exit_code == 0
    before = (folder / "mine.gguf").read_bytes()
    assert "another model" in failure_of("add", str(TEXT), "--name", "mine")
    assert (folder / "mine.gguf").read_bytes() == before
    again = shutil.copy(NETWORKING, tmp_path / "again.gguf")
    told = run("add", str(again), "--name", "mine", "--domain", "dns", "--json")
    assert json.loads(told.stdout)["how"] == "there already"
    assert read_note(folder / "mine.deskmesh.toml").domains == ("dns",)


def test_what_was_pulled_and_is_added_keeps_where_it_came_from(folder: Path) -> None:
    assert run("add", str(NETWORKING), "--name", "mine").exit_code == 0
    note = folder / "mine.deskmesh.toml"
    pulled = {"source": "https://example.org/mine.gguf", "licence": "apache-2.0"}
    note.write_text(read_note(note).model_copy(update=pulled).write())
    assert run("add", str(NETWORKING), "--name", "mine").exit_code == 0
    assert read_note(note).model_dump().items() >= pulled.items()


def test_what_is_no_model_is_refused_with_its_reason(folder: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(TEXT.read_bytes()[:100_000])
    other = tmp_path / "other.gguf"
    other.write_text("not a model")
    assert "truncated or damaged" in failure_of("add", str(cut))
    assert "not a GGUF file" in failure_of("add", str(other))
    assert "is not a file" in failure_of("add", str(tmp_path))
    assert "no such file" in failure_of("add", str(tmp_path / "none.gguf"))
    assert inside(folder) == []


@pytest.mark.parametrize(
    "words",
    [
        ("--domain", "a b"),
        ("--name", "auto"),
        ("--name", "a/b"),
        ("--name", "x.part"),
        ("--name", "x-00001-of-00002"),
        [each for domain in "abcdefghi" for each in ("--domain", domain)],
    ],
)
def test_wrong_usage_exits_with_2(folder: Path, words: tuple[str, ...]) -> None:
    assert run("add", str(TEXT), *words).exit_code == 2
    assert inside(folder) == []


def test_only_what_was_added_is_removed(folder: Path) -> None:
    run("add", str(TEXT), "--name", "mine")
    shutil.copy(NETWORKING, folder / "by-hand.gguf")
    assert run("remove", "mine").exit_code == 0
    assert "by-hand.gguf was not put there" in failure_of("remove", "by-hand")
    assert "no model mine" in failure_of("remove", "mine")
    assert inside(folder) == ["by-hand.gguf"]
    assert TEXT.exists()


def test_a_folder_that_is_not_ours_is_told_with_what_to_do(folder: Path) -> None:
    failure = OSError(errno.EROFS, "Read-only file system", str(folder))
    assert "DESKMESH_HOME" in model_putting.in_words(failure, folder).hint
