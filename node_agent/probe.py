"""What a machine is, and how busy it is right now. Never blocks; cheap enough for every second."""

import os
import platform
import time
from collections.abc import Sequence

import psutil

from mesh.core.types import Load, Machine
from mesh.version import VERSION

NAME_LETTERS_MAX = 64
BATTERY_EVERY_S = 10.0  # a plug is pulled less often, and asking walks a folder of devices
SAMPLE_S_MIN = 0.05  # the kernel counts processor time in steps of 10 ms for each core


def read_machine(name: str = "") -> Machine:
    """Return what this machine is; ``name`` is what its owner calls it, else the host's name."""
    system = "macOS" if platform.system() == "Darwin" else platform.system()
    return Machine(
        name=(name or platform.node().partition(".")[0] or "unnamed")[:NAME_LETTERS_MAX],
        platform=f"{system} {platform.machine()}",
        cores=_cores(),
        memory_bytes=psutil.virtual_memory().total,
        version=VERSION,
    )


class Probe:
    """Samples the load. Each sample covers the time since the one before."""

    def __init__(self) -> None:
        self._busy_s, self._total_s = _processor_seconds()
        self._cpu = _cpu_by_load_average()
        self._ours_s: dict[int, float] = {}  # processor seconds of our own processes, by id
        self._battery_at_s = -BATTERY_EVERY_S
        self._on_battery = False

    def sample(self, own_processes: Sequence[int] = ()) -> Load:
        """Return the load that others put on this machine, as shares of the whole machine.

        Args:
            own_processes: ids of our engine children, whose work is not counted as processor load:
                the mesh knows what it has asked for. Memory counts whole, as it is gone either way.
        """
        memory = psutil.virtual_memory()
        return Load(
            cpu=self._sample_cpu(own_processes),
            memory=1.0 - memory.available / memory.total,
            memory_free_bytes=memory.available,
            on_battery=self._sample_battery(),
        )

    def _sample_cpu(self, own_processes: Sequence[int]) -> float:
        busy_s, total_s = _processor_seconds()
        elapsed_s = total_s - self._total_s
        if elapsed_s < SAMPLE_S_MIN * (os.cpu_count() or 1):
            return self._cpu  # too soon to tell; the first time, the average of the last minute
        ours_s = {pid: _process_seconds(pid) for pid in own_processes}
        # A process that we see for the first time has worked since an unknown moment: next time.
        own_s = sum(now_s - self._ours_s.get(pid, now_s) for pid, now_s in ours_s.items())
        self._cpu = min(1.0, max(0.0, (busy_s - self._busy_s - max(0.0, own_s)) / elapsed_s))
        self._busy_s, self._total_s, self._ours_s = busy_s, total_s, ours_s
        return self._cpu

    def _sample_battery(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._battery_at_s >= BATTERY_EVERY_S:
            self._battery_at_s = now_s
            self._on_battery = _runs_on_battery()
        return self._on_battery


def _processor_seconds() -> tuple[float, float]:
    """Return seconds that all cores were busy, and in all, since the machine started."""
    times = psutil.cpu_times()
    # Linux counts guest time within user time, so that it must not be added again.
    total_s = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total_s - times.idle - getattr(times, "iowait", 0.0), total_s


def _process_seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0  # it ended; its last share counts as the owner's for one sample
    return times.user + times.system


def _cpu_by_load_average() -> float:
    return min(1.0, psutil.getloadavg()[0] / (os.cpu_count() or 1))


def _cores() -> int:
    """Return the physical cores that this process may use: ggml gains nothing from the others."""
    physical = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux, where containers are given some of the cores
        return max(1, min(physical, len(os.sched_getaffinity(0))))
    return physical


def _runs_on_battery() -> bool:
    if not hasattr(psutil, "sensors_battery"):
        return False
    try:
        battery = psutil.sensors_battery()
    except (OSError, RuntimeError, psutil.Error):
        return False  # some virtual machines have half a battery
    return battery is not None and battery.power_plugged is False
