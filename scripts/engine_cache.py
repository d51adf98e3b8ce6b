"""Which engine this clone wants, and its wheel from the cache that all of a machine's clones share.

The cache itself is the package's (``mesh/engine_build/wheels.py``): `deskmesh engine install` keeps
its wheels there, too.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from mesh.engine_build import wheels
from mesh.engine_build.chosen import ChosenEngine
from mesh.engine_build.wheels import EngineBuild, machine_digest
from scripts.following import SetupError
from scripts.locking import locked

# We serve text, and LLAVA doubles the compiling; RPC lets one model span machines later.
CMAKE_ARGS = ("-DLLAVA_BUILD=OFF", "-DGGML_RPC=ON")


def wanted_build(
    pin: str, env: Mapping[str, str], chosen: ChosenEngine | None = None
) -> EngineBuild:
    """Return the build that ``pin`` (engine.txt) asks for.

    With the options and for the GPUs that `deskmesh engine install` was told; else with the
    caller's ``CMAKE_ARGS``.
    """
    version = re.search(r"^llama-cpp-python==(\S+)", pin, re.MULTILINE)
    if version is None:
        raise SetupError("requirements/engine.txt pins no engine", hint="run `make requirements`")
    if chosen is not None:
        return EngineBuild(version[1], chosen.cmake_args, machine_digest(chosen.gpus))
    more = tuple(env.get("CMAKE_ARGS", "").split())
    return EngineBuild(version[1], CMAKE_ARGS + more, machine_digest())


def ensure_wheel(build: EngineBuild, cache: Path, compile_into: Callable[[Path], None]) -> Path:
    """Return the wheel of ``build``, made by ``compile_into(folder)`` where nobody did yet.

    Raises:
        SetupError: compiling left none.
    """
    wheel = wheels.ensure_wheel(build, cache, compile_into, _lock)
    if wheel is None:
        raise SetupError(f"compiling left no wheel in {cache / build.key}", hint="see its log")
    return wheel


def _lock(path: Path) -> AbstractContextManager[None]:
    return locked(path, "engine")
