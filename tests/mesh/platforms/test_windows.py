"""What of Windows can be tried elsewhere: what it decides, and what Python does alike."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mesh.platforms.here import platform_of
from mesh.platforms.interrupting import interrupted_after
from mesh.platforms.platform import Ended, OutOfTime
from mesh.platforms.windows import Windows

WINDOWS = Windows()


def test_each_system_has_its_platform() -> None:
    names = [platform_of(system).name for system in ("linux", "darwin", "win32", "freebsd14")]
    assert names == ["Linux", "macOS", "Windows", "Linux"]


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (0xC0000005, Ended.BAD_MEMORY),
        (0xC0000005 - (1 << 32), Ended.BAD_MEMORY),  # as a signed number
        (0xC0000006, Ended.LOST_FILE),
        (0xC000001D, Ended.BAD_INSTRUCTION),
        (0xC0000409, Ended.ABORTED),
        (0xC0000374, Ended.OTHER),
        (1, None),
        (0, None),
    ],
)
def test_an_exit_code_tells_what_ended_a_process(code: int, how: Ended | None) -> None:
    ending = WINDOWS.ending(code)
    assert (ending.how if ending else None) is how


def test_a_status_without_a_name_is_told_as_windows_writes_it() -> None:
    ending = WINDOWS.ending(0xC0000374)
    assert ending is not None
    assert ending.name == "status 0xC0000374"


def test_made_up_permission_bits_close_no_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"k")
    (tmp_path / "key").chmod(0o666)
    assert WINDOWS.open_to_others((tmp_path / "key").stat(), 0o077) == 0
    assert platform_of("linux").open_to_others((tmp_path / "key").stat(), 0o077) == 0o066


def test_a_cache_lies_where_programs_keep_what_they_can_fetch_again() -> None:
    user = Path("/people/ann")
    assert WINDOWS.llama_cpp_cache(user, {}) == user / "AppData" / "Local" / "llama.cpp"
    assert WINDOWS.llama_cpp_cache(user, {"LOCALAPPDATA": "/d"}) == Path("/d/llama.cpp")


def test_a_held_file_is_closed_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "node.lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    WINDOWS.remove_locked(descriptor, path)
    assert not path.exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    WINDOWS.remove_locked(os.open(os.devnull, os.O_RDONLY), path)  # another process has removed it


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(OSError, match="link is a link"):
        WINDOWS.open_plain(tmp_path / "link")


def test_a_process_ends_with_all_that_it_started() -> None:
    code = (
        "import subprocess, sys, time;"
        "c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(c.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        grandchild = psutil.Process(int(process.stdout.readline()))
        WINDOWS.kill_group(process.pid)
        process.wait(10)
        psutil.wait_procs([grandchild], 10)
        assert not grandchild.is_running()


def test_who_goes_on_as_another_program_ends_as_it_does() -> None:
    code = (
        "import os, sys; from mesh.platforms.windows import Windows\n"
        "program = 'import os, sys; sys.exit(int(os.environ[\"N\"]))'\n"
        "Windows().become([sys.executable, '-c', program], os.environ | {'N': '7'})\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7


def test_the_end_of_input_is_heard() -> None:
    code = (
        "import asyncio\nfrom mesh.platforms.windows import Windows\n"
        "async def main():\n"
        "    ended = asyncio.Event()\n"
        "    await Windows().hear_end_of_input(ended.set)\n"
        "    await ended.wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(b"what is said is of no interest\n")
        process.stdin.flush()
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(20) == 0


def test_a_line_comes_or_does_not() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream:
        os.write(writing, b"one\n")
        assert WINDOWS.line_within(stream, 5.0) == b"one\n"
        assert WINDOWS.line_within(stream, 0.01) == b""
        os.close(writing)
        time.sleep(0.05)  # the reader that was left has the end of the pipe then


def test_a_block_that_runs_too_long_is_interrupted_and_no_other_is() -> None:
    def compute(for_s: float) -> None:
        until_s = time.monotonic() + for_s
        while time.monotonic() < until_s:
            pass

    with pytest.raises(OutOfTime), interrupted_after(0.02):
        compute(60)
    with interrupted_after(0.02):
        compute(0)
    compute(0.06)
