"""How much memory a model takes, and how much there is. Pure, but for the looks at the machine."""

import sys
from dataclasses import dataclass

import psutil

from node_agent.cgroup import allowance

# The weights once, and a fifth more for compute buffers: an allowance. Engines of 0.7 to 528 MB of
# Q8_0 and F16 weights took up to 12 % less than is foretold with it (resident after use, 1 to 4
# slots of up to 8192 tokens, x86-64). The engine has the last word, when it loads.
SIZE_FACTOR = 1.2
PROCESS_BYTES = 40_000_000  # Python and the libraries, before any model (measured)
MARGIN_BYTES = 256 << 20  # left to the machine's owner, whatever we load


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a model takes: its file, and the keys and values of each slot's whole context."""

    size_bytes: int
    slot_bytes: int

    def taken_bytes(self, slots: int) -> int:
        """Return how much memory comes back when it leaves."""
        return PROCESS_BYTES + int(self.size_bytes * SIZE_FACTOR) + slots * self.slot_bytes

    def slots_in(self, spare_bytes: int, most: int) -> int:
        """Return how many slots fit into what is for us to take, at least one."""
        if not self.slot_bytes:
            return most
        return max(1, min(most, (spare_bytes - self.taken_bytes(0)) // self.slot_bytes))


def missing_memory_bytes(pid: int) -> int | None:
    """Return what of a process's memory is no longer in ``free_memory_bytes``; None: it is gone.

    Linux counts pages of a file as free however often they are read, and weights are such pages.
    Where ggml lays weights out anew (Q4_0 and others, on CPUs) the process has them twice, and the
    pages of the file are never read again: there, too, this is the part that nobody else can have.
    """
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.Error:
        return None
    pages_of_files = int(memory.shared) if sys.platform == "linux" else 0
    return int(memory.rss) - pages_of_files


def free_memory_bytes() -> int:
    """Return what we can have now without swapping, or being killed for it."""
    free_bytes = int(psutil.virtual_memory().available)
    allowed = allowance()
    return min(free_bytes, allowed.free_bytes) if allowed is not None else free_bytes


def total_memory_bytes() -> int:
    """Return what this machine has, or allows us."""
    total_bytes = int(psutil.virtual_memory().total)
    allowed = allowance()
    return min(total_bytes, allowed.total_bytes) if allowed is not None else total_bytes


def in_words(size_bytes: int) -> str:
    """Return a size as people read it."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
