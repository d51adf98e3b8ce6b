"""Every file keeps to the habits of ``CONTRIBUTING.md``, and each habit can be broken."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tests.tidy.habits import broken_by_python, broken_by_source, broken_by_text
from tests.tidy.tree import ROOT, files, ignored_names, sources, texts

Habit = Callable[[Path, str], Iterator[str]]

LONG_FUNCTION = '"""Doc."""\ndef f():\n' + "    pass\n" * 70
BREAKING: list[tuple[Habit, str, str, str]] = [
    (broken_by_text, "mesh/utils.py", "", "is a drawer: name it for the one idea in it"),
    (broken_by_text, "mesh/a.py", "x = 1  # TO" + "DO: later", "line 1 leaves something open"),
    (
        broken_by_text,
        "docs/a.md",
        "\ncd /ho" + "me/ann/x",
        "line 2 names a path of somebody's machine",
    ),
    (broken_by_text, "a.txt", "https://py" + "pi.org/simple", "line 1 names a package registry"),
    (broken_by_source, "protos/a.proto", "\n" * 401, "has 401 lines, more than 400"),
    (broken_by_python, "mesh/a.py", "x = 1", "has no docstring that says what it is for"),
    (broken_by_python, "mesh/a.py", LONG_FUNCTION, "f() has 71 lines, more than 70"),
    (
        broken_by_python,
        "mesh/a.py",
        '"""Doc."""\ntry:\n    f()\nexcept Exception:\n    pass',
        "line 4 swallows every error",
    ),
    (
        broken_by_python,
        "mesh/client.py",
        '"""Doc."""\nprint(1)',
        "line 2 prints: raise, return or log instead",
    ),
]
KEEPING: list[tuple[Habit, str, str]] = [
    (
        broken_by_text,
        "docs/a.md",
        "~/.cache/deskmesh, /usr/bin/env, a/work/b and https://host/root/",
    ),
    (broken_by_source, "mesh/a.py", "\n" * 400),
    (broken_by_python, "mesh/cli/a.py", '"""Doc."""\nprint(1)'),
    (broken_by_python, "mesh/a.py", '"""Doc."""\ntry:\n    f()\nexcept KeyError:\n    pass'),
    (broken_by_python, "mesh/__init__.py", ""),
]


@pytest.mark.parametrize(("habit", "path", "text", "wrong"), BREAKING)
def test_a_broken_habit_is_seen(habit: Habit, path: str, text: str, wrong: str) -> None:
    assert list(habit(Path(path), text)) == [wrong]


@pytest.mark.parametrize(("habit", "path", "text"), KEEPING)
def test_a_kept_habit_is_let_through(habit: Habit, path: str, text: str) -> None:
    assert list(habit(Path(path), text)) == []


def test_every_text_keeps_the_habits_of_texts() -> None:
    assert broken(broken_by_text, texts()) == {}


def test_every_source_is_short() -> None:
    assert broken(broken_by_source, sources(".py", ".pyi", ".proto", ".sh", ".js", ".css")) == {}


def test_every_python_source_keeps_the_habits_of_python() -> None:
    assert broken(broken_by_python, sources(".py")) == {}


def test_a_reader_finds_the_documents_where_they_are_looked_for() -> None:
    documents = ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")
    expected = {*(Path(f"{name}.md") for name in documents), Path("LICENSE")}
    assert expected - set(files()) == set()


def test_the_walk_sees_what_git_would_see() -> None:
    assert {Path("Makefile"), Path(".ci/run"), Path("mesh/v1/fleet_pb2.py")} <= set(files())
    assert not any(path.parts[0] in (".git", ".venv", "build") for path in files())
    # The walk reads .gitignore as plain names; a pattern that means more would be misread.
    assert not [name for name in ignored_names() if name.startswith("!") or "/" in name]


def test_the_licence_is_the_one_that_the_project_names() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def broken(habit: Habit, written: Iterable[tuple[Path, str]]) -> dict[str, list[str]]:
    found = {str(path): list(habit(path, text)) for path, text in written}
    return {path: wrong for path, wrong in found.items() if wrong}
