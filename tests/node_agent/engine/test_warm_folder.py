"""Saved states take no more room than they may, and are gone after a day."""

import os
from pathlib import Path

import pytest

from node_agent.engine.warm_folder import AGE_S_MAX, UNFINISHED_S_MAX, WarmFolder

NOW_S = 1_800_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> WarmFolder:
    return WarmFolder(tmp_path, 1000)


def put(folder: WarmFolder, name: str, *, age_s: float, size_bytes: int = 300) -> Path:
    path = folder.path / name
    path.write_bytes(b"x" * size_bytes)
    os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    return path


def test_the_oldest_leaves_first_whosever_it_is(folder: WarmFolder) -> None:
    old, newer = put(folder, "a.1.warm", age_s=20), put(folder, "b.1.warm", age_s=10)
    newest = put(folder, "a.2.warm", age_s=5)
    with folder.written("c", "1", 300) as path:
        path.write_bytes(b"y" * 300)
    assert not old.exists()
    assert newer.exists()
    assert newest.exists()
    assert [each.name for each in folder.files("c")] == ["c.1.warm"]
    assert folder.files("a") == [newest]


def test_what_can_never_fit_is_not_written_and_costs_nobody_room(folder: WarmFolder) -> None:
    kept = put(folder, "a.1.warm", age_s=20)
    with pytest.raises(OSError, match="larger"), folder.written("c", "1", 1001):
        raise AssertionError("it was begun")
    assert list(folder.path.iterdir()) == [kept]


def test_what_was_not_finished_leaves_nothing(folder: WarmFolder) -> None:
    def write() -> None:
        with folder.written("c", "1", 10) as path:
            path.write_bytes(b"half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        write()
    assert list(folder.path.iterdir()) == []


def test_a_file_is_found_by_nobody_while_it_is_used_nor_after(folder: WarmFolder) -> None:
    path = put(folder, "a.1.warm", age_s=1)
    with folder.taken(path) as taken:
        assert taken.read_bytes() == b"x" * 300
        assert folder.files("a") == []
    assert list(folder.path.iterdir()) == []


def test_a_days_old_file_goes_and_so_does_one_of_the_future(folder: WarmFolder) -> None:
    put(folder, "a.1.warm", age_s=AGE_S_MAX + 1)
    put(folder, "a.2.warm", age_s=-3600)
    put(folder, "a.3.part", age_s=UNFINISHED_S_MAX + 1)
    kept = {put(folder, "a.4.warm", age_s=AGE_S_MAX - 1), put(folder, "a.5.part", age_s=1)}
    folder.tidy(NOW_S)
    assert set(folder.path.iterdir()) == kept


def test_all_goes_once_nothing_may_be_kept(folder: WarmFolder) -> None:
    put(folder, "a.1.warm", age_s=1)
    put(folder, "a.2.part", age_s=1)
    other = put(folder, "notes.txt", age_s=1)
    WarmFolder(folder.path, 0).tidy(NOW_S)
    assert list(folder.path.iterdir()) == [other]
    WarmFolder(folder.path / "never made", 0).tidy(NOW_S)
