"""One process of a kind a home."""

import os
from pathlib import Path

import pytest

from mesh.errors import InvalidRequest
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
