"""Whether a model fits a machine, before a byte of it is here. Pure.

What is known then is the size of its file alone. The node says it better once it has the header.
"""

from dataclasses import dataclass

from mesh.core.footprint import rough_bytes

MARGIN_BYTES = 256 << 20  # that a node leaves to the machine's owner
# More than this share of the memory, and little else runs well beside the model.
COMFORTABLE_SHARE = 0.6
SPARE_DISK_BYTES = 1 << 30  # left to everybody else on the disk that the model goes to


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has for models, in bytes."""

    memory_bytes: int
    disk_free_bytes: int
    read_bytes_per_s: float | None = None  # of its memory; None: not known, or a GPU computes


def needed_bytes(size_bytes: int) -> int:
    """Return how much memory serving a file of ``size_bytes`` takes, at least."""
    return rough_bytes(size_bytes)


def fits(size_bytes: int, memory_bytes: int) -> bool:
    """Whether a model of ``size_bytes`` can be served with ``memory_bytes`` of memory in all."""
    return needed_bytes(size_bytes) + MARGIN_BYTES <= memory_bytes


def fits_with_ease(size_bytes: int, memory_bytes: int) -> bool:
    """Whether other programs have room beside it."""
    return needed_bytes(size_bytes) <= memory_bytes * COMFORTABLE_SHARE


def why_not(size_bytes: int, machine: Machine) -> str:
    """Return why a model cannot be had and served here; "" if it can."""
    if not fits(size_bytes, machine.memory_bytes):
        return (
            f"takes {gigabytes(needed_bytes(size_bytes))} of memory, and this machine has"
            f" {gigabytes(machine.memory_bytes)}"
        )
    return why_no_room(size_bytes, machine.disk_free_bytes)


def why_no_room(size_bytes: int, disk_free_bytes: int) -> str:
    """Return why ``size_bytes`` more cannot go onto the disk; "" if they can."""
    if size_bytes + SPARE_DISK_BYTES <= disk_free_bytes:
        return ""
    return (
        f"takes {gigabytes(size_bytes)} of disk beside {gigabytes(SPARE_DISK_BYTES)} that stay"
        f" free, and {gigabytes(disk_free_bytes)} are free"
    )


def gigabytes(size_bytes: float) -> str:
    """Return a size as people read it."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
