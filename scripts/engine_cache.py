"""Keeps the compiled engine (llama-cpp-python), one wheel per machine for all clones on it.

The engine has no wheels of its own and takes minutes to compile, so the wheel that we make stays
in the user's cache. The compiler aims at the very CPU it runs on, so the wheel's folder is named
for version, CMake options and machine: a home folder shared by unlike machines is safe.
"""

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.following import SetupError
from scripts.locking import locked

# We serve text, and LLAVA doubles the compiling; RPC lets one model span machines later.
CMAKE_ARGS = ("-DLLAVA_BUILD=OFF", "-DGGML_RPC=ON")
WHEELS_KEPT = 6  # at 20 MB each: a few versions and options, not every one there ever was
# What `-march=native` looks at. The other flags of /proc/cpuinfo change with the kernel.
CPU_FIELDS = ("model name", "CPU implementer", "CPU variant", "CPU part")
INSTRUCTION_SETS = re.compile(r"(avx|s?sse|fma|f16c|bmi|amx|asimd|sve|fphp|i8mm|bf16)\w*")


@dataclass(frozen=True, slots=True)
class EngineBuild:
    """Which engine this is: equal ones are interchangeable on this machine."""

    version: str
    cmake_args: tuple[str, ...]
    machine: str  # digest of what decides the machine code

    @classmethod
    def wanted(cls, pin: str, env: Mapping[str, str]) -> "EngineBuild":
        """Return the build that ``pin`` (engine.txt) and the caller's ``CMAKE_ARGS`` ask for."""
        version = re.search(r"^llama-cpp-python==(\S+)", pin, re.MULTILINE)
        if version is None:
            raise SetupError(
                "requirements/engine.txt pins no engine", hint="run `make requirements`"
            )
        more = tuple(env.get("CMAKE_ARGS", "").split())
        return cls(version[1], CMAKE_ARGS + more, machine_digest())

    @property
    def key(self) -> str:
        """The name of its folder in the cache."""
        digest = hashlib.sha256("\n".join((*self.cmake_args, self.machine)).encode())
        return f"{self.version}-{digest.hexdigest()[:12]}"


def machine_digest() -> str:
    """Return a digest of what decides whether machine code made here runs here."""
    facts = [platform.system(), platform.machine(), *platform.libc_ver(), *_cpu_facts()]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def cache_folder(env: Mapping[str, str]) -> Path:
    """Return where this user's compiled wheels lie, shared by all clones."""
    default = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return Path(env.get("XDG_CACHE_HOME") or default).expanduser() / "deskmesh" / "wheels"


def find_wheel(build: EngineBuild, cache: Path) -> Path | None:
    """Return the finished wheel of ``build``, if this machine has it."""
    return next((cache / build.key).glob("*.whl"), None)


def ensure_wheel(build: EngineBuild, cache: Path, compile_into: Callable[[Path], None]) -> Path:
    """Return the wheel of ``build``; ``compile_into(folder)`` makes it where nobody did yet.

    Safe against others that do the same at the same time, and against being killed: a wheel
    appears in its place whole or not at all, and what a killed one left is swept up.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / f"{build.key}.lock", "engine"):
        if wheel := find_wheel(build, cache):
            return wheel
        for leftover in (cache / build.key, *cache.glob(f"{build.key}.making-*")):
            # A compiler that outlived its setup may still write there; the next run sweeps again.
            shutil.rmtree(leftover, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=f"{build.key}.making-") as scratch:
            made = Path(scratch) / "wheel"
            made.mkdir()
            compile_into(made)
            made.replace(cache / build.key)
        _forget_oldest(cache)
    wheel = find_wheel(build, cache)
    if wheel is None:
        raise SetupError(f"compiling left no wheel in {cache / build.key}", hint="see its log")
    return wheel


def _cpu_facts() -> list[str]:
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return [subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()]
    facts: set[str] = set()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name in CPU_FIELDS:
            facts.add(f"{name}={value}")
        elif name in ("flags", "Features"):
            facts.update(word for word in value.split() if INSTRUCTION_SETS.fullmatch(word))
    return sorted(facts)


def _forget_oldest(cache: Path) -> None:
    folders = [wheel.parent for wheel in cache.glob("*/*.whl")]
    for old in sorted(folders, key=lambda folder: folder.stat().st_mtime)[:-WHEELS_KEPT]:
        shutil.rmtree(old)
