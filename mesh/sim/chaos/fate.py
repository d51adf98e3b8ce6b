"""What comes when, and the dice: all that a played world shares."""

from collections.abc import Callable, Iterable
from random import Random

from mesh.core.events import Event
from mesh.sim.timeline import Happening, Timeline


class Fate:
    """Mutable: a timeline, and the one ``Random`` that everything is drawn from."""

    __slots__ = ("at", "rng", "timeline")

    def __init__(self, timeline: Timeline, rng: Random) -> None:
        self.timeline, self.rng = timeline, rng
        self.at: Callable[[float, Happening], None] = timeline.at

    def later(self, wait_s: float, now_s: float, step: Callable[[float], object]) -> None:
        """Do ``step`` after a while."""

        def due(due_s: float) -> Iterable[Event]:
            step(due_s)
            return ()

        self.at(now_s + wait_s, due)

    def say_later(self, wait_s: float, now_s: float, event: Event) -> None:
        """Let the coordinator hear ``event`` after a while, from somebody beside it."""
        self.at(now_s + wait_s, lambda _: (event,))
