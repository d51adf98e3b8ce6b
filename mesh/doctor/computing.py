"""What computes here: the engine, the GPUs, and the compiler that makes an engine."""

import shutil
import sys
from collections.abc import Sequence

from mesh.doctor.finding import Finding, failed, ok, warning
from mesh.engine_build.plan import COMPILER
from mesh.gpus.gpu import Gpu
from mesh.gpus.unused import unused_gpus
from mesh.installed_engine import InstalledEngine

BUILD_AGAIN = "deskmesh engine install"


def judge_engine(engine: InstalledEngine, *, lends: bool) -> Finding:
    """Say whether models can run here; a machine that lends nothing needs no engine."""
    if not engine.error:
        on = ", ".join(device.name for device in engine.devices) or "nothing"
        return ok("engine", f"llama-cpp-python {engine.version} loads, and computes on {on}")
    if engine.missing and not lends:
        return ok("engine", "none here, and none needed: this machine uses the mesh")
    if engine.missing:
        return failed(
            "engine", f"this machine lends, and {engine.error}", "pip install 'deskmesh[node]'"
        )
    return failed("engine", f"it does not load: {engine.error}", BUILD_AGAIN)


def judge_gpus(gpus: Sequence[Gpu], engine: InstalledEngine) -> Finding:
    """Say whether what could compute does."""
    if engine.gpus:
        return ok("gpu", ", ".join(device.description for device in engine.gpus))
    if engine.error:
        return ok("gpu", _names(gpus) or "none found")
    if unused := unused_gpus(gpus, engine_sees=0):
        return warning("gpu", unused.what, unused.command)
    idle = [gpu for gpu in gpus if not gpu.ready and not gpu.integrated]
    if idle:
        what = f"{_names(idle)} cannot be used: no driver, or not for this process"
        return warning("gpu", what, "install its driver, or give the container the device")
    return ok("gpu", f"{_names(gpus)}, part of the processor" if gpus else "none found")


def compiler(engine: InstalledEngine) -> Finding:
    """What would build an engine."""
    found = next((path for name in COMPILER.names if (path := shutil.which(name))), None)
    return judge_compiler(found, engine, platform=sys.platform)


def judge_compiler(found: str | None, engine: InstalledEngine, *, platform: str) -> Finding:
    """Say whether an engine could be built, where one has to be."""
    if found:
        return ok("compiler", found)
    if not engine.error:
        return ok("compiler", "none, and none needed: the engine is built")
    what = "none found, so no engine can be built here"
    return warning("compiler", what, COMPILER.how_to_get(platform))


def _names(gpus: Sequence[Gpu]) -> str:
    return ", ".join(gpu.name for gpu in gpus[:4])
