"""Whether a model fits the memory that is free."""

import psutil

# An allowance, not a measurement: the weights, and a fifth more for the key-value cache of a slot
# and for compute buffers. The engine has the last word, when it loads.
SIZE_FACTOR = 1.2
MARGIN_BYTES = 256 << 20  # left to the machine's owner, whatever we load


def needed_bytes(size_bytes: int) -> int:
    """Return how much memory must be free before a model file of this size is loaded."""
    return freed_bytes(size_bytes) + MARGIN_BYTES


def freed_bytes(size_bytes: int) -> int:
    """Return how much memory comes back when a model of this size leaves it."""
    return int(size_bytes * SIZE_FACTOR)


def free_memory_bytes() -> int:
    """Return what programs can have now without swapping."""
    return int(psutil.virtual_memory().available)


def in_words(size_bytes: int) -> str:
    """Return a size as people read it."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
