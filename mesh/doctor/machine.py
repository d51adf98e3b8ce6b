"""The machine beneath: Python, the home, room on disk and in memory."""

import os
import platform
import shutil
import sys
from pathlib import Path

import psutil

from mesh.doctor.finding import Finding, failed, ok, warning
from mesh.home import Home

PYTHON_MIN = (3, 11)
PYTHON_TRIED_MAX = (3, 13)  # not every pinned package has wheels for later ones
DISK_BYTES_MIN = 200 << 20  # the ledger's journal and logs of some weeks
DISK_BYTES_WANTED = 5 << 30  # a model of 8 billion parameters at 4 bits, or an engine's build
MEMORY_BYTES_WANTED = 2 << 30  # the smallest models that are of use, and what serves them


def python() -> Finding:
    """The interpreter that runs us."""
    return judge_python(sys.version_info[:2], platform.python_version())


def judge_python(version: tuple[int, int], said: str) -> Finding:
    """Say whether deskmesh is at home on this Python."""
    if version < PYTHON_MIN:
        return failed("python", f"Python {said} is too old", "install Python 3.11 to 3.13")
    if version > PYTHON_TRIED_MAX:
        what = f"Python {said} is newer than what deskmesh is tried with"
        return warning("python", what, "use Python 3.11 to 3.13 if something fails to install")
    return ok("python", f"Python {said} on {platform.system()} {platform.machine()}")


def home(here: Home) -> Finding:
    """The folder that holds all of this machine's state."""
    root = here.root
    mend = f"give yourself the right to write there, or name another folder in {_VARIABLE}"
    parent = next((each for each in (root, *root.parents) if each.exists()), Path("/"))
    if not parent.is_dir():
        return failed("home", f"{parent} is not a folder", mend)
    if not os.access(parent, os.W_OK | os.X_OK):
        return failed("home", f"{parent} cannot be written", mend)
    return ok("home", str(root) if root.exists() else f"{root}, made when it is needed")


def disk(here: Home) -> Finding:
    """Room where the home is."""
    there = next((each for each in (here.root, *here.root.parents) if each.exists()), Path("/"))
    try:
        return judge_disk(shutil.disk_usage(there).free)
    except OSError as failure:
        what = f"{there} does not say how full it is: {failure.strerror}"
        return warning("disk", what, "see whether the drive is connected")


def judge_disk(free_bytes: int) -> Finding:
    """Say what so much room is enough for."""
    what = f"{_gigabytes(free_bytes)} free"
    if free_bytes < DISK_BYTES_MIN:
        return failed("disk", f"{what}: too little to keep the ledger", "make room")
    if free_bytes < DISK_BYTES_WANTED:
        return warning("disk", f"{what}: too little for another model", "make room for models")
    return ok("disk", what)


def memory() -> Finding:
    """Memory that programs can have now."""
    found = psutil.virtual_memory()
    return judge_memory(int(found.available), int(found.total))


def judge_memory(available_bytes: int, total_bytes: int) -> Finding:
    """Say whether a model fits beside what runs."""
    what = f"{_gigabytes(available_bytes)} of {_gigabytes(total_bytes)} available"
    if available_bytes < MEMORY_BYTES_WANTED:
        return warning("memory", f"{what}: small models only", "close what you do not need")
    return ok("memory", what)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


_VARIABLE = "DESKMESH_HOME"
