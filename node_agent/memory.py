"""How much memory a model takes, and how much there is. Pure, but for the looks at the machine."""

import sys
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

    def slots_in(self, spare_bytes: int, most: int) -> int:
        """Return how many slots fit into what is for us to take, at least one."""
        if not self.slot_bytes:
            return most
        return max(1, min(most, (spare_bytes - self.taken_bytes(0)) // self.slot_bytes))


@dataclass(frozen=True, slots=True)
class Resident:
    """What a process holds by measurement."""

    held_bytes: int
    # The part of it that is missing from ``free_memory_bytes``. Weights are pages of their file,
    # which Linux calls available however often they are read.
    missing_bytes: int


def resident(pid: int) -> Resident | None:
    """Measure a process; None if it is gone."""
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return None
    pages_of_files = int(memory.shared) if sys.platform == "linux" else 0
    return Resident(int(memory.rss), int(memory.rss) - pages_of_files)


def free_memory_bytes() -> int:
    """Return what programs can have now without swapping."""
    return int(psutil.virtual_memory().available)


def total_memory_bytes() -> int:
    """Return what this machine has."""
    return int(psutil.virtual_memory().total)


def in_words(size_bytes: int) -> str:
    """Return a size as people read it."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
