"""Which GPUs the installed engine leaves idle, and the command that mends it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from mesh.gpus.gpu import Gpu, Vendor

# The backend of llama.cpp that is quickest on each, and the option of `deskmesh engine install`.
# Vulkan for AMD: ROCm supports a list of cards, and is gigabytes; Vulkan comes with every driver.
BACKENDS = {
    Vendor.NVIDIA: "cuda",
    Vendor.AMD: "vulkan",
    Vendor.INTEL: "vulkan",
    Vendor.APPLE: "metal",
}


@dataclass(frozen=True, slots=True)
class Unused:
    """GPUs that no model computes on, though they could."""

    gpus: tuple[Gpu, ...]
    command: str

    @property
    def what(self) -> str:
        """Name them in one line."""
        names = list(dict.fromkeys(gpu.name for gpu in self.gpus))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"{', '.join(names[:3])}{more} unused: the engine was built without GPU support"


def unused_gpus(gpus: Sequence[Gpu], *, engine_sees: int) -> Unused | None:
    """Return the GPUs that the engine should see and does not; None where all is well.

    An integrated GPU is no reason for a warning: it shares the memory's bandwidth with the
    processor, which is what decides how quick tokens come.

    Args:
        gpus: of this machine, the best first.
        engine_sees: how many GPU devices the installed engine has.
    """
    worth = tuple(gpu for gpu in gpus if gpu.ready and not gpu.integrated)
    if not worth or engine_sees > 0:
        return None
    return Unused(worth, f"deskmesh engine install --{BACKENDS[worth[0].vendor]}")
