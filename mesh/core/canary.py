"""How a model that nobody knows earns its part of ``auto``: watched, then tried, then trusted.

Think of a new colleague: at first they solve what others answer, and the two are compared; then
they answer a few themselves, looked over by another; from then on their record speaks.

1. New is who has no trusted P(ok), on ground that it was made for: its domains, or any prompt where
   it has none. Where nothing is known of any model all are equally new, and the policy decides:
   there only a specialist on its ground is tried.
2. As a *shadow* it answers copies of a share of such requests after the client was served.
3. As a *canary* it answers the share itself: only where another model would have answered, could
   now, and is asked as well to compare the two. Never in a session that another model has begun,
   nor under a policy that tries nothing out.
4. It is *promoted* once outcomes trust it: from then on P(ok) and cost decide, as for every model.
5. It is *rolled back* when its record is below what is asked of it by more than chance: what the
   incumbent's P(ok) is, or the policy's target where that is less. It answers then only where
   nobody else can, and is a shadow again, with a new record, after a rest.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from mesh.core.climb import Climb, Step
from mesh.core.limits import CANARY_SHARE
from mesh.core.outcomes import Label, Outcomes
from mesh.core.trial import TURNS, Record, Standing, Trial, Turn
from mesh.core.types import Capability, ModelId, Request

REST_S = 24 * 3600.0  # after the first time; twice as long after each further one
REST_S_MAX = 8 * REST_S
SAVED_MAX = 2.0  # draws: after a quiet time a newcomer gets no burst
TRIALS_KEPT_MAX = 1024  # as many models as outcomes are kept of


@dataclass(slots=True)
class Allowance:
    """Draws a share of requests, and never more than that share of them and one.

    Without the bound, chance would now and then give a newcomer several in a row.
    """

    saved: float = 1.0

    def draw(self, share: float, rng: Random) -> bool:
        self.saved = min(SAVED_MAX, self.saved + share)
        if self.saved < 1.0 or rng.random() >= share:
            return False
        self.saved -= 1.0
        return True


@dataclass(slots=True)
class Newcomers:
    """Mutable; only ``Fleet.handle`` changes it. Bounded: whoever came first is forgotten."""

    outcomes: Outcomes
    share: float = CANARY_SHARE  # 0: nobody is tried
    _trials: dict[ModelId, Trial] = field(default_factory=dict, repr=False)
    _shadows: Allowance = field(default_factory=Allowance)
    _canaries: Allowance = field(default_factory=Allowance)
    _active: int = 0  # that are shadows or canaries

    @property
    def tried(self) -> bool:
        """Is any of them compared with others now?"""
        return self._active > 0 and self.share > 0.0

    def standing(self, model_id: ModelId) -> Standing | None:
        """Return how far a model has come; None: it was never tried."""
        trial = self._trials.get(model_id)
        return trial.standing if trial is not None and trial.standing is not Standing.NEW else None

    def judged(self, given: Label, now_s: float) -> list[str]:
        """An answer was judged; return what an operator should know. Call it for every label."""
        trial = self._trial(given.model_id)
        if trial.standing in {Standing.NEW, Standing.SHADOW, Standing.CANARY}:
            trial.record.add(given)
        return self._review(given.model_id, trial, now_s)

    def put_back(self, climb: Climb) -> None:
        """Let those that were rolled back come last."""
        back = [step for step in climb.order if self._is_back(step)]
        if back:
            climb.together -= sum(self._is_back(step) for step in climb.order[: climb.together])
            climb.order = (*(step for step in climb.order if step not in back), *back)
            climb.moved = True

    def consider(self, climb: Climb, request: Request, rng: Random, now_s: float) -> list[str]:
        """Let a newcomer have its part of this request, if it is its turn.

        Returns what an operator should know. ``climb`` says who was drawn: a canary comes first
        in it, a shadow is asked afterwards.
        """
        if not self.share > 0.0 or (incumbent := _incumbent(climb, request)) is None:
            return []
        told: list[str] = []
        drawn: dict[Standing, list[tuple[int, Step]]] = {}
        for step in _newcomers(climb, incumbent):
            trial = self._trial(step.model_id)
            trial.name = step.name
            trial.meet(incumbent, request.policy.target)
            before = trial.standing
            told += self._meet(step.model_id, trial, now_s)
            if trial.standing is before:  # else from the next request on: this answer is not kept
                drawn.setdefault(before, []).append((trial.record.answers, step))
        canaries, shadows = drawn.get(Standing.CANARY), drawn.get(Standing.SHADOW)
        if canaries and self._canaries.draw(self.share, rng):
            answers, step = min(canaries, key=lambda each: (each[0], each[1].model_id))
            climb.try_first(step, f"{step.name} is new: a canary, after {answers} compared answers")
        elif shadows and self._shadows.draw(self.share, rng):
            _, step = min(shadows, key=lambda each: (each[0], each[1].model_id))
            climb.on_trial = step.model_id
        return told

    def _is_back(self, step: Step) -> bool:
        return not step.known and self.standing(step.model_id) is Standing.ROLLED_BACK

    def _meet(self, model_id: ModelId, trial: Trial, now_s: float) -> list[str]:
        """A prompt that it is made for is here, and its P(ok) is not trusted."""
        told: list[str] = []
        if trial.standing is Standing.NEW:
            told = self._take(trial, Turn.MET, now_s)
        elif trial.standing is Standing.ROLLED_BACK and now_s >= trial.rests_until_s:
            told = self._take(trial, Turn.RESTED, now_s)
        elif trial.standing is Standing.PROMOTED:
            told = self._take(trial, Turn.FADED, now_s)
        return told + self._review(model_id, trial, now_s)

    def _review(self, model_id: ModelId, trial: Trial, now_s: float) -> list[str]:
        """Take every turn that the record calls for."""
        told: list[str] = []
        while trial.standing in {Standing.SHADOW, Standing.CANARY}:
            turn = trial.turn(trusted=self.outcomes.trusted(model_id))
            if turn is None:
                break
            told += self._take(trial, turn, now_s)
        return told

    def _take(self, trial: Trial, turn: Turn, now_s: float) -> list[str]:
        before, record = trial.standing, trial.record
        trial.standing = TURNS[before, turn]
        self._active += (trial.standing in _TRIED) - (before in _TRIED)
        line = f"model {trial.name} is {_WORDS[trial.standing]} now: {turn}"
        if record.weight:
            mean = record.score / record.weight
            line += f" ({mean:.2f} over {record.answers} answers, {trial.bar:.2f} is asked)"
        if trial.standing is Standing.ROLLED_BACK:
            trial.rests += 1
            trial.rests_until_s = now_s + min(REST_S_MAX, REST_S * 2.0 ** (trial.rests - 1))
        if turn in {Turn.RESTED, Turn.FADED}:
            trial.record = Record()
        return [line]

    def _trial(self, model_id: ModelId) -> Trial:
        trial = self._trials.get(model_id)
        if trial is None:
            if len(self._trials) >= TRIALS_KEPT_MAX:
                gone = self._trials.pop(next(iter(self._trials)))
                self._active -= gone.standing in _TRIED
            trial = self._trials[model_id] = Trial(name=model_id)
        return trial


_TRIED: Final = frozenset({Standing.SHADOW, Standing.CANARY})
_WORDS: Final = {
    Standing.SHADOW: "a shadow",
    Standing.CANARY: "a canary",
    Standing.PROMOTED: "promoted",
    Standing.ROLLED_BACK: "rolled back",
}


def _incumbent(climb: Climb, request: Request) -> Step | None:
    """Return who answers where a newcomer could be tried; None: it is no request for that."""
    if climb.stands_in or climb.together or not request.policy.cascade:
        return None
    # What cannot be compared afterwards is no place to try anything.
    watched = request.assessment.p_ok and not request.resumed_tokens
    if not watched or Capability.TOOLS in request.needs:
        return None
    if any(step.stays > 0.0 for step in climb.order):
        return None
    return next((step for step in climb.order if step.able), None)


def _newcomers(climb: Climb, incumbent: Step) -> Iterator[Step]:
    for step in climb.order:
        if step is incumbent or step.known or step.cloud is not None or not step.able:
            continue
        if step.specialist or (step.on_ground and incumbent.known):
            yield step


def on_trial(step: Step, standing: Standing | None) -> Step:
    """Return the step with how far its model has come, for the receipt."""
    return step if standing is None else replace(step, standing=standing.value)
