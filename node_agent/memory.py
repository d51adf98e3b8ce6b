"""Whether a model fits the memory that is free, and with how many slots. Pure, but for one look."""

from dataclasses import dataclass

import psutil

# An allowance, not a measurement: the weights, and a fifth more for compute buffers. The engine has
# the last word, when it loads.
SIZE_FACTOR = 1.2
MARGIN_BYTES = 256 << 20  # left to the machine's owner, whatever we load


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model takes: its file, and the keys and values of each slot's whole context."""

    size_bytes: int
    slot_bytes: int

    def taken_bytes(self, slots: int) -> int:
        """Return how much memory comes back when it leaves."""
        return int(self.size_bytes * SIZE_FACTOR) + slots * self.slot_bytes

    def needed_bytes(self, slots: int = 1) -> int:
        """Return how much must be free before it is loaded."""
        return self.taken_bytes(slots) + MARGIN_BYTES

    def slots_in(self, free_bytes: int, most: int) -> int:
        """Return how many slots fit, at least one."""
        if not self.slot_bytes:
            return most
        spare_bytes = free_bytes - self.needed_bytes()
        return max(1, min(most, 1 + spare_bytes // self.slot_bytes))


def free_memory_bytes() -> int:
    """Return what programs can have now without swapping."""
    return int(psutil.virtual_memory().available)


def in_words(size_bytes: int) -> str:
    """Return a size as people read it."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
