"""What this machine has for models: the looks at it."""

import shutil
from pathlib import Path

import psutil

from mesh.pulling.fitting import Machine

# Of the version 2 of Linux' control groups, as a container sees its own (kernel documentation,
# admin-guide/cgroup-v2: memory.max is a number of bytes, or "max").
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def this_machine(folder: Path) -> Machine:
    """Look at the memory, and at the disk that ``folder`` is or will be on."""
    return Machine(memory_bytes=_memory_bytes(), disk_free_bytes=disk_free_bytes(folder))


def disk_free_bytes(folder: Path) -> int:
    """Return what is free for us on the disk of ``folder``, which need not exist yet."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(existing).free


def _memory_bytes() -> int:
    total_bytes = int(psutil.virtual_memory().total)
    try:
        return min(total_bytes, int(_CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):
        return total_bytes
