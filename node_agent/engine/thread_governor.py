"""How many threads the model computes with, beside the machine's other work. Pure: time is passed.

Threads wait for each other some hundred times a token. One that has to share its core with other
work holds up all of them, so one thread too many costs more than one too few. Measured on 2 cores
of which other work keeps one busy (135M, Q8_0; tokens/s at 1, 4 and 16 sequences): one thread 49,
74 and 110, two 20, 45 and 92; with one above the other in priority as we are, 37, 55 and 71 to 16,
32 and 58. So: down at once, up only when there was room for a while. What others used is what they
wanted: we step back behind them (nice), so the kernel gives it to them first.
"""

from collections import deque
from dataclasses import dataclass

# Room must last so long. Half of the 3 s within which a machine is to be fast again whose owner
# left, and longer than the pauses of a program that works in bursts, such as a build.
UP_AFTER_S = 1.5
# Some task waits for a processor for so much of the time: the machine is fuller than its processor
# time tells, as where a container is given less than its cores. Not the moment to take more.
WAITING_MAX = 0.25


@dataclass(frozen=True, slots=True)
class OtherWork:
    """What the machine did beside this engine since the sample before."""

    cores: float  # that it kept busy, on average
    waiting: float  # share of the time in which some task of the machine waited; 0.0: unknown


class ThreadGovernor:
    """Follows the samples. Begins with all threads: the first sample comes a moment later."""

    def __init__(self, most: int, cores: int) -> None:
        """``most`` threads are wanted where nothing else runs; the machine has ``cores``."""
        self.threads = most
        self._most = most
        self._cores = cores
        self._room: deque[tuple[float, int]] = deque()  # when, and for how many; of UP_AFTER_S

    def saw(self, others: OtherWork, now_s: float) -> None:
        """Take in a sample. ``threads`` is then the fewest that there was room for, at any time in
        the last ``UP_AFTER_S``."""
        while self._room and self._room[0][0] <= now_s - UP_AFTER_S:
            self._room.popleft()
        room = max(1, min(self._most, int(self._cores - others.cores + 0.5)))
        if others.waiting > WAITING_MAX:
            room = min(room, self.threads)
        self._room.append((now_s, room))
        self.threads = min(room for _, room in self._room)
