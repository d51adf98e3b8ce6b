"""When somebody last touched this machine."""

import os
import pty
import sys
import time
from pathlib import Path

import pytest

from node_agent.touch import hid_idle_s, output_of, terminals_untouched_s, untouched_s


def test_macos_tells_in_nanoseconds() -> None:
    registry = b'  | |   "HIDIdleTime" = 1234567890\n  | |   "HIDPointerAcceleration" = 45056\n'
    assert hid_idle_s(registry) == pytest.approx(1.234567890)
    assert hid_idle_s(b"") is None


def test_a_terminal_that_was_typed_into_tells_when() -> None:
    ours, terminal = pty.openpty()
    try:
        name = os.ttyname(terminal)
        os.write(ours, b"ls\n")
        os.read(terminal, 10)
        told_s = terminals_untouched_s([name])
        assert told_s is not None
        assert told_s <= 60  # the kernel tells to 8 s, and this machine may be busy
        an_hour_ago_s = time.time() - 3600
        os.utime(name, (an_hour_ago_s, an_hour_ago_s))
        told_s = terminals_untouched_s([name])
        assert told_s is not None
        assert told_s > 3500
    finally:
        os.close(ours)
        os.close(terminal)


def test_a_machine_without_terminals_does_not_tell(tmp_path: Path) -> None:
    (tmp_path / "tty1").touch()  # a file is no terminal
    (tmp_path / "tty2").symlink_to("closed in the meantime")
    assert terminals_untouched_s([f"{tmp_path}/tty*"]) is None


async def test_this_machine_tells_or_it_does_not() -> None:
    told_s = await untouched_s()
    assert told_s is None or told_s >= 0.0


async def test_a_command_that_is_missing_or_hangs_tells_nothing() -> None:
    assert await output_of(("/no/such/program",)) == b""
    assert await output_of((sys.executable, "-c", "print('here')")) == b"here\n"
    hangs = (sys.executable, "-c", "import time; time.sleep(60)")
    assert await output_of(hangs, within_s=0.05) == b""
