"""What Linux allows this very process, which may be less than the machine has.

In a container, or as a service with a limit: whoever passes it is killed.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_DEPTH_MAX = 32  # groups are in groups; nobody nests so many


@dataclass(frozen=True, slots=True)
class Allowance:
    """The tightest limit that is set."""

    total_bytes: int
    free_bytes: int


def allowance(root: Path = _ROOT, own: Path = _OWN) -> Allowance | None:
    """Read it; None without a limit, and on other systems. Only version 2 of cgroups is known."""
    if sys.platform != "linux":
        return None
    try:
        place = next(line[3:] for line in own.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return None
    group = root / place.lstrip("/")
    groups = [each for each in (group, *group.parents) if each.is_relative_to(root)]
    if not group.is_relative_to(root) or not group.exists():
        groups = [root]  # in a container the path may be that of its host
    found = [limit for each in groups[:_DEPTH_MAX] if (limit := _limit(each)) is not None]
    return min(found, key=lambda each: each.free_bytes, default=None)


def _limit(group: Path) -> Allowance | None:
    try:
        total = (group / "memory.max").read_text().strip()
        used_bytes = int((group / "memory.current").read_text())
        figures = dict(
            line.split(" ", 1) for line in (group / "memory.stat").read_text().splitlines()
        )
        # Pages of files count as used until somebody needs the room.
        pages_bytes = int(figures.get("active_file", 0)) + int(figures.get("inactive_file", 0))
        total_bytes = int(total)
    except (OSError, ValueError):  # "max" is none, and the outermost group has no such file
        return None
    return Allowance(total_bytes, max(0, total_bytes - used_bytes + pages_bytes))
