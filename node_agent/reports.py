"""What a node reports, and when. Pure: the caller passes the time.

A report leaves each beat, so that silence means something. It leaves early where a replica changed:
at once for what a coordinator must know to act rightly, a little later for slots that come and go.
Whoever gives us work knows by itself that a slot is taken and when it is free again, so most
answers are never reported at all; what was reported as full, though, must not stay so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from mesh.core.types import ReplicaStatus

GAP_S = 0.005  # between two reports: at most 200 a second, however many short answers end
SLOTS_WITHIN_S = 0.25  # other coordinators may be wrong so long, which costs a refusal at most
# Between two lists of models: while a folder is read, there is not one for each file. A list costs
# in proportion to its length, and whoever has few models may be asked at once.
INVENTORY_GAP_S_A_MODEL = 0.02
INVENTORY_GAP_S_MAX = 1.0
EVERYTHING_EVERY = 30  # beats between reports of every replica, which mend whatever was lost


class Change(Enum):
    """What happened to a replica."""

    STATE = auto()  # loaded, failed, gone cold
    REFUSED = auto()  # none, but somebody believed what is not so
    SLOT_TAKEN = auto()
    SLOT_FREED = auto()
    PREFIXES = auto()  # its slots hold other beginnings of prompts than before


@dataclass(frozen=True, slots=True)
class Due:
    """One report to be written now."""

    sequence: int
    replicas: frozenset[int] | None  # their ordinals; None: all
    inventory: bool  # the model list goes first


class ReportSchedule:
    """The reports of one attach. ``hello`` held the first one, with sequence 0 and everything."""

    __slots__ = (
        "_beat_every_s",
        "_due_s",
        "_everything_s",
        "_inventory_from_s",
        "_inventory_waits",
        "_last_s",
        "_replicas",
        "_sequence",
        "_told_full",
    )

    def __init__(self, *, beat_every_s: float, now_s: float) -> None:
        self._beat_every_s = beat_every_s
        self._last_s = now_s
        self._due_s = now_s + beat_every_s
        self._everything_s = now_s + EVERYTHING_EVERY * beat_every_s
        self._sequence = 0
        self._replicas: set[int] = set()
        self._told_full: set[int] = set()
        self._inventory_waits = False
        self._inventory_from_s = now_s

    def replica_changed(self, ordinal: int, change: Change, now_s: float) -> None:
        """Report this replica, at once or soon."""
        self._replicas.add(ordinal)
        freed = change is Change.SLOT_FREED and ordinal in self._told_full
        at_once = freed or change in {Change.STATE, Change.REFUSED}
        self._hurry(now_s if at_once else now_s + SLOTS_WITHIN_S)

    def inventory_changed(self, now_s: float) -> None:
        """Tell the whole model list again, and every replica's status with it."""
        self._inventory_waits = True
        self._hurry(max(now_s, self._inventory_from_s))

    def told(self, statuses: Iterable[tuple[int, ReplicaStatus]]) -> None:
        """Remember what a report, or ``hello``, says of replicas."""
        for ordinal, status in statuses:
            if status.slots_taken >= status.slots:
                self._told_full.add(ordinal)
            else:
                self._told_full.discard(ordinal)

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until the next report, 0.0 if it is due."""
        return max(0.0, self._due_s - now_s)

    def take(self, now_s: float, models: int = 0) -> Due | None:
        """Return the report to write now, or None if none is due.

        Args:
            models: so many are on the list, if that is told.
        """
        if self._due_s > now_s:
            return None
        inventory = self._inventory_waits and now_s >= self._inventory_from_s
        everything = inventory or now_s >= self._everything_s
        due = Due(self._sequence + 1, None if everything else frozenset(self._replicas), inventory)
        self._sequence += 1
        self._last_s = now_s
        self._due_s = now_s + self._beat_every_s
        self._replicas.clear()
        if everything:
            self._everything_s = now_s + EVERYTHING_EVERY * self._beat_every_s
        if inventory:
            self._inventory_waits = False
            gap_s = INVENTORY_GAP_S_A_MODEL * max(1, models)
            self._inventory_from_s = now_s + min(INVENTORY_GAP_S_MAX, gap_s)
        elif self._inventory_waits:
            self._hurry(self._inventory_from_s)
        return due

    def _hurry(self, due_s: float) -> None:
        self._due_s = min(self._due_s, max(due_s, self._last_s + GAP_S))
