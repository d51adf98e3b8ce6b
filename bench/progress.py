"""Tells whoever waits for a long benchmark what it does, and how much of its time is left."""

import time


class Progress:
    """The time that a benchmark may take, from now on."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._began_s = time.monotonic()

    @property
    def taken_s(self) -> float:
        return time.monotonic() - self._began_s

    @property
    def left_s(self) -> float:
        return self._limit_s - self.taken_s

    def say(self, text: str) -> None:
        """Print a line, with the time left in front."""
        print(f"[{max(0.0, self.left_s):3.0f} s left] {text}", flush=True)

    def allows(self, what: str, needed_s: float) -> bool:
        """Whether ``needed_s`` are left; says so if not."""
        if self.left_s < needed_s:
            self.say(f"no time for {what}: needs {needed_s:.0f} s")
            return False
        return True
