"""What a look at a folder finds, skips and complains of."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node_agent.library import walk
from node_agent.library.folder import FolderSource
from node_agent.library.found import Findings


def look(place: Path) -> Findings:
    return FolderSource(place).find()


def found(place: Path) -> list[str]:
    return [os.fspath(file.path.relative_to(place)) for file in look(place).files]


def reasons(place: Path) -> dict[str, str]:
    return {problem.path.name: problem.reason for problem in look(place).problems}


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF")
    return path


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read everything, so these tests are nobody."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_files_are_found_at_any_sensible_depth(models: Path) -> None:
    put(models / "a.gguf")
    put(models / "publisher" / "repository" / "B.GGUF")
    put(models / "readme.md")
    assert found(models) == ["a.gguf", "publisher/repository/B.GGUF"]


def test_a_file_is_known_by_its_stem(models: Path) -> None:
    put(models / "Qwen2.5-0.5B-Q8_0.gguf")
    assert look(models).files[0].aliases == ("Qwen2.5-0.5B-Q8_0",)


def test_two_looks_at_the_same_files_are_equal(models: Path) -> None:
    for name in "cab":
        put(models / name / f"{name}.gguf")
    assert look(models) == look(models)


@pytest.mark.parametrize("name", ["a.gguf.part", "a.gguf.incomplete", "a.tmp", "a.part.gguf"])
def test_partial_downloads_are_not_models(models: Path, name: str) -> None:
    put(models / name)
    assert look(models) == Findings(folders=look(models).folders)


def test_a_file_with_a_partial_one_beside_it_waits_for_its_end(models: Path) -> None:
    put(models / "a.gguf")
    partial = put(models / "a.gguf.aria2")
    assert found(models) == []
    assert "still downloading" in reasons(models)["a.gguf"]
    partial.unlink()
    assert found(models) == ["a.gguf"]


def test_hidden_files_and_folders_are_left_alone(models: Path) -> None:
    put(models / "._a.gguf")
    put(models / ".cache" / "a.gguf")
    assert look(models).files == ()


def test_a_model_in_parts_is_one_find(models: Path) -> None:
    parts = [put(models / f"big-0000{part}-of-00003.gguf") for part in (1, 2, 3)]
    findings = look(models)
    (file,) = findings.files
    assert file.paths == tuple(parts)
    assert file.aliases == ("big",)
    assert file.size_bytes == sum(part.stat().st_size for part in parts)
    assert findings.problems == ()


def test_of_a_model_in_parts_those_that_are_missing_are_named_once(models: Path) -> None:
    for part in (1, 3):
        put(models / f"big-0000{part}-of-00003.gguf")
    put(models / "huge-00002-of-00009.gguf")
    assert look(models).files == ()
    assert {name: said.partition(": ")[2] for name, said in reasons(models).items()} == {
        "big-00001-of-00003.gguf": "big-00002-of-00003.gguf; download them",
        "huge-00001-of-00009.gguf": "huge-00001-of-00009.gguf, huge-00003-of-00009.gguf,"
        " huge-00004-of-00009.gguf and 5 more; download them",
    }


def test_a_model_of_which_a_part_still_comes_is_waited_for(models: Path) -> None:
    put(models / "big-00001-of-00002.gguf")
    put(models / "big-00002-of-00002.gguf.part")
    (problem,) = look(models).problems
    assert (problem.ignored, "still downloading" in problem.reason) == (True, True)


@pytest.mark.parametrize("count", ["00000", "99999"])
def test_an_absurd_number_of_parts_is_a_problem(models: Path, count: str) -> None:
    put(models / f"big-00001-of-{count}.gguf")
    assert [said for said in reasons(models).values() if said.startswith("no model has")]
    assert look(models).files == ()


def test_links_are_followed_to_files_and_folders_elsewhere(models: Path, tmp_path: Path) -> None:
    real = put(tmp_path / "elsewhere" / "a.gguf")
    (models / "link.gguf").symlink_to(real)
    (models / "folder").symlink_to(real.parent)
    assert found(models) == ["link.gguf", "folder/a.gguf"]
    assert len({file.inode for file in look(models).files}) == 1


def test_a_loop_of_links_ends(models: Path) -> None:
    put(models / "inside" / "a.gguf")
    (models / "inside" / "back").symlink_to(models)
    (models / "self").symlink_to(models / "self")
    (models / "self.gguf").symlink_to(models / "self.gguf")
    assert found(models) == ["inside/a.gguf"]


def test_a_link_to_nothing_is_a_problem(models: Path) -> None:
    (models / "a.gguf").symlink_to(models / "gone.gguf")
    assert "gone" in reasons(models)["a.gguf"]


def test_what_is_no_regular_file_is_not_opened(models: Path) -> None:
    os.mkfifo(models / "a.gguf")
    (models / "b.gguf").symlink_to("/dev/zero")
    assert found(models) == []
    assert set(reasons(models)) == {"a.gguf", "b.gguf"}


def test_a_folder_named_like_a_model_is_a_folder(models: Path) -> None:
    put(models / "a.gguf" / "b.gguf")
    assert found(models) == ["a.gguf/b.gguf"]


def test_a_folder_that_may_not_be_read_is_a_problem_and_the_rest_is_found(
    open_folder: Path,
) -> None:
    put(open_folder / "a.gguf")
    put(open_folder / "locked" / "b.gguf").parent.chmod(0)
    with without_privileges():
        assert found(open_folder) == ["a.gguf"]
        assert "permission denied" in reasons(open_folder)["locked"]
        assert "permission denied" in reasons(open_folder / "locked" / "deeper")["deeper"]


def test_a_file_that_may_not_be_read_is_a_problem_until_it_may(open_folder: Path) -> None:
    path = put(open_folder / "a.gguf")
    path.chmod(0)
    with without_privileges():
        assert "permission denied" in reasons(open_folder)["a.gguf"]
    path.chmod(0o644)
    with without_privileges():
        assert found(open_folder) == ["a.gguf"]


def test_only_a_folder_that_its_owner_named_is_missed(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert "no such file" in reasons(missing)["missing"]
    assert FolderSource(missing, named_by_owner=False).find() == Findings()


def test_the_home_of_nobody_is_a_folder_that_is_missing() -> None:
    (problem,) = FolderSource(Path("~nobody-of-that-name/models")).find().problems
    assert "no such file" in problem.reason


def test_a_file_in_place_of_a_folder_is_a_problem(models: Path) -> None:
    path = put(models / "a.gguf")
    assert "not a folder" in reasons(path)["a.gguf"]


def test_what_lies_too_deep_is_not_looked_for(models: Path) -> None:
    deepest = models.joinpath(*"abcdef")
    put(deepest / "a.gguf")
    put(deepest / "g" / "b.gguf")
    assert found(models) == ["a/b/c/d/e/f/a.gguf"]


def test_a_folder_without_end_is_read_in_part_and_said_so(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "ENTRIES_MAX", 10)
    for number in range(20):
        put(models / f"{number}.gguf")
    assert len(found(models)) == 10
    assert "too big" in reasons(models)["models"]


def test_a_folder_of_very_many_models_is_read_in_part_and_said_so(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "FILES_MAX", 5)
    for number in range(20):
        put(models / f"{number}.gguf")
    assert len(found(models)) == 5
    assert "too big" in reasons(models)["models"]


def test_odd_names_are_found_and_can_be_printed(models: Path) -> None:
    put(models / "模型 \u202e 7b\n\x1b[31m.gguf")
    (models / "broken\nlink.gguf").symlink_to("nowhere")
    assert len(found(models)) == 1
    assert look(models).problems[0].where.isprintable()


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS refuses names that are not UTF-8")
def test_a_name_that_is_not_utf8_is_found(models: Path) -> None:
    put(Path(os.fsdecode(os.fsencode(models) + b"/\xff\xfe.gguf")))
    assert len(found(models)) == 1
    os.symlink("nowhere", os.fsencode(models) + b"/\xfd.gguf")
    look(models).problems[0].where.encode()


def test_an_owners_note_names_the_file_beside_it_and_says_its_domains(models: Path) -> None:
    put(models / "a.gguf")
    put(models / "b.gguf")
    (models / "a.deskmesh.toml").write_text('name = "mine"\ndomains = ["Networking"]\n')
    (models / "b.deskmesh.toml").write_text("domains = 3\n")
    noted, broken = look(models).files
    assert (noted.names, noted.domains) == (("mine",), ("networking",))
    assert (broken.names, broken.domains) == ((), ())
    assert list(reasons(models)) == ["b.deskmesh.toml"]
