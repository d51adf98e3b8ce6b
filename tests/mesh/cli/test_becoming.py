"""A service's command line without options: the service takes its place at once."""

import subprocess
import sys

import pytest

from mesh.cli.becoming import become

_PROGRAM = """
import sys

from mesh.platforms.here import HERE

def become(self, command, environment):
    print(*command[2:], "typer" in sys.modules)
    raise SystemExit

type(HERE).become = become
from mesh.cli.entry import main

main()
"""


@pytest.mark.parametrize(
    ("words", "becomes"),
    [
        (("coordinator",), "coordinator False"),
        (("node",), "node_agent False"),
        (("node", "--name", "desk"), "node_agent True"),
    ],
)
def test_only_options_wait_for_what_reads_them(words: tuple[str, ...], becomes: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == becomes


def test_a_python_that_may_not_be_started_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(SystemExit) as ended:
        become("coordinator", {})
    assert ended.value.code == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: cannot start /no/such/python: no such file or directory; ")
