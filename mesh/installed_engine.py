"""What the engine that is installed here computes on, asked in a process of its own."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import mesh

MODULE = "node_agent.engine.backends"  # started, never imported: the engine is the node's
LOADS_WITHIN_S = 60.0  # CUDA's first start on a machine compiles kernels for its card
_GPU_KINDS = ("gpu", "integrated gpu")


class EngineDevice(BaseModel):
    """Something that the engine computes on."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(max_length=200)
    description: str = Field(max_length=500)
    kind: str = Field(max_length=20)
    memory_bytes: int = Field(ge=0)
    free_bytes: int = Field(ge=0)

    @property
    def is_gpu(self) -> bool:
        return self.kind in _GPU_KINDS


class InstalledEngine(BaseModel):
    """What an engine says of itself; ``error`` where it does not load, or is not there."""

    model_config = ConfigDict(frozen=True)

    version: str = Field(default="", max_length=40)
    devices: tuple[EngineDevice, ...] = Field(default=(), max_length=64)
    system: str = Field(default="", max_length=4000)
    error: str = Field(default="", max_length=4000)
    missing: bool = False

    @property
    def gpus(self) -> tuple[EngineDevice, ...]:
        return tuple(device for device in self.devices if device.is_gpu)

    @property
    def given_layers(self) -> tuple[EngineDevice, ...]:
        """The GPUs that models go to: integrated ones only where there is no other."""
        return tuple(gpu for gpu in self.gpus if gpu.kind == _GPU_KINDS[0]) or self.gpus


def installed_engine(
    python: str = sys.executable, *, before: Path | None = None
) -> InstalledEngine:
    """Load the engine of an environment in a child, and return what it says. Never raises.

    Args:
        python: the interpreter of the environment.
        before: a folder with an unpacked engine that is loaded instead.
    """
    if before is None and python == sys.executable and find_spec("llama_cpp") is None:
        return InstalledEngine(missing=True, error="llama-cpp-python is not installed")
    root = str(Path(mesh.__file__).absolute().parents[1])
    given = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join(filter(None, (str(before) if before else "", root, given)))
    try:
        done = subprocess.run(  # noqa: S603 - a program of the machine, and words of ours
            [python, "-m", MODULE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LOADS_WITHIN_S,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
    except subprocess.TimeoutExpired:
        return InstalledEngine(error=f"it did not load within {LOADS_WITHIN_S:.0f} s")
    except OSError as failure:
        return InstalledEngine(error=f"no process could be started: {failure.strerror}")
    return read_answer(done.stdout, done.returncode)


def read_answer(output: bytes, code: int) -> InstalledEngine:
    """Return what the child said on its last line, or in words how it ended without one."""
    lines = output[-(64 << 10) :].decode("utf-8", "replace").strip().splitlines()
    try:
        return InstalledEngine.model_validate_json(lines[-1] if lines else "")
    except ValidationError:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return InstalledEngine(error=f"the process that loaded it {how} and no answer")
