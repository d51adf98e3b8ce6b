"""When a changed advert may be sent: at least 10 s apart, so at most six a minute.

RFC 6762 section 8.4 allows ten updates a minute and asks for fewer. Between two, only the newest
value is kept: what was true for a moment in between is nobody's loss. A value that went and came
back before it was due is not sent at all. Pure: the caller passes the time.
"""

from typing import Generic, TypeVar

GAP_S = 10.0  # 6 updates a minute

Value = TypeVar("Value")


class Pacer(Generic[Value]):
    """Holds the newest value until it may be sent."""

    __slots__ = ("_gap_s", "_newest", "_sent", "_sent_at_s")

    def __init__(self, sent: Value, *, now_s: float, gap_s: float = GAP_S) -> None:
        """Begin with ``sent``, which counts as the first one sent."""
        self._gap_s = gap_s
        self._newest = self._sent = sent
        self._sent_at_s = now_s

    def offer(self, value: Value) -> None:
        """Replace whatever waits by ``value``."""
        self._newest = value

    def wait_s(self, now_s: float) -> float | None:
        """Return the seconds until a value is due, 0.0 if one is; None while there is none."""
        if self._newest == self._sent:
            return None
        return max(0.0, self._sent_at_s + self._gap_s - now_s)

    def take(self, now_s: float) -> Value | None:
        """Return the value to send now and count it as sent, or None if none is due."""
        if self.wait_s(now_s) != 0.0:
            return None
        self._sent, self._sent_at_s = self._newest, now_s
        return self._sent

    def __repr__(self) -> str:
        waits = "" if self._newest == self._sent else f", waits={self._newest!r}"
        return f"Pacer(sent={self._sent!r} at {self._sent_at_s:.1f} s{waits})"
