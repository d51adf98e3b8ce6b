"""The tests' own runner: what its parts come to."""

from pathlib import Path

import pytest

from scripts.test import (
    FOLDERS,
    PARTS,
    UNSTEADY_MAX,
    Result,
    environment,
    exit_code,
    quick_folder,
    run,
    total,
    tried_again,
)

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
            ended(1, "E\n2 passed, 1 error in 3.00s\nException ignored in: 7 things\n"),
        ]
    )
    assert said.endswith("All tests: 1 failed, 1 error, 42 passed, 2 deselected")
    assert "tests/whole 61 s" in said


SECOND_TRY = """
import pathlib
def test_second_try():
    tried = pathlib.Path(__file__).with_suffix(".tried")
    before = tried.exists()
    tried.touch()
    assert before
def test_first_try(): pass
"""


def test_a_test_that_passes_alone_is_unsteady_and_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_it.py").write_text(SECOND_TRY)
    first = run(("test_it.py",), (), tmp_path)
    assert first.code == 1
    (failed,) = first.failed
    assert failed.endswith("test_it.py::test_second_try")
    assert tried_again([first, ended(0, "")], (), tmp_path) == (failed,)
    assert exit_code([first, ended(0, "")]) == 1, "it has failed all the same"


def test_a_test_that_fails_alone_too_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_it.py").write_text("def test_never(): assert False\n")
    first = run(("test_it.py",), (), tmp_path)
    assert first.failed
    assert tried_again([first], (), tmp_path) == ()


def test_many_that_fail_and_a_run_that_broke_off_are_no_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "test_it.py"
    path.write_text("def test_fine(): pass\n")
    many = tuple(f"{path}::test_fine" for _ in range(UNSTEADY_MAX + 1))
    assert tried_again([Result(("x",), 1, "", 1.0, many)], (), tmp_path) == ()
    failed = Result(("x",), 1, "", 1.0, many[:1])
    assert tried_again([failed, ended(2, "")], (), tmp_path) == ()
    assert tried_again([failed, ended(0, "")], (), tmp_path) == many[:1]


def test_bytecode_is_kept_and_out_of_the_way_of_who_wants_none() -> None:
    kept = environment({"PYTHONDONTWRITEBYTECODE": "1", "PATH": "/bin"})
    assert set(kept) == {"PATH", "PYTHONPYCACHEPREFIX"}
    assert environment({"PATH": "/bin"}) == {"PATH": "/bin"}


def test_without_a_folder_in_memory_files_go_where_they_always_went(tmp_path: Path) -> None:
    assert quick_folder(tmp_path / "none") is None
