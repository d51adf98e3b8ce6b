"""How much of this machine is lent while its owner uses it. Pure: signs in, decision out.

Rules:

1. What was begun is finished. A decision is about what is new, and only about what others ask: an
   owner's own programs are always served.
2. Nothing new at all is a hard word: where no other machine is, a request fails by it. So a busy
   moment is no reason; the engine's threads step aside at once anyway (``engine.thread_governor``).
3. A sign that the machine does not give counts as a good one.
"""

from dataclasses import dataclass
from math import ceil, inf

from mesh.settings import Generosity, OnBattery

BUSY_AFTER_S = 3.0  # opening a program keeps a machine busy for a second or two
IDLE_AFTER_S = 5.0  # the pauses of somebody's work are shorter
RELIEF = 0.8  # while busy, processor time must fall to this share of its limit

# Shares of the temperature at which the machine itself slows down. Too hot, it cools to hot first.
HOT, TOO_HOT = 0.90, 0.97
# Charged less, and not plugged in: it is the owner's. A little more, before it is lent again.
BATTERY_MIN, BATTERY_AGAIN = 0.40, 0.45
AT_KEYBOARD_S = 60.0  # a key or the mouse was touched since: somebody sits there
LESS = 0.5  # of the slots, where less is lent; one at least


@dataclass(frozen=True, slots=True)
class Signs:
    """What a machine shows of its owner at one moment."""

    cpu: float = 0.0  # share of the processors that other work of normal priority takes
    untouched_s: float | None = None  # since somebody typed; None: it is not known
    on_battery: bool = False
    battery: float | None = None  # share charged; None: there is none
    temperature: float | None = None  # share of what it bears; None: it is not known


@dataclass(frozen=True, slots=True)
class Lending:
    """What is lent now."""

    busy: str = ""  # why nothing new begins for others, for people; "": it may begin
    share: float = 1.0  # of each model's slots

    def slots(self, slots: int) -> int:
        """Return how many of a model's slots others may take."""
        return ceil(slots * self.share)


@dataclass(frozen=True, slots=True)
class _Limits:
    cpu: float  # the owner's work takes so much: nothing new
    keyboard: float  # share of the slots while somebody sits there; 0.0: nothing new
    hot: float = HOT  # fewer slots
    too_hot: float = TOO_HOT  # nothing new


_LIMITS = {
    Generosity.LOW: _Limits(cpu=0.5, keyboard=0.0),
    # On two cores, one that works all the time leaves the other one: 0.5 with some room.
    Generosity.BALANCED: _Limits(cpu=0.85, keyboard=LESS),
    # Heat is left to the machine, which slows down by itself.
    Generosity.FULL: _Limits(cpu=inf, keyboard=1.0, hot=inf, too_hot=inf),
}


class Lender:
    """Decides again at each look."""

    def __init__(self, generosity: Generosity, on_battery: OnBattery) -> None:
        self._limits = _LIMITS[generosity]
        self._on_battery = on_battery
        self._busy = ""
        self._since_s: float | None = None  # since when the signs have said otherwise

    def saw(self, signs: Signs, now_s: float) -> Lending:
        """Take in what the machine shows; return what is lent from now on."""
        reason = self._reason(signs, busy=bool(self._busy))
        if bool(reason) == bool(self._busy):
            self._since_s = None
            self._busy = reason
        else:
            self._since_s = now_s if self._since_s is None else self._since_s
            if now_s - self._since_s >= (BUSY_AFTER_S if reason else IDLE_AFTER_S):
                self._busy, self._since_s = reason, None
        return Lending(self._busy, self._share(signs))

    def _reason(self, signs: Signs, *, busy: bool) -> str:
        """Return why nothing new should begin. A machine that is ``busy`` stays so more easily."""
        if signs.cpu >= self._limits.cpu * (RELIEF if busy else 1.0):
            return "its owner's work needs its processors"
        if self._limits.keyboard == 0.0 and _at_keyboard(signs):
            return "its owner is at the keyboard"
        if signs.on_battery and self._on_battery is OnBattery.STOP:
            return "it runs on battery"
        if signs.on_battery and self._on_battery is OnBattery.LESS:
            charged = 1.0 if signs.battery is None else signs.battery
            if charged <= (BATTERY_AGAIN if busy else BATTERY_MIN):
                return "its battery is low"
        too_hot = self._limits.hot if busy else self._limits.too_hot
        if signs.temperature is not None and signs.temperature >= too_hot:
            return "it is too hot"
        return ""

    def _share(self, signs: Signs) -> float:
        shares = [1.0]
        if _at_keyboard(signs):
            shares.append(max(self._limits.keyboard, LESS))
        if signs.on_battery and self._on_battery is not OnBattery.SERVE:
            shares.append(LESS)
        if signs.temperature is not None and signs.temperature >= self._limits.hot:
            shares.append(LESS)
        return min(shares)


def _at_keyboard(signs: Signs) -> bool:
    return signs.untouched_s is not None and signs.untouched_s < AT_KEYBOARD_S
