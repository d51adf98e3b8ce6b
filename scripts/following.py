"""Runs one slow command out of sight, and says how far it is while it runs."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

QUIET_S = 20.0  # between two lines where no terminal shows a line that changes in place
LOOK_EVERY_S = 0.5
TAIL_LINES = 30  # enough for a compiler's first complaint and what pip says of it
STEP = re.compile(rb"^ *\[(\d+)/(\d+)\]", re.MULTILINE)  # how ninja counts its steps


class SetupError(Exception):
    """The setup can't go on; ``hint`` says what to do."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Errand:
    """A slow command, and the words around it."""

    what: str  # the part of the setup that it belongs to
    doing: str  # shown while it runs
    command: Sequence[str]
    hint: str  # what to do should it fail


def follow(errand: Errand, *, log: Path, env: Mapping[str, str]) -> float:
    """Run ``errand`` to its end with all of its output in ``log``; return the seconds it took.

    While it runs, one line says how far it is, or without a terminal a new line every 20 s.

    Raises:
        SetupError: it failed; the end of its output was printed.
    """
    began_s = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(errand.command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            start_new_session=True,  # a group of its own, so that all it started ends with it
        )
    try:
        _show_until_done(process, errand, log)
    finally:
        if process.poll() is None:
            _end(process)
    if process.returncode != 0:
        _show_end_of(log)
        raise SetupError(
            f"{errand.what} failed ({errand.doing}); all of its output is in {log}",
            hint=errand.hint,
        )
    return time.monotonic() - began_s


def say(what: str, outcome: str) -> None:
    """Print one line of the setup, over the changing line if there is one."""
    print(f"{_line_start()}  {what:<12} {outcome}", flush=True)


def seconds(duration_s: float) -> str:
    """Return a duration as people say it: ``0.4 s``, ``12 s``, ``3 min 20 s``."""
    if duration_s < 10:
        return f"{duration_s:.1f} s"
    minutes, rest = divmod(round(duration_s), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def share_done(output: bytes) -> float | None:
    """Return the share of ninja's steps that ``output`` ends at, in [0, 1]; None without any."""
    steps = STEP.findall(output)
    if not steps:
        return None
    done, total = (int(number) for number in steps[-1])
    return done / total if total else None


def _show_until_done(process: subprocess.Popen[bytes], errand: Errand, log: Path) -> None:
    began_s = shown_s = time.monotonic()
    share: float | None = None
    with log.open("rb") as output:
        while True:
            try:
                process.wait(timeout=LOOK_EVERY_S)
                return
            except subprocess.TimeoutExpired:
                share = share_done(output.read()) or share
            now_s = time.monotonic()
            line = f"{errand.doing}, {'' if share is None else f'{share:.0%} after '}"
            line += seconds(now_s - began_s)
            if sys.stdout.isatty():
                print(f"{_line_start()}  {errand.what:<12} {line}", end="", flush=True)
            elif now_s - shown_s >= QUIET_S:
                say(errand.what, line)
                shown_s = now_s


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the command and all that it started, and wait until it is gone."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sent)
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            process.wait()
        return


def _show_end_of(log: Path) -> None:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    print(_line_start() + "".join(f"  | {line}\n" for line in lines), end="", flush=True)


def _line_start() -> str:
    return "\r\x1b[2K" if sys.stdout.isatty() else ""
