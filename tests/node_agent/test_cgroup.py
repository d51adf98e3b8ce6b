"""What Linux allows a process is read from its cgroup and those around it."""

import sys
from pathlib import Path

import pytest

from node_agent.cgroup import Allowance, allowance

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cgroups are Linux's")

GB = 1 << 30


def group(folder: Path, limit: str, used: int, pages: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    stat = f"anon 1\nactive_file {pages}\ninactive_file {pages}\n"
    (folder / "memory.stat").write_text(stat)


def read(root: Path, place: str) -> Allowance | None:
    own = root.parent / "own"
    own.write_text(f"1:name=systemd:/\n0::{place}\n")
    return allowance(root, own)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "cgroup").mkdir()
    return tmp_path / "cgroup"


def test_pages_of_files_are_free_for_whoever_needs_them(root: Path) -> None:
    group(root / "box", str(8 * GB), 6 * GB, pages=GB)
    assert read(root, "/box") == Allowance(8 * GB, 4 * GB)


def test_the_tightest_of_the_groups_around_it_counts(root: Path) -> None:
    group(root / "slice", str(4 * GB), 3 * GB)
    group(root / "slice" / "service", "max", GB)
    group(root / "slice" / "service" / "inner", str(8 * GB), GB)
    assert read(root, "/slice/service/inner") == Allowance(4 * GB, GB)


def test_no_limit_is_no_allowance(root: Path) -> None:
    group(root / "box", "max", GB)
    assert read(root, "/box") is None
    assert read(root, "/") is None


def test_in_a_container_the_path_may_be_that_of_its_host(root: Path) -> None:
    group(root, str(2 * GB), GB)
    assert read(root, "/docker/0123") == Allowance(2 * GB, GB)
    assert read(root, "/../../outside") == Allowance(2 * GB, GB)


def test_what_cannot_be_read_is_no_allowance(root: Path, tmp_path: Path) -> None:
    assert allowance(root, tmp_path / "missing") is None
    (root / "memory.max").write_text("nonsense")
    assert read(root, "/") is None


def test_this_very_process_can_be_asked() -> None:
    found = allowance()
    assert found is None or 0 <= found.free_bytes <= found.total_bytes
