"""How many layers of a model go to a GPU. Pure.

llama.cpp gives a GPU the last layers and the output first, each with its keys and values. What does
not fit would fail the load, or on some machines swap, so we count before. An estimate with an
allowance will do: one layer less costs a few percent of speed.

llama.cpp's own ``common_fit_params`` is not in its library but in its command line's, so the
bindings do not have it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# Compute buffers: scores of attention and logits for a chunk of a prompt, 134 MB and 78 MB for a
# model of 8 billion parameters; and what the driver keeps for itself.
RESERVE_BYTES = 512 << 20
# Layers are not equally large: mixtures of quantisations spend more on the first and the last.
LAYER_FACTOR = 1.1


@dataclass(frozen=True, slots=True)
class Layers:
    """What decides where a model's layers fit."""

    count: int  # without the output, which counts as one more
    weights_bytes: int  # of the whole model
    cache_bytes: int  # of all slots, in all layers


def layers_that_fit(layers: Layers, free_bytes: Sequence[int]) -> int:
    """Return how many layers go to GPUs that have ``free_bytes``, the output included.

    0 where a GPU has no room for a single one: all of the work is then the CPU's.
    """
    if layers.count < 1:
        return 0
    each_bytes = layers.weights_bytes * LAYER_FACTOR / layers.count
    each_bytes += layers.cache_bytes / layers.count
    most = layers.count + 1
    room = sum(int(max(0, free - RESERVE_BYTES) // max(1.0, each_bytes)) for free in free_bytes)
    return min(most, room)
