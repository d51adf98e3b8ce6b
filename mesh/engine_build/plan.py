"""What to build an engine for, with which options, and what that takes. Pure.

Options of CMake as llama.cpp's docs/build.md names them (GGML_CUDA, GGML_VULKAN, GGML_METAL,
GGML_HIP).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mesh.gpus.gpu import Gpu
from mesh.gpus.unused import BACKENDS

# The tools that come with llama.cpp for images are not ours to serve, and take a tenth of the time.
ALWAYS = ("-DLLAVA_BUILD=OFF", "-DGGML_RPC=OFF")
# Of one core, for processors alone: 758 s on two x86-64 cores that two other programs kept busy.
# Shaders and kernels come on top; how long they take was not measured, and is said as "at least".
CORE_MINUTES = 13
DISK_BYTES = 3 << 30  # of a build and its wheel; CUDA's objects are the most of it


class Backend(StrEnum):
    """What an engine computes on."""

    CPU = "cpu"
    CUDA = "cuda"
    VULKAN = "vulkan"
    METAL = "metal"
    ROCM = "rocm"


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that a build needs, and where people get it."""

    names: tuple[str, ...]  # any of them will do
    what: str
    get: dict[str, str]  # platform -> what to do

    def how_to_get(self, platform: str) -> str:
        """Say where people get it; ``platform`` is as ``sys.platform`` has it."""
        return self.get.get(platform, f"not to be had on {platform}")


COMPILER = Tool(
    ("c++", "g++", "clang++", "cl"),
    "a C++ compiler",
    {
        "linux": "apt install g++ (Debian, Ubuntu) or dnf install gcc-c++ (Fedora)",
        "darwin": "xcode-select --install",
        "win32": "winget install Microsoft.VisualStudio.2022.BuildTools, with the C++ workload",
    },
)
_OWN: dict[Backend, Tool] = {
    Backend.CUDA: Tool(
        ("nvcc",),
        "NVIDIA's CUDA toolkit",
        {
            "linux": "apt install nvidia-cuda-toolkit, or NVIDIA's own packages; nvcc in PATH",
            "win32": "winget install Nvidia.CUDA",
        },
    ),
    Backend.VULKAN: Tool(
        ("glslc",),
        "Vulkan's shader compiler and headers",
        {
            "linux": "apt install glslc libvulkan-dev, or dnf install glslc vulkan-devel",
            "darwin": "brew install shaderc vulkan-headers molten-vk",
            "win32": "winget install KhronosGroup.VulkanSDK",
        },
    ),
    Backend.ROCM: Tool(
        ("hipcc", "amdclang++"),
        "AMD's ROCm",
        {"linux": "AMD's packages of rocm-hip-sdk; hipcc in PATH"},
    ),
    Backend.METAL: Tool(
        ("xcrun",), "Apple's command line tools", {"darwin": "xcode-select --install"}
    ),
}
_OPTIONS: dict[Backend, tuple[str, ...]] = {
    Backend.CPU: ("-DGGML_METAL=OFF",),
    # For the cards of this machine alone: all kinds of cards take hours.
    Backend.CUDA: ("-DGGML_CUDA=ON", "-DCMAKE_CUDA_ARCHITECTURES=native"),
    Backend.VULKAN: ("-DGGML_VULKAN=ON",),
    Backend.METAL: ("-DGGML_METAL=ON",),
    Backend.ROCM: ("-DGGML_HIP=ON",),
}


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """One build, and what is said of it before it begins."""

    backend: Backend
    why: str
    cmake_args: tuple[str, ...]
    missing: tuple[str, ...]  # what it needs and is not here, each with how to get it
    minutes: int  # at least, but for processors alone: about
    disk_bytes: int = DISK_BYTES

    @property
    def takes(self) -> str:
        """What it takes, in words."""
        least = "about" if self.backend is Backend.CPU else "at least"
        return f"{least} {self.minutes} min of all cores, and up to {self.disk_bytes >> 30} GiB"


def pick(gpus: Sequence[Gpu]) -> tuple[Backend, str]:
    """Return what suits a machine with these GPUs, the best first, and why."""
    worth = next((gpu for gpu in gpus if gpu.ready and not gpu.integrated), None)
    if worth is None:
        return Backend.CPU, "no GPU that is worth it was found"
    return Backend(BACKENDS[worth.vendor]), f"this machine has {worth.name}"


def plan(
    backend: Backend,
    why: str,
    *,
    platform: str,
    cores: int,
    found: Callable[[str], object],
) -> BuildPlan:
    """Return the build for ``backend``.

    Args:
        platform: as ``sys.platform`` has it.
        cores: that compile at a time.
        found: returns something true where a program of that name is in PATH.
    """
    tools = [COMPILER, *([_OWN[backend]] if backend in _OWN else [])]
    missing = tuple(
        f"{tool.what} ({tool.how_to_get(platform)})"
        for tool in tools
        if not any(found(name) for name in tool.names)
    )
    minutes = max(1, -(-CORE_MINUTES // max(1, cores)))
    return BuildPlan(backend, why, (*ALWAYS, *_OPTIONS[backend]), missing, minutes)
