"""Tries again what failed for now, as often as a pace allows."""

from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom

from mesh.errors import NodeLost
from mesh.pulling.no_way import no_way_to
from mesh.pulling.pace import Pace

AGAIN = "run the same command again to resume"


class Later(Exception):
    """It may work the next time. ``wait_s`` None: after as long as the pace says."""

    def __init__(
        self,
        why: str,
        *,
        wait_s: float | None = None,
        reached: bool = True,
        refused: bool = False,
    ) -> None:
        super().__init__(why)
        self.wait_s = wait_s
        self.reached = reached  # somebody answered, if not well
        self.refused = refused  # not reached, as nobody listens there


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a host is asked, who is told of it, and how time passes."""

    host: str
    pace: Pace
    say: Callable[[str], None]
    wait: Callable[[float], None]  # of seconds

    def until_done(
        self, once: Callable[[], None], done_bytes: Callable[[], int], *, reached: bool = False
    ) -> None:
        """Call ``once`` until it raises no ``Later``.

        Args:
            done_bytes: how many bytes there are by now: who gets further may try for longer.
            reached: the host has answered before.

        Raises:
            NodeLost: too many tries in a row without progress.
        """
        failures, die = 0, SystemRandom()
        while True:
            before_bytes = done_bytes()
            try:
                once()
                return
            except Later as later:
                reached = reached or later.reached
                progress = done_bytes() - before_bytes >= self.pace.progress_bytes
                failures = 1 if progress else failures + 1
                if failures >= (self.pace.tries if reached else self.pace.tries_offline):
                    raise self._given_up(later, reached=reached) from None
                wait_s = later.wait_s
                if wait_s is None:
                    wait_s = self.pace.wait_s(failures, die)
                if reached:  # else one line will say that there is no way
                    self.say(f"{later}: trying again in {wait_s:.0f} s")
            self.wait(wait_s)

    def _given_up(self, last: Later, *, reached: bool) -> NodeLost:
        if not reached:
            return no_way_to(self.host, refused=last.refused)
        return NodeLost(f"{last}, {self.pace.tries} times in a row", hint=AGAIN)
