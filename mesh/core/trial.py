"""One newcomer's trial: how far it has come, its record, and what that calls for.

What an audit asks is less than what a person does. Two models that are right independently, with
p and q, agree about p x q of the time (few wrong answers are alike), so that is what one is asked.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from math import sqrt
from typing import Final

from mesh.core.climb import Step
from mesh.core.outcomes import Label, Source

SHADOW_ANSWERS = 50  # compared before it answers anybody
# Of what is asked, by a bound from below: a canary is watched, so it need not be proved good yet.
FLOOR_SHARE = 0.75
UP_ERRORS = 1.645  # standard errors, of one side: 95 %
BACK_ERRORS = (
    3.0  # looked at with every label, so that a good one is rolled back by bad luck rarely
)
# Comparisons that told nothing, as one is brief and the other is not. Whoever cannot be compared
# cannot be watched: such a one never becomes a canary, or is none any longer.
UNTOLD_MAX, UNTOLD_SHARE = 100, 0.8
BAR_WEIGHT = 0.05  # of the newest request in what is asked: some twenty of them


class Standing(StrEnum):
    """How far a newcomer has come."""

    NEW = "new"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"


class Turn(StrEnum):
    """What changes a standing, in words for the operator."""

    MET = "a prompt came that it was made for: its answers are compared first, and shown to nobody"
    HELD_UP = "its answers hold up: it answers a few requests itself, and is compared each time"
    FELL_BEHIND = "its answers are worse than what is asked of it, by more than chance"
    TRUSTED = "enough of its answers were judged: P(ok) and cost decide, as for every model"
    UNTOLD = (
        "its answers cannot be compared with the usual ones by their words: give it a head by"
        " `deskmesh route train`"
    )
    RESTED = "it has rested long enough: its answers are compared anew"
    FADED = "what was known of it is too old: its answers are compared anew"


TURNS: Final = {
    (Standing.NEW, Turn.MET): Standing.SHADOW,
    (Standing.SHADOW, Turn.HELD_UP): Standing.CANARY,
    (Standing.SHADOW, Turn.FELL_BEHIND): Standing.ROLLED_BACK,
    (Standing.SHADOW, Turn.UNTOLD): Standing.ROLLED_BACK,
    (Standing.CANARY, Turn.FELL_BEHIND): Standing.ROLLED_BACK,
    (Standing.CANARY, Turn.UNTOLD): Standing.ROLLED_BACK,
    (Standing.CANARY, Turn.TRUSTED): Standing.PROMOTED,
    (Standing.ROLLED_BACK, Turn.RESTED): Standing.SHADOW,
    (Standing.PROMOTED, Turn.FADED): Standing.SHADOW,
}


@dataclass(slots=True)
class Record:
    """What was said of a newcomer's answers. Mutable; only ``Newcomers`` changes it."""

    answers: int = 0
    weight: float = 0.0  # of their labels
    score: float = 0.0  # weighted
    audited: float = 0.0  # of ``weight``, what audits said
    untold: int = 0  # further answers, of which a comparison told nothing: labels of no weight

    def add(self, given: Label) -> None:
        if not given.weight > 0.0:
            self.untold += 1
            return
        if given.instead_of is not None:  # the answer was counted already, only otherwise
            self.score += given.weight * (given.score - given.instead_of)
            return
        self.answers += 1
        self.weight += given.weight
        self.score += given.weight * given.score
        self.audited += given.weight if given.source is Source.AUDIT else 0.0

    @property
    def tells_nothing(self) -> bool:
        told = self.answers + self.untold
        return self.untold >= UNTOLD_MAX and self.untold >= UNTOLD_SHARE * told

    def bounds(self, errors: float) -> tuple[float, float]:
        """Return between what its true mean score is likely, ``errors`` standard errors each way.

        Source: Wilson, JASA 22 (1927). The labels' weight is taken for their number, which is
        cautious: a doubtful label is a part of one.
        """
        if self.weight <= 0.0:
            return 0.0, 1.0
        share = min(1.0, max(0.0, self.score / self.weight))
        square = errors * errors / self.weight
        middle = (share + square / 2.0) / (1.0 + square)
        away = sqrt(share * (1.0 - share) / self.weight * errors**2 + square**2 / 4.0)
        return middle - away / (1.0 + square), middle + away / (1.0 + square)


@dataclass(slots=True)
class Trial:
    """One newcomer. Mutable; only ``Newcomers`` changes it."""

    name: str = ""
    standing: Standing = Standing.NEW
    record: Record = field(default_factory=Record)
    asked: float = 0.0  # score that people's labels should show; 0: nobody knows yet
    asked_by_audits: float = 0.0
    rests: int = 0
    rests_until_s: float = 0.0

    def meet(self, incumbent: Step, target: float) -> None:
        """Take note of who answers now where it could."""
        asked = min(incumbent.rank, target)
        weight = BAR_WEIGHT if self.asked else 1.0
        self.asked += weight * (asked - self.asked)
        self.asked_by_audits += weight * (asked * incumbent.rank - self.asked_by_audits)

    @property
    def bar(self) -> float:
        """Return the mean score that the labels so far should show."""
        audited = self.record.audited / self.record.weight if self.record.weight else 0.0
        return audited * self.asked_by_audits + (1.0 - audited) * self.asked

    def turn(self, *, trusted: bool) -> Turn | None:
        """Return what its record calls for now."""
        if not self.asked:
            return None  # labels of before a restart: nobody has met it yet
        if self.record.bounds(BACK_ERRORS)[1] < self.bar:
            return Turn.FELL_BEHIND
        if self.record.tells_nothing:
            return Turn.UNTOLD
        if self.standing is Standing.CANARY:
            return Turn.TRUSTED if trusted else None
        enough = self.record.answers >= SHADOW_ANSWERS
        held_up = enough and self.record.bounds(UP_ERRORS)[0] >= FLOOR_SHARE * self.bar
        return Turn.HELD_UP if held_up else None
