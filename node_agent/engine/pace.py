"""Looks at the machine between two steps of the model, and says with how many threads to go on."""

import os
import time
from collections.abc import Callable
from typing import Protocol, Self

from node_agent.engine.thread_governor import OtherWork, ThreadGovernor


class Others(Protocol):
    """What tells of the machine's other work: ``OthersLoad``."""

    def resume(self, now_s: float) -> None: ...

    def sample(self, now_s: float) -> OtherWork | None: ...


class Pace:
    """Belongs to the model's thread."""

    def __init__(
        self,
        governor: ThreadGovernor,
        others: Others | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``others``: None where there is nothing to decide."""
        self._governor = governor
        self._others = others
        self._clock = clock

    @classmethod
    def of_machine(cls, most: int) -> Self:
        """Follow this machine's load with at most so many threads."""
        if most == 1:
            return cls(ThreadGovernor(1, 1), None)
        import psutil  # takes 18 ms and 1 MB (measured), so only where it is used

        from node_agent.engine.others_load import OthersLoad

        cores = psutil.cpu_count(logical=False) or os.cpu_count() or most
        # Whoever wants more threads than cores has a reason: only other work makes it fewer.
        governor = ThreadGovernor(most, max(most, cores))
        try:
            return cls(governor, OthersLoad(time.monotonic()))
        except (OSError, psutil.Error):  # some sandboxes keep the machine's load to themselves
            return cls(governor, None)

    def threads(self) -> int:
        """Return how many threads shall compute the next step."""
        if self._others is not None:
            now_s = self._clock()
            seen = self._others.sample(now_s)
            if seen is not None:
                self._governor.saw(seen, now_s)
        return self._governor.threads

    def resume(self) -> None:
        """There was nothing to do: what others did meanwhile says nothing of the next step."""
        if self._others is not None:
            self._others.resume(self._clock())
