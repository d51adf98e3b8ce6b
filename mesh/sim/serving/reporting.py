"""When a node reports, as ``node_agent.reports`` does: each beat, and early where slots changed."""

BEAT_S = 1.0
SLOTS_WITHIN_S = 0.25
GAP_S = 0.005


class Reporting:
    """The next report of one node, and what it is about."""

    __slots__ = ("_changed", "_last_s", "_told_full", "due_s", "sequence")

    def __init__(self, first_s: float) -> None:
        self.due_s = first_s
        self.sequence = 0
        self._last_s = first_s - BEAT_S
        self._changed = False
        self._told_full = False

    def changed(self, now_s: float, *, at_once: bool = False, freed: bool = False) -> bool:
        """Report a change, at once or soon; True if the next report is due earlier than it was."""
        self._changed = True
        at_once = at_once or (freed and self._told_full)
        due_s = max(now_s if at_once else now_s + SLOTS_WITHIN_S, self._last_s + GAP_S)
        if due_s >= self.due_s:
            return False
        self.due_s = due_s
        return True

    def take(self, now_s: float, *, full: bool) -> bool:
        """Take the report that is due now; True if it tells of a change."""
        changed, self._changed = self._changed, False
        if changed:
            self._told_full = full
        self.sequence += 1
        self._last_s = now_s
        self.due_s = now_s + BEAT_S
        return changed
