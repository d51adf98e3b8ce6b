"""How each platform is told to run a program at log-in, read back as that platform reads it."""

import os
import plistlib
import shlex
import subprocess
from configparser import ConfigParser
from dataclasses import replace
from pathlib import Path
from shutil import which
from xml.etree import ElementTree

import pytest

from mesh.platforms.linux import Linux
from mesh.platforms.macos import MacOS
from mesh.platforms.service import Service
from mesh.platforms.windows import Windows

ODD = '/srv/O"Brien & söhne/100% $HOME/python'
SERVICE = Service(
    command=(ODD, "-P", "-m", "mesh.cli.entry", "node", "--name", "50% of $HOME"),
    environment={"DESKMESH_HOME": "/srv/a b/50%"},
    caller={"USERDOMAIN": "DESK", "USERNAME": "ann & bob"},
    log=Path("/srv/a b/service.log"),
    user=Path("/people/ann"),
    user_id=501,
)


def as_systemd_reads(value: str) -> list[str]:
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(value)]


def test_systemd_runs_the_command_and_again_where_it_fails() -> None:
    steps = Linux().service(SERVICE)
    unit = ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(steps.text)
    assert as_systemd_reads(unit["Service"]["ExecStart"]) == [*SERVICE.command]
    assert as_systemd_reads(unit["Service"]["Environment"]) == ["DESKMESH_HOME=/srv/a b/50%"]
    assert unit["Service"]["Restart"] == "on-failure"
    assert unit["Install"]["WantedBy"] == "default.target"
    assert steps.file == Path("/people/ann/.config/systemd/user/deskmesh.service")


def test_systemd_files_lie_where_their_owner_has_such_files() -> None:
    steps = Linux().service(replace(SERVICE, caller={"XDG_CONFIG_HOME": "/etc/mine"}))
    assert steps.file == Path("/etc/mine/systemd/user/deskmesh.service")


@pytest.mark.skipif(which("systemd-analyze") is None, reason="no systemd on this machine")
def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    odd = tmp_path / "50% $HOME"
    odd.symlink_to("/bin/true")
    steps = Linux().service(replace(SERVICE, command=(str(odd), *SERVICE.command[1:])))
    file = tmp_path / steps.file.name
    file.write_text(steps.text)
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    said = [line for line in done.stderr.splitlines() if file.name in line]  # others' units as well
    assert (done.returncode, said) == (0, [])


def test_launchd_runs_the_command_and_again_where_it_fails() -> None:
    steps = MacOS().service(SERVICE)
    agent = plistlib.loads(steps.text.encode())
    assert agent["ProgramArguments"] == list(SERVICE.command)
    assert agent["EnvironmentVariables"] == dict(SERVICE.environment)
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["StandardErrorPath"] == "/srv/a b/service.log"
    assert steps.file == Path(f"/people/ann/Library/LaunchAgents/{agent['Label']}.plist")
    assert steps.install[-1].words == ("launchctl", "bootstrap", "gui/501", str(steps.file))
    assert steps.status.words[-1] == f"gui/501/{agent['Label']}"


def test_task_scheduler_runs_the_command_for_its_owner_alone_and_without_an_end() -> None:
    steps = Windows().service(SERVICE)
    task = ElementTree.fromstring(steps.text.encode(steps.encoding))
    found = {each.tag.rpartition("}")[2]: each.text or "" for each in task.iter()}
    assert found["UserId"] == "DESK\\ann & bob"
    assert found["ExecutionTimeLimit"] == "PT0S"
    assert found["StopIfGoingOnBatteries"] == "false"
    assert found["Command"] == "cmd.exe"
    program = subprocess.list2cmdline(SERVICE.command)
    assert found["Arguments"] == (
        f'/d /s /c "set "DESKMESH_HOME=/srv/a b/50%" && {program} >> "{SERVICE.log}" 2>&1"'
    )


@pytest.mark.parametrize("platform", [Linux(), MacOS(), Windows()])
def test_what_is_installed_can_be_seen_and_removed(platform: Linux | MacOS | Windows) -> None:
    steps = platform.service(SERVICE)
    assert steps.install
    assert not steps.install[-1].may_fail, "whether it began must be known"
    assert all(step.may_fail for step in steps.remove), "it may have ended by itself"
    assert steps.status.words[0] == steps.install[-1].words[0]
