"""What a look at Ollama's store finds, by which names, and what it complains of."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_agent.library import ollama, ollama_names
from node_agent.library.catalogue import Library
from node_agent.library.folder import FolderSource
from node_agent.library.found import Findings, Source
from node_agent.library.ollama import OllamaSource, ollama_stores
from node_agent.library.ollama_service import STORE, service_store
from tests.node_agent.library.conftest import write_gguf
from tests.node_agent.library.stores import OllamaStore, library
from tests.node_agent.library.test_library_folder import without_privileges


@pytest.fixture
def store(tmp_path: Path) -> OllamaStore:
    return OllamaStore(tmp_path / "ollama")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "model.gguf", name="Qwen3 8B")


def look(store: OllamaStore) -> Findings:
    return OllamaSource(store.root).find()


def names(store: OllamaStore) -> list[tuple[str, ...]]:
    return [file.names for file in look(store).files]


def reasons(store: OllamaStore) -> list[str]:
    return [problem.reason for problem in look(store).problems]


def test_a_model_is_known_as_ollama_shows_it(store: OllamaStore, model: Path) -> None:
    store.pull(library("qwen3:8b"), model)
    (file,) = look(store).files
    assert file.names == ("qwen3:8b",)
    assert file.path == store.blob(hashlib.sha256(model.read_bytes()).hexdigest())
    assert (file.origin, file.claimed_sha256) == ("Ollama", file.path.name.removeprefix("sha256-"))
    assert look(store).folders[0].files == 1


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("registry.ollama.ai/library/qwen3:latest", ("qwen3:latest", "qwen3")),
        ("ollama.com/library/qwen3:0.6b", ("qwen3:0.6b",)),
        ("registry.ollama.ai/somebody/tuned:v2", ("somebody/tuned:v2",)),
        ("hf.co/bartowski/Qwen3-GGUF:Q4_K_M", ("hf.co/bartowski/Qwen3-GGUF:Q4_K_M",)),
        (
            "desk.local%3A5000/team/model:latest",
            ("desk.local:5000/team/model:latest", "desk.local:5000/team/model"),
        ),
    ],
)
def test_names_are_shortened_as_ollama_shortens_them(
    store: OllamaStore, model: Path, stored: str, shown: tuple[str, ...]
) -> None:
    store.pull(stored, model)
    assert names(store) == [shown]


def test_two_tags_of_one_blob_are_one_model_with_both_names(
    store: OllamaStore, model: Path
) -> None:
    store.pull(library("qwen3:8b"), model)
    store.pull(library("qwen3:latest"), model)
    assert names(store) == [("qwen3:8b", "qwen3:latest", "qwen3")]


def test_a_newer_tree_of_manifests_counts_before_the_older(
    store: OllamaStore, model: Path, tmp_path: Path
) -> None:
    newer = write_gguf(tmp_path / "newer.gguf", seed=2)
    store.pull(library("qwen3:8b"), model)
    store.pull("ollama.com/library/qwen3:8b", newer, tree="manifests-v2")
    (file,) = look(store).files
    assert file.claimed_sha256 == hashlib.sha256(newer.read_bytes()).hexdigest()


def test_a_manifest_that_is_a_link_to_its_blob_is_read(store: OllamaStore, model: Path) -> None:
    raw = store.manifest([store.layer("model", model.read_bytes())])
    blob = store.blob(hashlib.sha256(raw).hexdigest())
    blob.write_bytes(raw)
    path = store.path("ollama.com/library/qwen3:8b", tree="manifests-v2")
    path.parent.mkdir(parents=True)
    path.symlink_to(os.path.relpath(blob, path.parent))
    assert names(store) == [("qwen3:8b",)]


@pytest.mark.parametrize("by_reference", [False, True])
def test_of_a_list_of_manifests_the_one_with_gguf_counts(
    store: OllamaStore, model: Path, by_reference: bool
) -> None:
    inline = json.loads(store.manifest([store.layer("model", model.read_bytes())]))
    if by_reference:
        raw = json.dumps(inline).encode()
        digest = hashlib.sha256(raw).hexdigest()
        store.blob(digest).write_bytes(raw)
        inline = {"mediaType": inline["mediaType"], "digest": f"sha256:{digest}"}
    tensors = {"runner": "mlx", "layers": [store.layer("tensor", b"weights")]}
    both = {
        "mediaType": "application/vnd.ollama.manifest.list.v2+json",
        "manifests": [tensors, inline | {"runner": "llamacpp"}],
    }
    store.write(library("qwen3:8b"), json.dumps(both).encode())
    assert names(store) == [("qwen3:8b",)]


def test_blobs_of_older_versions_are_found(store: OllamaStore, model: Path) -> None:
    store.pull(library("qwen3:8b"), model)
    blob = look(store).files[0].path
    blob.rename(blob.with_name(blob.name.replace("-", ":")))
    assert names(store) == [("qwen3:8b",)]


@pytest.mark.parametrize(
    ("also", "said"),
    [({"adapter": b"low rank"}, "an adapter"), ({"model": b"second half"}, "in 2 blobs")],
)
def test_a_name_that_stands_for_more_than_its_weights_is_left_to_ollama(
    store: OllamaStore, model: Path, also: dict[str, bytes], said: str
) -> None:
    store.pull(library("mine:latest"), model, also=also)
    assert look(store).files == ()
    (problem,) = look(store).problems
    assert problem.ignored
    assert said in problem.reason
    assert "start it, and it is adopted" in problem.reason


def test_weights_that_are_no_gguf_or_not_here_are_left_to_ollama(store: OllamaStore) -> None:
    store.pull(library("gemma:mlx"), None, also={"tensor": b"weights"})
    store.pull(library("huge:cloud"), None)
    assert all(problem.ignored for problem in look(store).problems)
    assert ["no GGUF file" in each for each in reasons(store)] == [True, False]
    assert "no weights are here" in reasons(store)[1]


def test_a_projector_is_said_to_belong_to_its_model(store: OllamaStore, model: Path) -> None:
    store.pull(library("llava:7b"), model, also={"projector": b"eyes"})
    assert names(store) == [("llava:7b",)]
    (problem,) = look(store).problems
    assert problem.ignored
    assert "a projector for images, of llava:7b" in problem.reason


DEEP = b'{"layers":' + b"[" * 100_000


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"<html>",
        b"[]",
        b'{"layers": 3}',
        b'{"layers": [{"mediaType": 7}]}',
        DEEP,
        b'{"layers": [{"size": 1' + b"0" * 5_000 + b"}]}",
        b" " * (5 << 20) + b"{}",
        json.dumps({"layers": [{"mediaType": "application/vnd.ollama.image.model"}]}).encode(),
        json.dumps({"manifests": [{"digest": "sha256:../../../etc/passwd"}]}).encode(),
    ],
    ids=lambda raw: raw[:12].decode(errors="replace"),
)
def test_a_corrupt_manifest_is_one_problem_and_the_rest_is_served(
    store: OllamaStore, model: Path, raw: bytes
) -> None:
    store.pull(library("good:1b"), model)
    path = store.write(library("bad:1b"), raw)
    assert names(store) == [("good:1b",)]
    (problem,) = look(store).problems
    assert problem.path == path
    assert "`ollama pull bad:1b` mends it" in problem.reason
    assert len(problem.reason) < 200


@pytest.mark.parametrize(
    "digest",
    ["sha256:../../../../etc/hostname", "sha256:" + "0" * 63, "../x", "sha256:" + "g" * 64, "a\0b"],
)
def test_no_digest_leads_out_of_the_store(store: OllamaStore, model: Path, digest: str) -> None:
    layer = store.layer("model", model.read_bytes()) | {"digest": digest}
    store.write(library("bad:1b"), store.manifest([layer]))
    assert look(store).files == ()
    assert ["as no blob is named" in reason for reason in reasons(store)] == [True]


def test_missing_partial_and_truncated_blobs_are_told_apart(
    store: OllamaStore, model: Path
) -> None:
    store.pull(library("qwen3:8b"), model)
    blob = look(store).files[0].path
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-1])
    assert f"has {len(whole) - 1:,} bytes of {len(whole):,}" in reasons(store)[0]
    blob.rename(blob.with_name(f"{blob.name}-partial"))
    (problem,) = look(store).problems
    assert (problem.ignored, problem.reason) == (True, "qwen3:8b: still downloading")
    blob.with_name(f"{blob.name}-partial").unlink()
    assert "its weights are gone" in reasons(store)[0]
    blob.mkdir()
    assert "not a regular file" in reasons(store)[0]
    assert look(store).files == ()


def test_a_manifest_that_is_a_pipe_is_not_waited_for(store: OllamaStore) -> None:
    path = store.path(library("pipe:1b"))
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    assert ["not a regular file" in reason for reason in reasons(store)] == [True]


def test_a_dangling_link_to_a_manifest_is_a_problem(store: OllamaStore) -> None:
    path = store.path(library("gone:1b"))
    path.parent.mkdir(parents=True)
    path.symlink_to("../../../nowhere")
    assert ["cannot be read" in reason for reason in reasons(store)] == [True]


def test_what_lies_beside_manifests_is_nothing(store: OllamaStore, model: Path) -> None:
    manifest = store.pull(library("qwen3:8b"), model)
    (manifest.parent / ".manifest-123").write_bytes(b"half")
    (manifest.parent / "deeper").mkdir()
    (manifest.parents[1] / "stray").write_bytes(b"{}")
    assert names(store) == [("qwen3:8b",)]
    assert reasons(store) == []


def test_a_tree_without_end_is_read_in_part_and_said_so(
    store: OllamaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        manifest = store.manifest([store.layer("model", bytes([number]))])
        store.write(library(f"m:{number:02}"), manifest)
    monkeypatch.setattr(ollama_names, "NAMES_MAX", 10)
    assert len(names(store)) == 10
    assert "too big to read whole" in reasons(store)[0]
    monkeypatch.setattr(ollama_names, "ENTRIES_MAX", 20)
    assert "too big to read whole" in reasons(store)[0]


@pytest.mark.parametrize("bound", ["MANIFEST_BYTES_MAX", "LOOK_BYTES_MAX"])
def test_manifests_of_very_many_bytes_are_read_in_part_and_said_so(
    store: OllamaStore, model: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    store.pull(library("a:1b"), model)
    store.write(library("b:1b"), b" " * 5_000 + store.manifest([]))
    monkeypatch.setattr(ollama, bound, 4_000)
    assert (names(store), len(reasons(store))) == ([("a:1b",)], 1)


def test_a_name_that_a_terminal_would_obey_is_told_without_it(store: OllamaStore) -> None:
    store.write(library("\x1b[31mred:1b"), b"{")
    assert all(reason.isprintable() for reason in reasons(store))
    assert len(reasons(store)) == 1


def test_a_blob_of_very_many_tags_has_some_of_their_names(store: OllamaStore, model: Path) -> None:
    for number in range(30):
        store.pull(library(f"m:{number:02}"), model)
    (found,) = names(store)
    assert found == tuple(f"m:{number:02}" for number in range(8))


def test_a_store_that_is_not_there_is_nothing(store: OllamaStore) -> None:
    assert look(store) == Findings()
    store.root.parent.mkdir(exist_ok=True)
    store.root.write_bytes(b"")
    assert look(store) == Findings()


@pytest.fixture
def open_store() -> Iterator[OllamaStore]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield OllamaStore(Path(name) / "ollama")


@pytest.mark.parametrize("place", ["manifests", "blobs", "blobs/*"])
def test_another_users_store_is_ignored_with_what_to_do(
    open_store: OllamaStore, model: Path, tmp_path: Path, place: str
) -> None:
    open_store.pull(library("qwen3:8b"), model)
    open_store.pull(library("qwen3:0.6b"), write_gguf(tmp_path / "other.gguf", seed=1))
    closed = list(open_store.root.glob(place))
    for path in closed:
        path.chmod(0)
    with without_privileges():
        (problem,) = look(open_store).problems
    assert problem.ignored
    assert "usermod -aG ollama" in problem.reason
    for path in closed:
        path.chmod(0o755)


async def test_a_blob_whose_content_is_not_what_its_name_says_is_never_served(
    store: OllamaStore, model: Path, tmp_path: Path
) -> None:
    store.pull(library("qwen3:8b"), model)
    blob = look(store).files[0].path
    damaged = bytearray(blob.read_bytes())
    damaged[-1] ^= 1
    blob.write_bytes(damaged)
    linked = tmp_path / "models" / "qwen.gguf"  # the same inode, and no claim of its own
    linked.parent.mkdir()
    linked.hardlink_to(blob)
    sources: list[Source] = [OllamaSource(store.root), FolderSource(linked.parent)]
    view = await Library(sources, tmp_path / "cache.json").complete()
    assert view.entries == ()
    (problem,) = view.problems
    assert problem.path == blob
    assert not problem.ignored
    assert "damaged: its content is not what Ollama says it is" in problem.reason
    again = await Library(sources, tmp_path / "cache.json").scan()
    assert (again.entries, again.problems) == ((), view.problems)


async def test_what_another_program_runs_is_known_by_its_file_or_by_its_sha256(
    store: OllamaStore, model: Path, tmp_path: Path
) -> None:
    store.pull(library("qwen3:8b"), model)
    found = Library([OllamaSource(store.root)], tmp_path / "cache.json")
    (entry,) = (await found.complete()).entries
    sha256 = entry.model.identity.sha256
    assert found.model_in("", sha256) == found.model_in("/elsewhere", sha256) == entry.model
    assert found.model_in(str(entry.path)) == entry.model
    assert found.model_in("", "0" * 64) is found.model_in("") is None


async def test_a_model_of_an_architecture_that_only_ollama_knows_is_left_to_it(
    store: OllamaStore, tmp_path: Path
) -> None:
    store.pull(library("qwen2.5vl:7b"), write_gguf(tmp_path / "m.gguf", architecture="qwen25vl"))
    view = await Library([OllamaSource(store.root)], tmp_path / "cache.json").complete()
    assert view.entries == ()
    (problem,) = view.problems
    assert problem.ignored
    assert "knows no architecture 'qwen25vl'; Ollama itself may: start it" in problem.reason


def test_the_store_follows_ollamas_own_setting(tmp_path: Path) -> None:
    assert ollama_stores(tmp_path, {})[0] == tmp_path / ".ollama" / "models"
    assert ollama_stores(tmp_path, {"OLLAMA_MODELS": "/big"})[0] == Path("/big")


@pytest.mark.parametrize(
    ("unit", "drop_in", "store"),
    [
        ("", "", STORE),
        ("[Service]\nEnvironment=OLLAMA_MODELS=/a\n", "", Path("/a")),
        ("Environment=OLLAMA_MODELS=/a", 'Environment = "X=1" "OLLAMA_MODELS=/b c"', Path("/b c")),
        ("Environment=OLLAMA_MODELS=/a", "Environment=\n", STORE),
        ("Environment=OLLAMA_MODELS=/a", 'Environment="OLLAMA_MODELS=/b', Path("/a")),
        ("Environment=OLLAMA_MODELS=%h/models", "Environment=OLLAMA_MODELS=models", STORE),
        ("#Environment=OLLAMA_MODELS=/a", "ExecStart=OLLAMA_MODELS=/a", STORE),
    ],
)
def test_the_services_store_is_where_its_unit_says(
    tmp_path: Path, unit: str, drop_in: str, store: Path
) -> None:
    path = tmp_path / "ollama.service"
    path.write_text(unit)
    (tmp_path / "ollama.service.d").mkdir()
    (tmp_path / "ollama.service.d" / "override.conf").write_text(drop_in)
    assert service_store(path) == store


def test_without_a_service_its_store_is_the_usual_one(tmp_path: Path) -> None:
    assert service_store(tmp_path / "ollama.service") == STORE
