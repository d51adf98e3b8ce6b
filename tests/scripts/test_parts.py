"""The tests' own runner: what its parts come to."""

from pathlib import Path

import pytest

from scripts.test import FOLDERS, PARTS, Result, environment, exit_code, quick_folder, total

TESTS = Path(__file__).parents[1]


def ended(code: int, output: str) -> Result:
    return Result(("tests/whole",), code, output, took_s=61.4)


def test_each_folder_is_in_exactly_one_part() -> None:
    assert all((TESTS / folder).is_dir() for folder in FOLDERS)
    rest = PARTS[-1]
    assert {*rest} == {"tests", *(f"--ignore={part[0]}" for part in PARTS[:-1])}


@pytest.mark.parametrize(
    ("codes", "code"),
    [((0, 0), 0), ((0, 1), 1), ((5, 0), 0), ((5, 5), 5), ((5, 2), 2), ((0, -9), -9)],
)
def test_one_part_that_fails_fails_all_and_one_without_tests_does_not(
    codes: tuple[int, ...], code: int
) -> None:
    assert exit_code([ended(each, "") for each in codes]) == code


def test_the_last_line_adds_all_parts_up() -> None:
    said = total(
        [
            ended(1, "..F\n1 failed, 40 passed, 2 deselected in 61.21s (0:01:01)\n"),
            ended(1, "E\n2 passed, 1 error in 3.00s\n"),
        ]
    )
    assert said.endswith("All tests: 1 failed, 1 error, 42 passed, 2 deselected")
    assert "tests/whole 61 s" in said


def test_bytecode_is_kept_and_out_of_the_way_of_who_wants_none() -> None:
    kept = environment({"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/bin"})
    assert set(kept) == {"PATH", "PYTHONPYCACHEPREFIX"}
    assert environment({"PATH": "/bin"}) == {"PATH": "/bin"}


def test_without_a_folder_in_memory_files_go_where_they_always_went(tmp_path: Path) -> None:
    assert quick_folder(tmp_path / "none") is None
