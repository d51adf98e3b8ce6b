"""``deskmesh models pull``, ``show``, ``verify`` and ``remove`` of a model in parts: it is one."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.model_note import read_note
from mesh.own_folder import own_models
from node_agent.library.folder import FolderSource
from tests.mesh.cli.test_model_pulling import failure_of, inside, run
from tests.mesh.pulling.server import Behaviour, FileServer, serving
from tests.node_agent.library.conftest import write_gguf

NAMES = [f"big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The own models' folder of a fresh home."""
    monkeypatch.setenv("DESKMESH_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def parts(tmp_path: Path) -> list[bytes]:
    """A model of five tensors in three files."""
    made = tmp_path / "made"
    made.mkdir()
    write_gguf(made / "big.gguf", name="Big One", tensors=5, split_max_tensors=2)
    return [(made / name).read_bytes() for name in NAMES]


@pytest.fixture
def server(parts: list[bytes]) -> Iterator[FileServer]:
    files = {f"/{name}": part for name, part in zip(NAMES, parts, strict=True)}
    files |= {f"/own/big-GGUF/resolve/{'1' * 40}{path}": part for path, part in files.items()}
    with serving(Behaviour(b"", files=files)) as running:
        yield running


@pytest.fixture
def address(server: FileServer) -> str:
    return server.url.replace("tiny.gguf", NAMES[0])


def sha256_of(parts: list[bytes]) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_the_parts_are_pulled_shown_verified_and_removed_as_one(
    folder: Path, address: str, parts: list[bytes]
) -> None:
    assert run("pull", address).exit_code == 0
    assert inside(folder) == ["big"]
    assert inside(folder / "big") == ["big-00001-of-00003.deskmesh.toml", *NAMES]
    assert read_note(folder / "big" / "big-00001-of-00003.deskmesh.toml").name == "big"
    (found,) = FolderSource(folder).find().files
    assert (found.names, len(found.paths)) == (("big",), 3), "a node offers it as one"
    shown = json.loads(run("show", "big", "--json").stdout)
    assert shown["sha256"] == sha256_of(parts)
    assert "2 more of its parts" in shown["file"]
    assert run("verify").stdout.startswith("big: right")
    assert run("remove", "big").exit_code == 0
    assert inside(folder) == []


def test_a_repository_in_parts_is_pulled_by_its_quantisation(
    folder: Path, server: FileServer, parts: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url.removesuffix("/tiny.gguf"))
    siblings = [
        {
            "rfilename": name.replace("big-", "big-Q4_K_M-"),
            "size": len(part),
            "blobId": "3" * 40,
            "lfs": {
                "sha256": hashlib.sha256(part).hexdigest(),
                "size": len(part),
                "pointerSize": 130,
            },
        }
        for name, part in zip(NAMES, parts, strict=True)
    ]
    server.how.json_at["/api/models/own/big-GGUF/revision/main"] = {
        "id": "own/big-GGUF",
        "sha": "1" * 40,
        "tags": ["license:mit"],
        "siblings": siblings,
    }
    for path in list(server.how.files):
        server.how.files[path.replace("big-0", "big-Q4_K_M-0")] = server.how.files[path]
    told = json.loads(run("pull", "hf:own/big-GGUF:Q4_K_M", "--name", "big", "--json").stdout)
    assert (told["parts"], told["sha256"]) == (3, sha256_of(parts))
    assert told["digest_known_before"] is True
    before = len(server.how.asked)
    assert "here already" in run("pull", "hf:own/big-GGUF:Q4_K_M", "--name", "big").stdout
    assert len(server.how.asked) == before + 1, "the hub alone"


def test_a_pull_that_died_before_its_last_step_is_ended_by_the_next(
    folder: Path, address: str, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("mesh.cli.parts_putting.sync", dies)
        assert run("pull", address).exit_code != 0
    assert inside(folder) == [".big.parts"]
    assert FolderSource(folder).find().files == (), "nothing is offered yet"
    server.how.asked.clear()
    told = json.loads(run("pull", address, "--json").stdout)
    assert told["resumed_bytes"] == told["size_bytes"]
    assert inside(folder) == ["big"]


def test_a_pull_of_parts_that_nobody_wants_to_end_is_removed(
    folder: Path, address: str, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.pulling.pace.Pace.wait_s", lambda *_: 0.0)
    server.how.cut_after = [1, 1, 1, 100, *[0] * 9]
    failure_of("pull", address)
    assert inside(folder) == [".big.parts"]
    assert run("remove", "big").exit_code == 0
    assert inside(folder) == []


def test_disk_and_memory_are_asked_for_all_parts_together(
    folder: Path, address: str, parts: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def no_room(size_bytes: int, free_bytes: int) -> str:
        asked.append(size_bytes)
        return "takes too much"

    monkeypatch.setattr("mesh.pulling.planning.why_no_room", no_room)
    assert "takes too much" in failure_of("pull", address).message
    assert "takes too much" in failure_of("pull", address, "--anyway").message, "a disk is a disk"
    assert asked == [sum(map(len, parts))] * 2
    assert inside(folder) == []


def test_a_name_that_is_taken_is_not_given_again(folder: Path, address: str) -> None:
    (folder / "big").mkdir(parents=True)
    assert "another model" in failure_of("pull", address).message
    (folder / "big").rmdir()
    assert run("pull", address).exit_code == 0
    assert "was pulled from there before" in failure_of("pull", address).message


def test_a_part_that_is_gone_is_told_by_its_name(folder: Path, address: str) -> None:
    assert run("pull", address).exit_code == 0
    (folder / "big" / NAMES[0]).unlink()
    verified = run("verify")
    assert verified.exit_code == 1
    assert f"NOT VERIFIED, {NAMES[0]} is missing" in verified.stdout
    assert NAMES[0] in failure_of("show", "big").message
    assert run("remove", "big").exit_code == 0
    assert inside(folder) == []


def test_what_else_lies_with_the_parts_is_not_removed(folder: Path, address: str) -> None:
    assert run("pull", address).exit_code == 0
    (folder / "big" / "notes.txt").write_text("mine")
    assert "notes.txt" in failure_of("remove", "big").message
    assert inside(folder / "big")[1:4] == NAMES


def test_parts_that_their_owner_put_there_are_one_model_too(
    folder: Path, parts: list[bytes]
) -> None:
    folder.mkdir(parents=True)
    for name, part in zip(NAMES, parts, strict=True):
        (folder / name).write_bytes(part)
    (model,) = own_models(folder)
    assert (model.name, len(model.files)) == ("big", 3)
    assert sha256_of(parts) in run("verify", "big").stdout
    assert "was not put there by" in failure_of("remove", "big").message
