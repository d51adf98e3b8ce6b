"""How many layers of a model go to a GPU. Pure.

llama.cpp gives a GPU the last layers and the output first, each with its keys and values. What does
not fit fails the load, or on some machines swaps, so we count before: one layer less costs a few
percent of speed. What the GPU lost by a load is measured, and corrects the next one; where a load
fails for want of memory all the same, fewer layers are tried, and at last none.

llama.cpp's own ``common_fit_params`` is not in its library but in its command line's, so the
bindings do not have it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# What the driver keeps for itself and for its kernels: 300 to 500 MB with CUDA, less elsewhere.
RESERVE_BYTES = 512 << 20
# Layers are not equally large: mixtures of quantisations spend more on the first and the last.
LAYER_FACTOR = 1.1
# Of the layers that did not fit: another program took a tenth or a quarter, or the driver did.
FEWER = (0.8, 0.5)
OFF_MIN, OFF_MAX = 0.5, 2.0  # other programs take and give, too, while a model is loaded

# As CUDA, HIP, Vulkan, Metal and ggml's allocator say it.
_OUT_OF_MEMORY = re.compile(
    r"out of (?:device )?memory|OutOf(?:Device|Host)Memory|insufficient memory"
    r"|(?:failed|unable) to allocate|allocation of size \d+ failed|cudaMalloc failed",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Layers:
    """What decides where a model's layers fit."""

    count: int  # without the output, which counts as one more
    weights_bytes: int  # of the whole model
    cache_bytes: int  # of all slots, in all layers
    compute_bytes: int = 0  # a buffer on each GPU, however many layers it has

    def taken_bytes(self, layers: int) -> int:
        """Return what so many layers are foretold to take of a GPU, without its reserve."""
        if not layers or self.count < 1:
            return 0
        return int(layers * self._each_bytes) + self.compute_bytes

    @property
    def _each_bytes(self) -> float:
        return (self.weights_bytes * LAYER_FACTOR + self.cache_bytes) / self.count

    def fit(self, free_bytes: Sequence[int], off: float = 1.0) -> int:
        """Return how many layers go to GPUs that have ``free_bytes``, the output included.

        0 where a GPU has no room for a single one: all of the work is then the CPU's.

        Args:
            off: what the last load took of what was foretold.
        """
        if self.count < 1:
            return 0
        kept_bytes = RESERVE_BYTES + int(self.compute_bytes * off)
        each_bytes = max(1.0, self._each_bytes * off)
        room = sum(int(max(0, free - kept_bytes) // each_bytes) for free in free_bytes)
        return min(self.count + 1, room)


def tries(layers: int) -> tuple[int, ...]:
    """Return with how many layers to load, one after the other while a GPU has no memory for them.

    Two more tries, each for good reason to go better, and then the CPU alone.
    """
    fewer = (int(layers * share) for share in FEWER)
    return tuple(dict.fromkeys((layers, *fewer, 0)))


def out_of_memory(reason: str) -> bool:
    """Return whether a load that failed for ``reason`` may do with fewer layers on a GPU."""
    return bool(_OUT_OF_MEMORY.search(reason))


def corrected(off: float, *, foretold_bytes: int, lost_bytes: int) -> float:
    """Return by what to multiply what is foretold of this model next time.

    More than was foretold is believed at once, less by halves: another program may have given
    memory back meanwhile. ``off`` where nothing went to a GPU.

    Args:
        foretold_bytes: what was to go there, uncorrected.
        lost_bytes: how much less the GPUs have free.
    """
    if foretold_bytes <= 0 or lost_bytes <= 0:
        return off
    seen = min(OFF_MAX, max(OFF_MIN, lost_bytes / foretold_bytes))
    return seen if seen > off else (off + seen) / 2
