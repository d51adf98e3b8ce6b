"""How much memory a side takes."""

import psutil


def resident_mb(pid: int) -> float:
    """Return the resident megabytes of a process and its children, mapped weights included."""
    process = psutil.Process(pid)
    everyone = [process, *process.children(recursive=True)]
    return sum(each.memory_info().rss for each in everyone) / 1e6
