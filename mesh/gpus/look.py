"""One look at this machine's GPUs: milliseconds, or as long as ``nvidia-smi`` takes."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from mesh.gpus.gpu import GPUS_MAX, Gpu, Vendor
from mesh.gpus.nvidia import QUERY, gpu_of_information, gpus_of_query
from mesh.gpus.pci import gpus_on_pci

ASKED_WITHIN_S = 5.0  # nvidia-smi wakes a sleeping driver in 1 to 2 s; a wedged one never answers
OUTPUT_BYTES_MAX = 64 << 10
NVIDIA_FILES = Path("/proc/driver/nvidia/gpus")
_KFD, _RENDER = Path("/dev/kfd"), Path("/dev/dri")  # ROCm's door, and Vulkan's


def gpus_here() -> tuple[Gpu, ...]:
    """Return this machine's GPUs, the best first. Starts ``nvidia-smi`` where there is one."""
    if sys.platform == "darwin":
        return apple_gpus(platform.machine())
    nvidia = gpus_of_query(_asked_of_nvidia()) or _nvidia_files()
    others = reachable(gpus_on_pci(), may_compute=_KFD.exists() or _RENDER.exists())
    return best_first(joined(nvidia, others))


def apple_gpus(machine: str) -> tuple[Gpu, ...]:
    """Return what a Mac has: on Apple silicon one GPU, which shares the memory.

    Those of Intel's Macs are left out: llama.cpp's Metal backend is for Apple's own.
    """
    if machine != "arm64":
        return ()
    return (Gpu(Vendor.APPLE, "Apple GPU"),)


def joined(nvidia: tuple[Gpu, ...], on_pci: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """Return each GPU once: what its driver says of it, else what the bus says.

    On the bus an NVIDIA card that its driver does not tell of is one that can't be used: no
    driver, one that fails, or a container that was not given it.
    """
    unserved = [gpu for gpu in on_pci if gpu.vendor is Vendor.NVIDIA] if not nvidia else []
    lost = [Gpu(gpu.vendor, gpu.name, gpu.memory_bytes, ready=False) for gpu in unserved]
    return (*nvidia, *lost, *(gpu for gpu in on_pci if gpu.vendor is not Vendor.NVIDIA))[:GPUS_MAX]


def reachable(on_pci: tuple[Gpu, ...], *, may_compute: bool) -> tuple[Gpu, ...]:
    """Return them as this process may use them: a container sees the bus, and often no device."""
    if may_compute:
        return on_pci
    return tuple(
        Gpu(each.vendor, each.name, each.memory_bytes, integrated=each.integrated, ready=False)
        for each in on_pci
    )


def best_first(gpus: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """Return them in the order in which they are worth computing on."""
    return tuple(
        sorted(gpus, key=lambda each: (not each.ready, each.integrated, -(each.memory_bytes or 0)))
    )


def _asked_of_nvidia() -> str:
    """Return what ``nvidia-smi`` says, "" where there is none, or it fails, or hangs."""
    program = shutil.which(QUERY[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a program of the machine, and words of ours
            [program, *QUERY[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ASKED_WITHIN_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if done.returncode != 0:
        return ""
    return done.stdout[:OUTPUT_BYTES_MAX].decode("utf-8", "replace")


def _nvidia_files() -> tuple[Gpu, ...]:
    """Return what the driver's files tell, where its program is missing, as in many containers."""
    try:
        files = sorted(NVIDIA_FILES.glob("*/information"))[:GPUS_MAX]
        texts = [_start_of(file) for file in files]
    except OSError:
        return ()
    # Without the device's file the driver's listing is of no use to this process.
    ready = Path("/dev/nvidiactl").exists()
    found = [gpu_of_information(text) for text in texts]
    return tuple(Gpu(each.vendor, each.name, ready=ready) for each in found)


def _start_of(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(OUTPUT_BYTES_MAX).decode("utf-8", "replace")
