"""What falls due when: at most one deadline of a kind for each owner."""

import heapq
from collections.abc import Container
from dataclasses import dataclass, field
from enum import IntEnum

from mesh.core.types import AttemptId, NodeId, RequestKey


class Due(IntEnum):
    """Which kind of deadline it is."""

    SILENCE = 1  # a node may have been silent for too long
    DEADLINE = 2  # a request's time may have run out
    DELIVERY = 3  # an attempt's answer stream should be open by now
    LINE = 4  # requests that wait may have nothing left to wait for
    STANDSTILL = 5  # an attempt may have given nothing for too long
    PULSE = 6  # we should be awake, see ``mesh.core.doubt``
    EJECTION = 7  # a node's pause may be over, see ``mesh.core.breaker``


# What is held against a node: it moves when it was we who did not listen.
BLAMING = frozenset({Due.SILENCE, Due.DELIVERY, Due.STANDSTILL})


Owner = NodeId | RequestKey | AttemptId | None

# Entries that no longer hold stay on the heap until they are due or outnumber those that hold: a
# deadline is 600 s by default, and a request rarely takes that long.
_STALE_MIN = 64  # below this a sweep is not worth its while


@dataclass(slots=True)
class Timers:
    """Deadlines in seconds; none may be NaN. Bounded by what the fleet holds."""

    _heap: list[tuple[float, int, Due, Owner]] = field(default_factory=list)
    _holding: dict[tuple[Due, Owner], int] = field(default_factory=dict)  # -> number on the heap
    _count: int = 0  # breaks ties in order of entry; owners do not compare

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, due_s: float, kind: Due, owner: Owner = None) -> None:
        """Put in a deadline; it takes the place of an earlier one of this kind and owner."""
        self._count += 1
        self._holding[kind, owner] = self._count
        heapq.heappush(self._heap, (due_s, self._count, kind, owner))
        self._sweep()

    def clear(self, kind: Due, owner: Owner = None) -> None:
        if self._holding.pop((kind, owner), None) is not None:
            self._sweep()

    def postpone(self, kinds: Container[Due], by_s: float) -> None:
        """Move every deadline of these ``kinds``. Looks at all there are."""
        self._heap = [
            (entry[0] + by_s, *entry[1:]) if entry[2] in kinds else entry for entry in self._heap
        ]
        heapq.heapify(self._heap)

    def is_set(self, kind: Due, owner: Owner = None) -> bool:
        return (kind, owner) in self._holding

    def pop_due(self, now_s: float) -> tuple[Due, Owner] | None:
        """Take the earliest deadline that has passed, or return None."""
        while self._heap and self._heap[0][0] <= now_s:
            entry = heapq.heappop(self._heap)
            if self._holds(entry):
                _, _, kind, owner = entry
                del self._holding[kind, owner]
                return kind, owner
        return None

    @property
    def next_due_s(self) -> float | None:
        """Nothing is due before this; None: nothing at all."""
        return self._heap[0][0] if self._heap else None

    def _sweep(self) -> None:
        """Drop what no longer holds once it is the larger part: each entry is swept once."""
        if len(self._heap) > _STALE_MIN + 2 * len(self._holding):
            self._heap = [entry for entry in self._heap if self._holds(entry)]
            heapq.heapify(self._heap)

    def _holds(self, entry: tuple[float, int, Due, Owner]) -> bool:
        _, number, kind, owner = entry
        return self._holding.get((kind, owner)) == number
