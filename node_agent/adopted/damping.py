"""When an engine that comes and goes is taken for one that stays. Pure: the caller passes the time.

An engine is offered as soon as it is there. One that went away again and again within a while must
first have stayed for longer each time, up to a bound: each coming and going changes every
coordinator's list of models, and fails whoever was just sent there.
"""

from dataclasses import dataclass, field

FREE_DEPARTURES = 2  # somebody restarts an engine to change a setting, and once more
WITHIN_S = 300.0  # departures that are longer ago are forgotten
STAY_FIRST_S, STAY_MAX_S = 5.0, 120.0


@dataclass(slots=True)
class Damping:
    """One engine's comings and goings."""

    _departures: list[float] = field(default_factory=list)  # at most as many as STAY_MAX_S needs
    _here_s: float | None = None  # since when it is there
    # It went more often than for somebody's restarts; until it has not gone for ``WITHIN_S``.
    restless: bool = False

    def came(self, now_s: float) -> None:
        """It is there; again, if it was already."""
        if self._here_s is None:
            self._here_s = now_s
        self.restless = self._is_restless(now_s)

    def left(self, now_s: float) -> None:
        if self._here_s is not None:
            self._here_s = None
            self._departures = [*self._recent(now_s), now_s][-8:]
            self.restless = self._is_restless(now_s)

    def wait_s(self, now_s: float) -> float:
        """Return for how long it has yet to stay before it is offered; 0.0: it may be."""
        if self._here_s is None:
            return STAY_MAX_S
        many = len(self._recent(now_s)) - FREE_DEPARTURES
        stay_s = min(STAY_MAX_S, STAY_FIRST_S * 2**many) if many >= 0 else 0.0
        return max(0.0, self._here_s + stay_s - now_s)

    def _is_restless(self, now_s: float) -> bool:
        recent = len(self._recent(now_s))
        return recent > FREE_DEPARTURES or (self.restless and recent > 0)

    def _recent(self, now_s: float) -> list[float]:
        return [each for each in self._departures if each > now_s - WITHIN_S]
