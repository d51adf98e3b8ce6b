"""What this machine shows of its owner: processors, keyboard, battery, temperature.

Each is read as far as the platform tells without permissions; what it does not tell is unknown.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import psutil

from node_agent.lending import Signs
from node_agent.processor_time import process_seconds, processor_time
from node_agent.touch import untouched_s

SLOW_EVERY_S = 10.0  # plugs, heat and hands: they change slowly, and reading them costs 1.4 ms

# Sensors of processors, as Linux names them; those of disks and batteries say nothing of our work.
_PROCESSOR_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal")
# No processor slows down outside of these, in degrees Celsius: such a limit is a placeholder.
_LIMIT_MIN_C, _LIMIT_MAX_C = 60.0, 130.0


class Reading(Protocol):
    """One sensor, as psutil tells it."""

    @property
    def current(self) -> float: ...

    @property
    def high(self) -> float | None: ...

    @property
    def critical(self) -> float | None: ...


class OwnerSigns:
    """Reads them. The share of the processors covers the time since the look before."""

    def __init__(self) -> None:
        self._time, self._agent_s = processor_time(), time.process_time()
        self._own_s: dict[int, float] = {}  # processor seconds of our engines, by process id
        self._slow = Signs()
        self._slow_at_s = -SLOW_EVERY_S

    async def look(self, own_processes: Sequence[int], now_s: float) -> Signs:
        """Return the signs of this moment.

        Args:
            own_processes: ids of our engines, whose work is not the owner's.
            now_s: on the event loop's clock.
        """
        if now_s - self._slow_at_s >= SLOW_EVERY_S:
            self._slow_at_s = now_s
            signs = await asyncio.to_thread(_slow_signs)  # some sensors answer after 100 ms
            self._slow = replace(signs, untouched_s=await untouched_s())
        return replace(self._slow, cpu=self._cpu(own_processes))

    def _cpu(self, own_processes: Sequence[int]) -> float:
        before, self._time = self._time, processor_time()
        agent_s, self._agent_s = self._agent_s, time.process_time()
        own_s = {pid: process_seconds(pid) for pid in own_processes}
        # One that we see for the first time has worked since an unknown moment: next time.
        worked_s = sum(each_s - self._own_s.get(pid, each_s) for pid, each_s in own_s.items())
        self._own_s = own_s
        # Work of low priority steps back behind the owner's: ours, another node's, an indexer's.
        # Ours is in it, where the kernel counts it apart.
        yielding_s = max(self._time.niced_s - before.niced_s, worked_s)
        ours_s = yielding_s + self._agent_s - agent_s  # to carry answers is not the owner's work
        elapsed_s = self._time.total_s - before.total_s
        busy_s = self._time.busy_s - before.busy_s
        return min(1.0, max(0.0, (busy_s - ours_s) / elapsed_s)) if elapsed_s > 0 else 0.0


def temperature_share(sensors: Mapping[str, Iterable[Reading]]) -> float | None:
    """Return the hottest processor sensor, as a share of where it slows down; None: unknown."""
    shares = [
        reading.current / limit
        for name in _PROCESSOR_SENSORS
        for reading in sensors.get(name, ())
        if _LIMIT_MIN_C <= (limit := reading.high or reading.critical or 0.0) <= _LIMIT_MAX_C
    ]
    return min(1.0, max(0.0, *shares)) if shares else None


def _slow_signs() -> Signs:
    on_battery, battery = _battery()
    return Signs(on_battery=on_battery, battery=battery, temperature=temperature_share(_sensors()))


def _sensors() -> Mapping[str, Iterable[Reading]]:
    if not hasattr(psutil, "sensors_temperatures"):  # macOS: only root may ask
        return {}
    try:
        sensors: Mapping[str, Iterable[Reading]] = psutil.sensors_temperatures()
        return sensors
    except (OSError, RuntimeError, ValueError, psutil.Error):
        return {}  # a driver that is broken


def _battery() -> tuple[bool, float | None]:
    """Return whether this machine runs on its battery, and the share charged, if it has one."""
    if not hasattr(psutil, "sensors_battery"):
        return False, None
    try:
        battery = psutil.sensors_battery()
    except (OSError, RuntimeError, psutil.Error):
        return False, None  # some virtual machines have half a battery
    if battery is None:
        return False, None
    return battery.power_plugged is False, min(1.0, max(0.0, battery.percent / 100))
