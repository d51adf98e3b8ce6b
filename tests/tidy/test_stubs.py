"""The committed stubs are what the committed protos give, and stale ones are noticed offline."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.protos import PIN, PROTOS, RECORD, STUBS, stale_files
from tests.tidy.tree import ROOT

FLEET = Path("protos/mesh/v1/fleet.proto")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in (PROTOS, STUBS):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / PIN).parent.mkdir()
    shutil.copyfile(ROOT / PIN, tmp_path / PIN)
    return tmp_path


def test_the_stubs_are_current() -> None:
    assert stale_files(ROOT) == [], "run `make protos`"


@pytest.mark.parametrize("path", [FLEET, PIN, Path("mesh/v1/fleet_pb2.py")])
def test_a_change_of_a_proto_the_compiler_or_a_stub_is_noticed(copy: Path, path: Path) -> None:
    before = stale_files(copy)
    (copy / path).write_text("changed", encoding="utf-8")
    assert stale_files(copy) == sorted({*before, path})


def test_a_new_and_a_removed_proto_are_noticed(copy: Path) -> None:
    (copy / FLEET).rename(copy / FLEET.with_stem("renamed"))
    assert {FLEET, FLEET.with_stem("renamed")} <= set(stale_files(copy))


def test_stubs_without_a_record_are_stale(copy: Path) -> None:
    (copy / RECORD).unlink()
    assert FLEET in stale_files(copy)


def test_the_stubs_load_without_a_warning() -> None:
    stubs = [f"mesh.v1.{path.stem}" for path in sorted((ROOT / STUBS).glob("*_pb2*.py"))]
    assert len(stubs) == 2 * len(list((ROOT / PROTOS).rglob("*.proto")))
    subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {', '.join(stubs)}"], cwd=ROOT, check=True
    )
