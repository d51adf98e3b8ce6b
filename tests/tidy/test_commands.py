"""The commands that documents promise exist, and say what they do."""

import re
import shutil
import subprocess

import pytest

from tests.tidy.tree import ROOT, files, texts

PROMISED = (
    "demo",
    "demo-unplug",
    "up",
    "test",
    "test-long",
    "lint",
    "bench",
    "protos",
    "requirements",
)
COMMAND = re.compile(r"`make ([a-z-]+)|^(?:\$ )?make ([a-z-]+)(?=$|  | [A-Z]+=)", re.MULTILINE)
MAKE = shutil.which("make") or "make"


def targets() -> list[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)


def test_make_alone_lists_every_command() -> None:
    listed = subprocess.run([MAKE], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(PROMISED) <= set(targets())
    assert all(re.search(rf"^  {target} +\S", listed, re.MULTILINE) for target in targets())


def test_every_make_command_that_a_document_names_exists() -> None:
    named = {
        (str(path), quoted or alone)
        for path, text in texts()
        if path.suffix == ".md"
        for quoted, alone in COMMAND.findall(text)
    }
    assert {pair for pair in named if pair[1] not in targets()} == set()
    assert ("CONTRIBUTING.md", "test") in named


def test_every_file_that_contributing_names_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`([\w./-]+)`", text) if "/" in name}
    assert named, "the pattern finds no file"
    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("script", ["scripts/find-python", ".ci/run"])
def test_scripts_parse_and_can_be_run(script: str) -> None:
    shell = "bash" if script == ".ci/run" else "sh"
    subprocess.run([shell, "-n", script], cwd=ROOT, check=True)
    assert (ROOT / script).stat().st_mode & 0o100, "not executable"


def test_no_committed_file_is_bigger_than_a_clone_should_carry() -> None:
    # The test models have limits of their own: tests/models/test_model_file.py.
    big = [path for path in files() if (ROOT / path).stat().st_size > 2_000_000]
    assert [path for path in big if not path.match("models/*.gguf")] == []
