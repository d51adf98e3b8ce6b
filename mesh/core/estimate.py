"""A typical value, learned from samples of which some are wild or lies.

Times and rates of machines spread by factors, not by amounts: the average is that of logarithms.
One sample may move it by no more than a few times their usual spread: a machine that hung once is
not slow, and nobody shouts an average up. A level that did change widens the spread that is
expected, and is followed within some ten samples.
"""

from dataclasses import dataclass
from math import exp, log

VALUE_MIN, VALUE_MAX = 1e-9, 1e9  # beyond, and NaN: no measurement of anything that we estimate
GAIN_MIN = 0.1  # the last ten samples make up two thirds of the average
WEIGHT_MAX = 20.0  # no more samples than that are in the average, so that trust in them can fade
SPREAD_FIRST = 1.0  # nobody knows yet how far samples lie apart: a factor of e
# A sample moves it as far as one that lies so many spreads away (Huber's estimator, which takes 1.5
# standard deviations, some 2 of these). With fewer than 3, a tenth of wild samples would not widen
# what is expected, and neither would a level that did change.
CLIP_SPREADS = 3.0
CLIP_LEAST = 0.3  # so that a run of equal samples does not make it deaf


@dataclass(slots=True)
class Estimate:
    """The running average of a positive quantity. Constant in time and memory."""

    weight: float = 0.0  # how many samples it stands on; 0: it knows nothing
    _log: float = 0.0
    _spread: float = SPREAD_FIRST  # mean distance of samples, as logarithms

    def __repr__(self) -> str:
        return f"{self.value:.3g} of {self.weight:.0f}" if self.weight else "unknown"

    @property
    def value(self) -> float:
        """The average; 1.0 while it knows nothing."""
        return exp(self._log)

    def add(self, value: float) -> None:
        """Take in a sample; one that measures nothing is ignored."""
        if not VALUE_MIN <= value <= VALUE_MAX:
            return
        if self.weight <= 0.0:
            self._log, self.weight = log(value), 1.0
            return
        self.weight = min(WEIGHT_MAX, self.weight + 1.0)
        gain = min(1.0, max(1.0 / self.weight, GAIN_MIN))  # of a faded one: as if it were new
        away = log(value) - self._log
        limit = max(CLIP_LEAST, CLIP_SPREADS * self._spread)
        clipped = min(limit, max(-limit, away))
        self._log += gain * clipped
        self._spread += gain * (abs(clipped) - self._spread)

    def fade(self, share: float) -> None:
        """Trust it less, as it grows old: keep this ``share`` of its weight."""
        self.weight *= min(1.0, max(0.0, share))
