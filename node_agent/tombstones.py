"""Attempts that were cancelled before their start came. Pure: the caller passes the time."""

from mesh.core.types import AttemptId

KEPT_S = 60.0  # a start that is later than this was given up by its coordinator long ago
# A cancel that overtakes its start is rare; as many as a coordinator's outbox can hold is plenty,
# and 4,096 ids are 400 KB.
TOMBSTONES_MAX = 4096


class Tombstones:
    """A bounded set of attempt ids that must not begin."""

    __slots__ = ("_buried_s",)

    def __init__(self) -> None:
        self._buried_s: dict[AttemptId, float] = {}  # in order of time

    def bury(self, attempt_id: AttemptId, now_s: float) -> None:
        """Remember that ``attempt_id`` was cancelled."""
        self._forget(now_s)
        self._buried_s.pop(attempt_id, None)
        while len(self._buried_s) >= TOMBSTONES_MAX:
            del self._buried_s[next(iter(self._buried_s))]
        self._buried_s[attempt_id] = now_s

    def unearth(self, attempt_id: AttemptId, now_s: float) -> bool:
        """Return whether ``attempt_id`` was cancelled before it came; forgets it."""
        if not self._buried_s:  # the usual case, on the way to a first token
            return False
        self._forget(now_s)
        return self._buried_s.pop(attempt_id, None) is not None

    def _forget(self, now_s: float) -> None:
        while self._buried_s:
            oldest = next(iter(self._buried_s))
            if now_s - self._buried_s[oldest] < KEPT_S:
                return
            del self._buried_s[oldest]

    def __len__(self) -> int:
        return len(self._buried_s)
