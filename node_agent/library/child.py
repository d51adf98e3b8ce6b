"""Describe a model file in a short-lived child: the parent's side."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from pathlib import Path

import node_agent
from mesh.platforms.here import HERE
from node_agent.library.description import ChildLine, Description, Fault, Outcome, Rejection
from node_agent.library.found import FoundFile
from node_agent.library.known_architectures import FOLDER_VARIABLE

MODULE = "node_agent.library.describe"
MEMORY_BYTES = 512 << 20  # 13 times what a vocabulary of 152,000 tokens needs (measured: 38 MB)
START_S = 30.0  # Python and numpy start in 0.4 s; a busy machine at the lowest priority needs more
HASH_BYTES_PER_S = 20e6  # a slow USB disk; a laptop's own gives 50 times that
LINE_BYTES_MAX = 64 << 10  # four times the longest answer that passes the checks
LINES_MAX = 10_000  # a line each 256 MiB: no file has 2.5 TB
IMPORT_ROOT = Path(node_agent.__file__).absolute().parent.parent  # `-m` finds packages from there
# What Python and its loader need. The rest of the environment may hold secrets.
ENVIRONMENT = (
    "PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "PYTHONHOME", "PYTHONPATH",
    "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "__PYVENV_LAUNCHER__", FOLDER_VARIABLE,
)  # fmt: skip


async def describe_in_child(file: FoundFile, on_progress: Callable[[int], None]) -> Outcome:
    """Return what the child says of ``file``; calls ``on_progress`` with bytes hashed so far.

    Whatever the child does, this returns within ``START_S`` plus a time in proportion to the size,
    with the child gone. Cancelling it ends the child as well.
    """
    limit_s = START_S + file.size_bytes / HASH_BYTES_PER_S
    try:
        child = await _start(file.paths)
    except OSError as failure:
        return Rejection(
            fault=Fault.AGAIN,
            reason=f"no process could be started to read it: {failure.strerror}",
        )
    try:
        async with asyncio.timeout(limit_s):
            outcome = await _answer(child, on_progress)
    except TimeoutError:
        outcome = Rejection(
            fault=Fault.AGAIN,
            reason=f"reading it took longer than {limit_s:.0f} s, so it was ended",
        )
    finally:
        await _end(child)
    if isinstance(outcome, Description) and _replaced(file, outcome):
        return Rejection(
            fault=Fault.CHANGING,
            reason="was replaced while it was read; it is looked at again once it rests",
        )
    return outcome


async def _start(paths: Sequence[Path]) -> Process:
    needed = (*ENVIRONMENT, *HERE.environment_needed)
    environment = {name: os.environ[name] for name in needed if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", MODULE, "--memory-bytes", str(MEMORY_BYTES), "--", *paths,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd=IMPORT_ROOT,
        env=environment,
        limit=LINE_BYTES_MAX,
    )  # fmt: skip


async def _answer(child: Process, on_progress: Callable[[int], None]) -> Outcome:
    assert child.stdout is not None
    for _ in range(LINES_MAX):
        try:
            line = ChildLine.model_validate_json(await child.stdout.readline() or b"{}")
        except ValueError:  # not the JSON we expect, or a longer line than any of ours
            return _misbehaved("said what no reader says")
        if line.progress_bytes is not None:
            on_progress(line.progress_bytes)
        elif answer := line.description or line.rejection:
            return answer
        else:
            return _misbehaved(_how_it_ended(await child.wait()))
    return _misbehaved("never came to an end")


def _misbehaved(how: str) -> Rejection:
    reason = f"the process that read it {how}; run `python -m {MODULE} FILE` to see why"
    return Rejection(fault=Fault.AGAIN, reason=reason)


def _how_it_ended(status: int) -> str:
    ending = HERE.ending(status)
    if ending is None:
        return f"ended with status {status} and no answer"
    return f"was killed by {ending.name}"


async def _end(child: Process) -> None:
    """Leave no process and no open pipe, also when we are cancelled."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # it may end by itself in this moment
            child.kill()
    await child.communicate()  # at most what a pipe holds: the process is dead


def _replaced(file: FoundFile, description: Description) -> bool:
    read = (description.size_bytes, description.mtime_ns)
    return read != (file.stamp.size_bytes, file.stamp.mtime_ns)
