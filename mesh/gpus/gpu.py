"""What is known of one GPU. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum

GPUS_MAX = 64  # a server with 16 of them is large; what says more is not believed
NAME_CHARS_MAX = 80
MEMORY_BYTES_MAX = 1 << 44  # 16 TiB: 50 times what the largest has today

_ODD = re.compile(r"[^\x20-\x7e]+")


class Vendor(StrEnum):
    """Who made it, which decides what computes on it."""

    NVIDIA = "nvidia"
    AMD = "amd"
    INTEL = "intel"
    APPLE = "apple"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of this machine, as its platform tells of it."""

    vendor: Vendor
    name: str
    memory_bytes: int | None = None  # its own; None: unknown, or shared with the processor
    integrated: bool = False  # part of the processor: quicker than it at prompts, seldom at tokens
    ready: bool = True  # a driver serves it, and this process may reach it


def plain_name(said: str, *, otherwise: str) -> str:
    """Return a name that can be shown on any terminal, ``otherwise`` where nothing is left."""
    return " ".join(_ODD.sub(" ", said[: NAME_CHARS_MAX * 4]).split())[:NAME_CHARS_MAX] or otherwise


def plausible_bytes(count: int) -> int | None:
    """Return ``count`` where a GPU may have so much memory, else None."""
    return count if 0 < count <= MEMORY_BYTES_MAX else None
