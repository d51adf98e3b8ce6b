"""What the machine does beside this process: cores in use, and whether anybody waits for one."""

import os
import time
from pathlib import Path

from node_agent.engine.thread_governor import OtherWork
from node_agent.processor_time import process_seconds, processor_time

# The kernel counts processor time in steps of 10 ms for each core, so this is good to 4 % of a
# core; and a quarter of a second is how long an owner who comes back meets us in full.
SAMPLE_EVERY_S = 0.25
STALE_AFTER_S = 1.0
_PRESSURE = Path("/proc/pressure/cpu")  # Linux 4.20 and later, where it is not turned off


class OthersLoad:
    """Samples cover the time from one to the next.

    One takes 0.1 ms (measured on 2 cores), so it is taken between two steps of the model.
    """

    def __init__(self, now_s: float) -> None:
        self._agent = os.getppid()
        self._begin(now_s)

    def resume(self, now_s: float) -> None:
        """Forget a time in which nobody asked; a pause between two short answers is none."""
        if now_s - self._at_s > STALE_AFTER_S:
            self._begin(now_s)

    def sample(self, now_s: float) -> OtherWork | None:
        """Return what happened since the last sample; None if it is too soon to tell."""
        elapsed_s = now_s - self._at_s
        if elapsed_s < SAMPLE_EVERY_S:
            return None
        busy_s, own_s, waited_s = self._busy_s, self._own_s, self._waited_s
        self._begin(now_s)
        others_s = (self._busy_s - busy_s) - (self._own_s - own_s)
        return OtherWork(
            cores=max(0.0, others_s / elapsed_s),
            waiting=min(1.0, max(0.0, (self._waited_s - waited_s) / elapsed_s)),
        )

    def _begin(self, now_s: float) -> None:
        self._at_s = now_s
        self._busy_s = processor_time().busy_s
        # The agent works for us: the more so, the faster we are.
        self._own_s = time.process_time() + process_seconds(self._agent)
        self._waited_s = _waited_s()


def _waited_s() -> float:
    """Return the seconds in which some task waited for a processor; 0.0 where nobody counts."""
    try:
        some = _PRESSURE.read_text().partition("\n")[0]
    except OSError:  # another system, or one that does not count it
        return 0.0
    return waited_s_of(some)


def waited_s_of(line: str) -> float:
    """Return the ``total`` of a line such as ``some avg10=0.0 avg60=0.0 avg300=0.0 total=1234``."""
    name, _, microseconds = line.rpartition("total=")
    return int(microseconds) / 1e6 if name.startswith("some") and microseconds.isdigit() else 0.0
