"""Keeps compiled engines (llama-cpp-python), one wheel per build for all environments on a machine.

The engine has no wheels of its own and takes minutes to compile, so the wheel that we make stays
in the user's cache. The compiler aims at the very CPU it runs on, so the wheel's folder is named
for version, CMake options and machine: a home folder shared by unlike machines is safe, and a
wheel for a GPU is never taken for one without. Its sha256 lies beside it, and one that differs is
made again.

Setups run this before anything is installed: standard library only.
"""

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

# The last ones used: a few versions and options, not every one there ever was. One for processors
# has 20 MB; one for CUDA some hundreds, and seldom is there more than one of those.
WHEELS_KEPT = 6
_DIGEST = "sha256"
# What `-march=native` looks at. The other flags of /proc/cpuinfo change with the kernel.
_CPU_FIELDS = ("model name", "CPU implementer", "CPU variant", "CPU part")
_INSTRUCTION_SETS = re.compile(r"(avx|s?sse|fma|f16c|bmi|amx|asimd|sve|fphp|i8mm|bf16)\w*")

Lock = Callable[[Path], AbstractContextManager[None]]  # holds a file that it makes if need be


@dataclass(frozen=True, slots=True)
class EngineBuild:
    """Which engine this is: equal ones are interchangeable on this machine."""

    version: str
    cmake_args: tuple[str, ...]
    machine: str  # digest of what decides the machine code

    @property
    def key(self) -> str:
        """The name of its folder in the cache."""
        digest = hashlib.sha256("\n".join((*self.cmake_args, self.machine)).encode())
        return f"{self.version}-{digest.hexdigest()[:12]}"


def machine_digest(gpus: Iterable[str] = ()) -> str:
    """Return a digest of what decides whether machine code made here runs here.

    Args:
        gpus: the names of those that it is made for; none for processors alone.
    """
    facts = [platform.system(), platform.machine(), *platform.libc_ver(), *_cpu_facts()]
    return hashlib.sha256("\n".join((*facts, *sorted(gpus))).encode()).hexdigest()


def cache_folder(env: Mapping[str, str]) -> Path:
    """Return where this user's compiled wheels lie, shared by all environments."""
    default = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return Path(env.get("XDG_CACHE_HOME") or default).expanduser() / "deskmesh" / "wheels"


def find_wheel(build: EngineBuild, cache: Path) -> Path | None:
    """Return the finished wheel of ``build``, if this machine has it and it is as it was made."""
    wheel = next((cache / build.key).glob("*.whl"), None)
    return wheel if wheel is not None and _is_whole(wheel) else None


def ensure_wheel(
    build: EngineBuild, cache: Path, compile_into: Callable[[Path], object], lock: Lock
) -> Path | None:
    """Return the wheel of ``build``; ``compile_into(folder)`` makes it where nobody did yet.

    Safe against others that do the same at the same time, and against being killed: a wheel
    appears in its place whole or not at all, and what a killed one left is swept up. None where
    compiling left no wheel.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with lock(cache / f"{build.key}.lock"):
        if wheel := find_wheel(build, cache):
            wheel.parent.touch()  # the oldest are forgotten by when they were used
            return wheel
        for leftover in (cache / build.key, *cache.glob(f"{build.key}.making-*")):
            # A compiler that outlived its setup may still write there; the next run sweeps again.
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=f"{build.key}.making-") as scratch:
            made = Path(scratch) / "wheel"
            made.mkdir()
            compile_into(made)
            for wheel in made.glob("*.whl"):
                (made / _DIGEST).write_text(_digest(wheel), encoding="ascii")
            made.replace(cache / build.key)
        _forget_oldest(cache)
    return find_wheel(build, cache)


def forget_wheel(wheel: Path) -> None:
    """Remove one that was found to be of no use."""
    shutil.rmtree(wheel.parent, ignore_errors=True)


def _is_whole(wheel: Path) -> bool:
    try:
        told = wheel.with_name(_DIGEST).read_text(encoding="ascii").strip()
    except FileNotFoundError:  # by a setup that kept no digests: its parts have checksums of theirs
        return _is_sound(wheel)
    except (OSError, ValueError):
        return False
    return told == _digest(wheel)


def _is_sound(wheel: Path) -> bool:
    try:
        with zipfile.ZipFile(wheel) as packed:
            return packed.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _digest(wheel: Path) -> str:
    with wheel.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cpu_facts() -> list[str]:
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        told = subprocess.run(  # noqa: S603 - a program of the system's, and words of ours
            command, capture_output=True, text=True, check=True
        )
        return [told.stdout.strip()]
    if not (file := Path("/proc/cpuinfo")).exists():
        return [platform.processor()]
    facts: set[str] = set()
    for line in file.read_text(encoding="utf-8").splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name in _CPU_FIELDS:
            facts.add(f"{name}={value}")
        elif name in ("flags", "Features"):
            facts.update(word for word in value.split() if _INSTRUCTION_SETS.fullmatch(word))
    return sorted(facts)


def _forget_oldest(cache: Path) -> None:
    folders = [wheel.parent for wheel in cache.glob("*/*.whl")]
    for old in sorted(folders, key=lambda folder: folder.stat().st_mtime)[:-WHEELS_KEPT]:
        shutil.rmtree(old)
