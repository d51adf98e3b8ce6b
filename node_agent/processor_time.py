"""Processor time of the machine and of a process, as the kernel counts it."""

from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Seconds since the machine started, of all cores together."""

    total_s: float
    busy_s: float  # with what a host gave to its other guests
    niced_s: float  # a part of it: of low priority; 0.0 where that is not counted apart


def processor_time() -> ProcessorTime:
    """Return what the cores have done until now."""
    times = psutil.cpu_times()
    # Linux counts guest time within user time, so that it must not be added again.
    guest_niced_s = getattr(times, "guest_nice", 0.0)
    total_s = sum(times) - getattr(times, "guest", 0.0) - guest_niced_s
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    return ProcessorTime(total_s, total_s - idle_s, getattr(times, "nice", 0.0))


def process_seconds(pid: int) -> float:
    """Return the processor seconds of a process; 0.0 of one that is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)
