"""How many answers an adopted engine works on at a time, learned from our own traffic. Pure.

An engine that takes more than it can work on lets the rest wait, and says nothing; others refuse
with 429 or 503. So it begins with ``SLOTS_FIRST``, or what the engine itself tells:

- it grows by one when several answers in a row began as soon beside others as alone, while all
  slots were taken: nobody waited in the engine, so one more may not wait either;
- it shrinks to what ran well when answers beside others began late, and at once when the engine
  refused: then to what it was working on;
- after each time that it shrank, growing takes twice as many, so that it does not swing for ever.
"""

from dataclasses import dataclass

SLOTS_FIRST = 2  # Ollama takes 1 to 4 at a time, as its memory allows; llama.cpp's server tells
SLOTS_MAX = 32  # a vLLM on a desk's GPU; more of one machine helps nobody before it is measured
GROW_AFTER, GROW_AFTER_MAX = 3, 48  # answers
SHRINK_AFTER = 2  # late ones in a row: one may have had a longer prompt
LATE_FACTOR, LATE_S = 3.0, 0.5  # of the usual first token, and on top of it
PAST_WEIGHT = 0.8  # of the usual, at each new sample


@dataclass(slots=True)
class Crowd:
    """The answers under way at one engine and model, and how many there may be."""

    slots: int = SLOTS_FIRST
    told: bool = False  # the engine says how many it works on, and only refusals change that
    running: int = 0
    _alone_s: float = 0.0  # until the first token, where nobody else was answered; 0: not known
    _early: int = 0  # answers in a row
    _late: int = 0
    _grow_after: int = GROW_AFTER

    def hear(self, slots: int) -> None:
        """The engine says how many it works on."""
        if slots and not self.told:
            self.told, self.slots = True, min(SLOTS_MAX, slots)

    def begin(self) -> int:
        """One more is asked for; return how many there are now."""
        self.running += 1
        return self.running

    def end(self) -> None:
        self.running -= 1

    def began(self, first_token_s: float, beside: int) -> None:
        """An answer's first token came, of a model that was loaded.

        Args:
            first_token_s: since it was asked for.
            beside: answers under way when it was asked for, itself included.
        """
        if beside <= 1:
            past_s = self._alone_s or first_token_s
            self._alone_s = PAST_WEIGHT * past_s + (1 - PAST_WEIGHT) * first_token_s
            return
        if self.told or not self._alone_s:
            return
        if first_token_s > LATE_FACTOR * self._alone_s + LATE_S:
            self._early, self._late = 0, self._late + 1
            if self._late >= SHRINK_AFTER:
                self._shrink(beside - 1)
        elif beside >= self.slots:
            self._late, self._early = 0, self._early + 1
            if self._early >= self._grow_after and self.slots < SLOTS_MAX:
                self.slots += 1
                self._early = 0

    def refused(self) -> None:
        """The engine takes no more beside those that it works on."""
        self._shrink(self.running - 1)

    def _shrink(self, slots: int) -> None:
        self.slots = max(1, min(self.slots, slots))
        self._early = self._late = 0
        self._grow_after = min(GROW_AFTER_MAX, 2 * self._grow_after)
