"""``deskmesh route check`` reads a file of rules before a coordinator has to."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mesh.cli import route
from mesh.errors import InvalidRequest

GOOD = '[[rules]]\nname = "one"\nforbid = "cloud"\n'


def check(*words: str) -> Any:
    commands = typer.Typer()
    route.register(commands)
    return CliRunner().invoke(commands, ["route", "check", *words])


def test_a_file_that_can_be_read_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    assert check(str(file)).stdout == f"{file}: 1 rule\n"
    assert json.loads(check(str(file), "--json").stdout)["rules"] == ["one"]


def test_without_a_name_it_is_this_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKMESH_HOME", str(tmp_path))
    assert check().stdout == f"{tmp_path / 'rules.toml'}: 0 rules\n"
    (tmp_path / "rules.toml").write_text(GOOD)
    assert check().stdout == f"{tmp_path / 'rules.toml'}: 1 rule\n"


@pytest.mark.parametrize("content", [None, GOOD.replace("forbid", "forbit")])
def test_a_mistake_and_a_missing_file_are_failures(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_text(content)
    failed = check(str(file)).exception
    assert isinstance(failed, InvalidRequest)
    assert str(file) in failed.message
