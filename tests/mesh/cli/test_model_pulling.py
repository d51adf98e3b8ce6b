"""``deskmesh models pull``, ``verify``, ``show`` and ``suggest``, against a real server."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import models as test_models
from mesh.cli import models
from mesh.cli.download_shown import Lines
from mesh.cli.first_model import without_models
from mesh.errors import Forbidden, InvalidRequest, MeshError, ModelNotFound, NodeLost
from mesh.home import Home
from mesh.lock import only_one
from mesh.model_note import read_note
from mesh.pulling.bandwidth import read_bytes_per_s
from tests.mesh.pulling.server import Behaviour, FileServer, serving

MODEL = (Path(test_models.__file__).parent / "test-text.gguf").read_bytes()
SHA256 = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The own models' folder of a fresh home."""
    monkeypatch.setenv("DESKMESH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return tmp_path / "home" / "models"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(Behaviour(MODEL)) as running:
        yield running


def run(*words: str) -> Any:
    commands = typer.Typer()
    models.register(commands)
    return CliRunner().invoke(commands, ["models", *words])


def failure_of(*words: str) -> MeshError:
    failed = run(*words).exception
    assert isinstance(failed, MeshError), failed
    return failed


def inside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_model_is_pulled_read_and_noted(folder: Path, server: FileServer) -> None:
    shown = run("pull", server.url, "--sha256", SHA256.upper())
    assert shown.exit_code == 0, shown.exception
    assert "tiny: llama" in shown.stdout
    assert inside(folder) == ["tiny.deskmesh.toml", "tiny.gguf"]
    assert (folder / "tiny.gguf").read_bytes() == MODEL
    note = read_note(folder / "tiny.deskmesh.toml")
    assert (note.sha256, note.source) == (SHA256, server.url)
    assert note.verified.startswith("20")


def test_a_script_gets_the_facts_as_json(folder: Path, server: FileServer) -> None:
    told = json.loads(
        run("pull", f"{server.url}?signature=secret", "--name", "mine", "--json").stdout
    )
    assert told["name"] == "mine"
    assert told["sha256"] == SHA256
    assert told["digest_known_before"] is False
    assert "secret" not in (folder / "mine.deskmesh.toml").read_text()


def test_a_second_pull_of_the_same_weights_fetches_nothing(
    folder: Path, server: FileServer
) -> None:
    assert run("pull", server.url, "--sha256", SHA256).exit_code == 0
    before = len(server.how.seen)
    assert "here already" in run("pull", server.url, "--sha256", SHA256).stdout
    assert "was pulled from there before" in failure_of("pull", server.url).message
    assert len(server.how.seen) == before


def test_two_pulls_of_one_model_at_once_are_one_too_many(folder: Path, server: FileServer) -> None:
    with only_one(Home.find(), "pull-tiny"):
        assert "pull-tiny runs" in failure_of("pull", server.url).message
    assert not server.how.seen


def test_a_pull_that_broke_off_says_how_to_go_on_and_does(
    folder: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.pulling.pace.Pace.wait_s", lambda *_: 0.0)
    server.how.cut_after = [500_000, *[0] * 6]
    failed = failure_of("pull", server.url, "--sha256", SHA256)
    assert isinstance(failed, NodeLost)
    assert "run the same command again to resume" in failed.hint
    server.how.cut_after = []
    told = json.loads(run("pull", server.url, "--sha256", SHA256, "--json").stdout)
    assert told["resumed_bytes"] == 500_000
    assert inside(folder) == ["tiny.deskmesh.toml", "tiny.gguf"]


def test_what_is_no_model_is_thrown_away(folder: Path, server: FileServer) -> None:
    server.how.content = b"not a model" * 1000
    assert "is no model for us" in failure_of("pull", server.url).message
    assert inside(folder) == []


@pytest.mark.parametrize(
    "words",
    [
        ("http://example.com/x.gguf",),
        ("hf:nothing",),
        ("https://u:secret@example.com/x.gguf",),
        ("qwen3-4b", "--sha256", "abc"),
        ("qwen3-4b", "--name", "auto"),
    ],
)
def test_wrong_usage_exits_with_2(folder: Path, words: tuple[str, ...]) -> None:
    assert run("pull", *words).exit_code == 2


def test_a_model_that_is_too_big_is_refused_before_a_byte(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.pulling.this_machine._memory_bytes", lambda: 2_000_000_000)
    assert "of memory" in failure_of("pull", "qwen3:8b").message
    assert inside(folder) == []


def test_a_repository_is_asked_and_its_file_pulled_with_its_licence(
    folder: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = server.url.removesuffix("/tiny.gguf")
    monkeypatch.setenv("HF_ENDPOINT", host)
    monkeypatch.setenv("HF_TOKEN", "hf_token_of_the_test")
    answer = {
        "id": "own/tiny-GGUF",
        "sha": "1" * 40,
        "tags": ["gguf", "license:mit"],
        "siblings": [
            {"rfilename": "README.md", "size": 5, "blobId": "2" * 40},
            {
                "rfilename": "tiny-Q8_0.gguf",
                "size": len(MODEL),
                "blobId": "3" * 40,
                "lfs": {"sha256": SHA256, "size": len(MODEL), "pointerSize": 130},
            },
        ],
    }
    server.how.json_at["/api/models/own/tiny-GGUF/revision/main"] = answer
    told = json.loads(run("pull", "hf:own/tiny-GGUF:q8_0", "--json").stdout)
    assert told["name"] == "tiny-Q8_0"
    assert told["licence"] == "mit"
    assert told["digest_known_before"] is True
    assert server.how.seen[-1]["authorization"] == "Bearer hf_token_of_the_test"
    assert "Q8_0 (" in failure_of("pull", "hf:own/tiny-GGUF:Q2_K").hint


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Forbidden), (403, Forbidden), (404, ModelNotFound), (500, NodeLost)]
)
def test_a_hub_that_says_no_is_told_in_one_line(
    folder: Path,
    server: FileServer,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    kind: type[MeshError],
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url.removesuffix("/tiny.gguf"))
    monkeypatch.setenv("HF_TOKEN", "hf_token_of_the_test")
    server.how.statuses = [status] * 9
    failed = failure_of("pull", "hf:own/tiny-GGUF")
    assert isinstance(failed, kind)
    assert "hf_token_of_the_test" not in str(failed)
    assert "\n" not in str(failed)


def test_where_no_hub_is_a_repository_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    failed = failure_of("pull", "hf:own/tiny-GGUF")
    assert "127.0.0.1 refuses the connection" in failed.message
    assert "check the address" in failed.hint


def test_a_flipped_byte_in_a_pulled_model_is_found_and_named(
    folder: Path, server: FileServer
) -> None:
    assert run("pull", server.url).exit_code == 0
    assert run("verify").exit_code == 0
    file = folder / "tiny.gguf"
    with file.open("r+b") as opened:
        opened.seek(700_000)
        byte = opened.read(1)[0]
        opened.seek(700_000)
        opened.write(bytes([byte ^ 1]))
    wrong = run("verify", "tiny", "--json")
    assert wrong.exit_code == 1
    assert json.loads(wrong.stdout)["models"][0]["state"] == "changed"
    assert str(file) in run("verify").stdout
    assert "NOT what it was" in run("show", "tiny").stdout


def test_a_file_that_its_owner_put_there_has_nothing_to_compare_with(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "mine.gguf").write_bytes(MODEL)
    assert "nothing to compare with" in run("verify").stdout
    assert inside(folder) == ["mine.gguf"], "no note is written for it: `remove` must not take it"
    assert "no model other" in failure_of("verify", "other").message


def test_a_broken_note_keeps_no_other_model_from_being_verified(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"{name}.gguf").write_bytes(MODEL)
    (folder / "a.deskmesh.toml").write_text("name = [")
    verified = run("verify")
    assert verified.exit_code == 1
    assert "a: NOT VERIFIED" in verified.stdout
    assert "mend or remove it" in verified.stdout
    assert f"sha256 {SHA256}" in verified.stdout


def test_all_that_is_known_of_a_model_is_shown(folder: Path, server: FileServer) -> None:
    assert run("pull", server.url).exit_code == 0
    told = json.loads(run("show", "tiny", "--json").stdout)
    assert told["sha256"] == SHA256
    assert told["source"] == server.url
    assert told["does"] == "writes"
    assert told["size_bytes"] == len(MODEL)
    assert (type(told["parameters_count"]), told["domain_list"]) == (int, ["text"])
    assert "licence" in run("show", "tiny").stdout
    assert "no model other" in failure_of("show", "other:7b").message


def test_a_pulled_model_is_removed(folder: Path, server: FileServer) -> None:
    assert run("pull", server.url).exit_code == 0
    removed = run("remove", "tiny")
    assert removed.exit_code == 0
    assert "stays" not in removed.stdout, "there is no other file of it"
    assert inside(folder) == []


def test_a_pull_that_is_not_wanted_any_more_is_removed_as_well(
    folder: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.pulling.pace.Pace.wait_s", lambda *_: 0.0)
    server.how.cut_after = [500_000, *[0] * 6]
    failure_of("pull", server.url)
    assert run("remove", "tiny").exit_code == 0
    assert inside(folder) == []


def test_memory_is_asked_once_a_server_has_told_the_size(
    folder: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.pulling.this_machine._memory_bytes", lambda: 1_000_000)
    assert "of memory" in failure_of("pull", server.url).message
    assert inside(folder) == [], "nothing of it was written"
    assert run("pull", server.url, "--anyway").exit_code == 0


def test_suggestions_come_with_what_each_takes(folder: Path) -> None:
    told = json.loads(run("suggest", "--json").stdout)
    assert told["machine"]["memory_bytes"] > 0
    assert all(each["size_bytes"] for each in told["models"])


def test_suggestions_tell_how_fast_a_processor_would_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.pulling.this_machine._memory_bytes", lambda: 32_000_000_000)
    monkeypatch.setattr("mesh.pulling.bandwidth.gpus_here", tuple)
    monkeypatch.setattr("mesh.pulling.bandwidth.read_bytes_per_s", lambda: 25e9)
    monkeypatch.setenv("COLUMNS", "200")
    shown = run("suggest").stdout
    assert "read at 25 GB a second" in shown
    assert "about 7 tokens a second" in shown
    assert "writes slower than one reads" in shown
    assert "deskmesh models pull gpt-oss-20b" in shown


def test_a_machine_reads_its_memory_at_a_speed_that_memories_have() -> None:
    speed = read_bytes_per_s()
    assert speed is not None
    assert 1e8 < speed < 1e13


def test_the_advice_of_the_first_start_is_given_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    first, second = without_models(home), without_models(home)
    assert first.startswith(second)
    assert "models pull" in first or "Test models only" in first


def test_where_there_is_no_terminal_a_line_tells_speed_and_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said: list[str] = []
    lines = Lines("tiny", every_s=0.0)
    lines.said = said.append  # type: ignore[assignment, method-assign]
    lines.progressed(0, 1000)
    lines.progressed(500, 1000)
    assert "500 B of 1.0 KB (50%)" in said[-1]
    assert said[-1].endswith("left")


def test_a_disk_that_gives_other_bytes_than_it_was_given_is_noticed(
    folder: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def flipping(descriptor: int) -> None:
        real(descriptor)
        if os.fstat(descriptor).st_size == len(MODEL):
            os.pwrite(descriptor, bytes([MODEL[900_000] ^ 1]), 900_000)

    monkeypatch.setattr(os, "fsync", flipping)
    failed = failure_of("pull", server.url)
    assert isinstance(failed, InvalidRequest)
    assert "other bytes than were written" in failed.message
    assert inside(folder) == []
