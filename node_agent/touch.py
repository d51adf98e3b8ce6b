"""When somebody last typed, or moved a mouse, at this machine. A reader for each platform."""

import asyncio
import ctypes
import os
import re
import stat
import sys
import time
from collections.abc import Sequence
from glob import glob

from mesh.platforms.platform import Elsewhere

READ_WITHIN_S = 2.0  # ioreg takes some 20 ms; one that hangs costs us a sign, no more

_TERMINALS = ("/dev/tty[0-9]*", "/dev/pts/[0-9]*")  # the machine's own, and windows' and SSH's
_IOREG = ("/usr/sbin/ioreg", "-c", "IOHIDSystem", "-d", "4")
_HID_IDLE = re.compile(rb'"HIDIdleTime" = (\d+)')


async def untouched_s() -> float | None:
    """Return the seconds since then; None: the platform does not tell."""
    if sys.platform == "darwin":
        return hid_idle_s(await output_of(_IOREG))
    if sys.platform == "win32":
        return _last_input_s()
    return await asyncio.to_thread(terminals_untouched_s, _TERMINALS)


def hid_idle_s(registry: bytes) -> float | None:
    """Return it as macOS has it in its I/O registry, in nanoseconds."""
    found = _HID_IDLE.search(registry)
    return int(found[1]) / 1e9 if found else None


def _last_input_s() -> float | None:
    """Return it as Windows tells a session's own programs: by ``GetLastInputInfo``."""
    if sys.platform != "win32":
        raise Elsewhere
    told = (ctypes.c_uint * 2)(ctypes.sizeof(ctypes.c_uint) * 2, 0)  # LASTINPUTINFO: size, ticks
    if not ctypes.windll.user32.GetLastInputInfo(ctypes.byref(told)):
        return None
    return ticks_between_s(told[1], ctypes.windll.kernel32.GetTickCount())


def ticks_between_s(then: int, now: int) -> float:
    """Return the seconds between two readings of a millisecond counter of 32 bits."""
    return ((now - then) & 0xFFFFFFFF) / 1000


def terminals_untouched_s(patterns: Sequence[str]) -> float | None:
    """Return the seconds since anything was typed into a terminal, found as ``w`` does.

    Linux lets us read of no other touch: a graphical session shows in its terminals only. Good to
    8 seconds, as the kernel tells no more, so that nobody can time keystrokes by it.
    """
    read_s = [
        status.st_atime
        for pattern in patterns
        for name in glob(pattern)
        if (status := _terminal(name)) is not None
    ]
    return max(0.0, time.time() - max(read_s)) if read_s else None


def _terminal(name: str) -> os.stat_result | None:
    try:
        status = os.stat(name)
    except OSError:  # it was closed in the meantime
        return None
    return status if stat.S_ISCHR(status.st_mode) else None


async def output_of(command: Sequence[str], within_s: float = READ_WITHIN_S) -> bytes:
    """Return what a command writes; b"" if there is none such, or it takes too long."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return b""
    try:
        async with asyncio.timeout(within_s):
            output, _ = await process.communicate()
    except TimeoutError:
        return b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output
