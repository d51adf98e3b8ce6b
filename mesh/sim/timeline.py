"""What happens next, on a virtual clock."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from mesh.core.events import Event

Happening = Callable[[float], Iterable[Event]]


@dataclass(slots=True)
class Timeline:
    """Happenings by due time; those of one instant in the order in which they were set."""

    _due: list[tuple[float, int, Happening]] = field(default_factory=list)
    _made: int = 0

    @property
    def next_due_s(self) -> float | None:
        return self._due[0][0] if self._due else None

    def at(self, due_s: float, happening: Happening) -> None:
        """Let ``happening(due_s)`` come due; it says which events follow, and sets others."""
        self._made += 1
        heappush(self._due, (due_s, self._made, happening))

    def take(self) -> Happening:
        """Take the next happening off; there must be one."""
        return heappop(self._due)[2]

    def pop_due(self, now_s: float) -> Iterable[Event]:
        """Yield the events of all that is due by ``now_s``, in order."""
        while self._due and self._due[0][0] <= now_s:
            due_s, _, happening = heappop(self._due)
            yield from happening(due_s)
