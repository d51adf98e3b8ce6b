"""``deskmesh service``: what is written and run, and what is said where it cannot be."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mesh.cli import service
from mesh.errors import InvalidRequest, ServiceError
from mesh.home import Home
from mesh.platforms.linux import Linux

UNIT = Path(".config/systemd/user/deskmesh.service")
# Writes down how it was called; fails where the file of that name says so.
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$CALLS"
if [ -e "$CALLS.fail" ]; then echo "Failed to connect to bus" >&2; exit 1; fi
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The owner of a Linux machine with a ``systemctl``, whose calls are lines of this file."""
    monkeypatch.setattr(service, "HERE", Linux())
    monkeypatch.setenv("DESKMESH_HOME", str(tmp_path / "mesh"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    tool = tmp_path / "bin" / "systemctl"
    tool.parent.mkdir()
    tool.write_text(SYSTEMCTL)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/bin:/usr/bin")
    return tmp_path / "calls"


def run(*words: str) -> Any:
    commands = typer.Typer()
    service.register(commands)
    return CliRunner().invoke(commands, ["service", *words])


def test_it_is_installed_seen_and_removed(calls: Path, tmp_path: Path) -> None:
    assert run("status").exit_code == 1
    done = run("install", "--run", "coordinator")
    assert done.exit_code == 0, done.exception
    assert "journalctl --user -u deskmesh" in done.output
    text = (tmp_path / UNIT).read_text()
    assert '"mesh.cli.entry" "coordinator"' in text
    assert f'"DESKMESH_HOME={tmp_path / "mesh"}"' in text
    assert calls.read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable deskmesh.service",
        "--user restart deskmesh.service",
    ]
    seen = run("status", "--json")
    assert seen.exit_code == 0
    assert json.loads(seen.output) == {
        "installed": True,
        "running": True,
        "file": str(tmp_path / UNIT),
    }
    assert run("remove").exit_code == 0
    assert not (tmp_path / UNIT).exists()
    assert calls.read_text().splitlines()[-1] == "--user disable --now deskmesh.service"
    assert "nothing to remove" in run("remove").output


def test_settings_of_the_shell_are_told_to_be_left_out(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKMESH_PORTS__HTTP", "17780")
    assert (
        "not kept for the service: DESKMESH_PORTS__HTTP;"
        in run("show", "--run", "coordinator").stderr
    )
    monkeypatch.delenv("DESKMESH_PORTS__HTTP")
    assert "not kept" not in run("show", "--run", "coordinator").stderr


def test_what_the_system_says_of_a_failure_is_passed_on(calls: Path, tmp_path: Path) -> None:
    calls.with_name("calls.fail").touch()
    failed = run("install", "--run", "coordinator").exception
    assert isinstance(failed, ServiceError)
    assert "Failed to connect to bus" in failed.message
    assert not (tmp_path / UNIT).exists()


def test_a_machine_without_systemd_says_so(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(calls.parent))
    failed = run("install", "--run", "coordinator").exception
    assert isinstance(failed, ServiceError)
    assert "there is no systemctl on this machine" in failed.message
    assert "in the foreground" in failed.hint


def test_what_runs_is_what_the_machine_is_for(calls: Path) -> None:
    failed = run("show").exception
    assert isinstance(failed, InvalidRequest)
    assert "deskmesh join CODE" in failed.hint
    home = Home.find()
    (home.identity / "node").mkdir(parents=True)
    (home.identity / "node" / "certificate.pem").write_bytes(b"one")
    shown = run("show")
    assert '"mesh.cli.entry" "node"' in shown.output
    home.authority.mkdir()
    assert '"mesh.cli.entry" "up"' in run("show").output
    assert not calls.exists(), "nothing is done"
