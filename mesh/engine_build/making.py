"""Compiles the engine's wheel from its pinned source, and tells how far it has come."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from mesh.errors import InternalError, InvalidRequest
from mesh.platforms.here import HERE

PACKAGE = "llama-cpp-python"
BUILDS_WITHIN_S = 4 * 3600.0  # CUDA on a small machine; whoever waits longer has another problem
LINES_KEPT = 20  # of a build that failed: the compiler's error is among the last
_STEP = re.compile(r"\[(\d{1,5})/(\d{1,5})\]")  # as ninja counts
_PIN = re.compile(r"\s*llama-cpp-python\s*==\s*([0-9][0-9A-Za-z.]*)")


def pinned_version(distribution: str = "deskmesh") -> str:
    """Return the version that this deskmesh is made for.

    Raises:
        InternalError: this installation does not say.
    """
    for wanted in metadata.requires(distribution) or ():
        if found := _PIN.match(wanted):
            return found[1]
    raise InternalError(
        f"this deskmesh does not say which {PACKAGE} it needs", hint="install it again"
    )


def build_wheel(cmake_args: Sequence[str], folder: Path, told: Callable[[int, int], None]) -> Path:
    """Compile the pinned engine into a wheel in ``folder``, and return the wheel.

    Args:
        told: hears how many of how many steps are done.

    Raises:
        InvalidRequest: the build failed, or there is no pip; says what the build said last.
    """
    command = [
        *(sys.executable, "-m", "pip", "wheel", f"{PACKAGE}=={pinned_version()}"),
        *("--no-deps", "--no-cache-dir", "--no-binary", PACKAGE, "--no-input", "--verbose"),
        *("--disable-pip-version-check", "--wheel-dir", str(folder)),
    ]
    last: deque[str] = deque(maxlen=LINES_KEPT)
    environment = {**os.environ, "CMAKE_ARGS": " ".join(cmake_args), "FORCE_CMAKE": "1"}
    with subprocess.Popen(  # noqa: S603 - our own interpreter, and words of ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        **HERE.apart,  # so that compilers end with it
    ) as building:
        late = threading.Timer(BUILDS_WITHIN_S, _end, (building,))
        late.start()
        try:
            assert building.stdout is not None
            for line in building.stdout:
                last.append(line.rstrip()[:500])
                if step := _STEP.search(line):
                    told(int(step[1]), int(step[2]))
            code = building.wait()
        finally:
            late.cancel()
            _end(building)
    wheels = sorted(folder.glob("*.whl"))
    if code or not wheels:
        raise InvalidRequest(
            f"the engine was not built (pip ended with {code}):\n" + "\n".join(last),
            hint="the engine that was there is as it was",
        )
    return wheels[0]


def _end(building: "subprocess.Popen[str]") -> None:
    """End a build and all that it has started; one that has ended is left alone."""
    if building.poll() is None:
        HERE.kill_group(building.pid)


def put_in_place(wheel: Path) -> None:
    """Install the wheel over the engine of this environment, with none of its dependencies.

    Raises:
        InvalidRequest: pip refused.
    """
    done = subprocess.run(  # noqa: S603 - as above
        [
            *(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-input"),
            *("--force-reinstall", "--disable-pip-version-check", str(wheel)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise InvalidRequest("pip did not install the engine: " + "; ".join(told))


def why_no_pip() -> str:
    """Return what is to be done where this environment has no pip; "" where it has."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return f"{sys.executable} -m ensurepip" if done.returncode else ""


def free_bytes(folder: Path) -> int:
    """Return what the disk of ``folder`` has left."""
    return shutil.disk_usage(folder).free
