"""The demonstration of a machine that dies mid-sentence shows it, and passes off nothing."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.network import why_not
from scripts.unplug.answer import Answer, what_is_wrong
from tests.whole.machine import ROOT

WITHIN_S = 300
OUTRUN = "a machine that was asked too, and gave nothing"


def answer(*pieces: str, machines: tuple[str, ...] = ("desk-1",)) -> Answer:
    attempts: list[dict[str, Any]] = [
        {"node_name": name, "usage": {"completion_tokens": 0 if name == OUTRUN else 1}}
        for name in machines
    ]
    got = Answer()
    got.take({"node": machines[0]})
    for number, text in enumerate(pieces):
        got.take({"text": text, "at_s": number * number / 10})
    got.take({"tokens": len(pieces), "receipt": {"attempts": attempts}})
    return got


WHOLE = answer("1", " 2", " 3")
MOVED = ("desk-1", "desk-2")


def test_an_answer_that_moved_and_is_the_undisturbed_one_is_whole() -> None:
    cut = answer("1", " 2", " 3", machines=MOVED)
    assert cut.text == "1 2 3"
    assert what_is_wrong(cut, WHOLE) == ""


@pytest.mark.parametrize(
    ("cut", "wrong"),
    [
        (answer("1", " 2", " 3"), "before its machine was killed"),
        (answer("1", " 2", " 3", machines=("desk-1", OUTRUN)), "before its machine was killed"),
        (answer("1", " 3", machines=MOVED), "2 tokens"),
        (answer("1", " 2", " 2", " 3", machines=MOVED), "4 tokens"),
        (answer("1", " 2", " 4", machines=MOVED), "another one"),
    ],
)
def test_any_other_answer_is_not(cut: Answer, wrong: str) -> None:
    assert wrong in what_is_wrong(cut, WHOLE)


def test_the_pause_is_the_longest_one_that_ended_after_the_machine_was_killed() -> None:
    cut = answer("1", " 2", " 3", " 4")  # at 0, 0.1, 0.4 and 0.9 s
    assert cut.pause_s(0.2) == pytest.approx(0.5)
    assert cut.pause_s(1.0) == 0.0


@pytest.mark.long
@pytest.mark.parametrize(
    "hosts",
    [pytest.param(True, marks=pytest.mark.skipif(bool(why_not()), reason=why_not())), False],
)
def test_the_sentence_ends_from_another_machine(hosts: bool, tmp_path: Path) -> None:
    # Without a path there is no command to make hosts with, and no browser.
    environment = {**os.environ, "PATH": os.environ["PATH"] if hosts else str(tmp_path)}
    command = [sys.executable, "-m", "scripts.unplug"]
    done = subprocess.run(
        command,
        check=False,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    where = "each a host of its own" if hosts else "each with a home of its own on this machine"
    assert where in done.stdout
    assert "identical to the undisturbed text: yes" in done.stdout
    assert "tokens lost: 0, repeated: 0" in done.stdout
    assert "node lost" in done.stdout
    assert "\x1b" not in done.stdout, "colour is for terminals"
    assert hosts or "No picture of the page" in done.stdout
