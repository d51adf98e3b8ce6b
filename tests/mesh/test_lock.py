"""One process of a kind a home."""

import os
from pathlib import Path

import pytest

from mesh.errors import InvalidRequest, ServiceError
from mesh.home import Home
from mesh.lock import only_one


def test_a_second_one_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with (
        only_one(home, "node"),
        pytest.raises(InvalidRequest, match=f"process {os.getpid()}"),
        only_one(home, "node"),
    ):
        raise AssertionError("two hold one lock")


def test_it_is_free_again_afterwards_and_others_are_not_in_its_way(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    for _ in range(2):
        with only_one(home, "node"), only_one(home, "coordinator"):
            pass


def test_a_home_that_cannot_be_written_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ServiceError, match="cannot write") as told,
        only_one(Home(tmp_path / "file" / "home"), "node"),
    ):
        raise AssertionError("there is no such folder")
    assert "DESKMESH_HOME" in told.value.hint
