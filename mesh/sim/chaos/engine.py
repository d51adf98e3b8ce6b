"""The models of one machine, and the attempts that they answer.

It answers the true tokens at the pace of its profile, unless it is stuck, asleep, dead or broken.
Whatever it says is an event that the machine sends, if it can.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt

from mesh.core import events
from mesh.core.actions import StartAttempt
from mesh.core.events import Event
from mesh.core.types import (
    AttemptId,
    Failure,
    FailureCode,
    ModelId,
    Refusal,
    ReplicaState,
    ReplicaStatus,
    Request,
    Usage,
)
from mesh.sim.chaos.answers import Tokens, true_length, true_tokens
from mesh.sim.chaos.fate import Fate
from mesh.sim.chaos.judging import signs
from mesh.sim.profiles import Desk, Held

# Seldom, as it keeps a seed cheap; the real batches come every 25 to 100 ms.
PROGRESS_EVERY_S = 1.4
# No machine is faster than this, so that no answer is over before anything can happen to it.
TOKENS_PER_S_MAX = 50.0
LOAD_FAILS = 0.05  # of all loads
ADOPTED = 0.05  # of all answers: by an engine that tells no ids, so that nobody can go on

_DIED = Failure(FailureCode.INTERNAL_ERROR, "the engine died")
_NOT_LOADED = Failure(FailureCode.INTERNAL_ERROR, "the model could not be loaded")
_NOT_HELD = Failure(FailureCode.INTERNAL_ERROR, "the model is no longer here")
_TOO_LATE = Failure(FailureCode.DEADLINE_EXCEEDED, "the request's time ran out")


@dataclass(slots=True, eq=False)
class Answering:
    """An attempt under way."""

    start: StartAttempt
    held: Held
    prompt_tokens: int
    deadline_s: float
    offset: int  # of the next token
    length: int  # of the whole answer


class Engine:
    """All models of a machine. Mutable; every change comes due on the timeline."""

    def __init__(
        self,
        desk: Desk,
        fate: Fate,
        *,
        say: Callable[[Event, float], None],
        changed: Callable[[ModelId, float, bool], None],
    ) -> None:
        """``changed`` hears which replica is not as it was, and whether that must be told now."""
        self._fate, self._rng = fate, fate.rng
        self._say, self._changed = say, changed
        self.held = {each.offer.model.model_id: each for each in desk.held}
        self.answering: dict[AttemptId, Answering] = {}
        self.stuck_until_s = 0.0  # it computes nothing, and nobody knows
        self.paused_until_s = 0.0  # the machine sleeps
        self.short_until_s = 0.0  # of memory
        self.skips = False  # a bug: the next batch leaves out a token
        self.wall_ahead_s = 0.0  # what the machine's clock is wrong by; steps at any time
        self.reset()

    def reset(self) -> None:
        """Begin anew, as after a restart: whatever was under way is forgotten."""
        self.answering.clear()
        self.draining = False
        self.owner_busy = False
        self.listed = dict.fromkeys(self.held, True)  # what the node has; False: was removed
        self._taken = dict.fromkeys(self.held, 0)
        self._others = dict.fromkeys(self.held, 0)
        self._statuses = {model_id: each.at_first for model_id, each in self.held.items()}
        self._loaded_s: dict[ModelId, float] = {}

    def status(self, model_id: ModelId) -> ReplicaStatus:
        taken = self._taken[model_id] + self._others[model_id]
        return replace(self._statuses[model_id], slots_taken=taken)

    def take_for_others(self, model_id: ModelId, slots: int, now_s: float) -> None:
        """Its owner's programs, or another coordinator, use so many slots from now on."""
        room = self._statuses[model_id].slots - self._taken[model_id]
        self._others[model_id] = max(0, min(slots, room))
        self._changed(model_id, now_s, False)

    # -- attempts ----------------------------------------------------------------------------------

    def refusal(self, start: StartAttempt, now_s: float) -> Refusal | None:
        """Why it does not begin, if it does not: the node decides, the coordinator advises."""
        if self.draining:
            return Refusal.DRAINING
        if self.owner_busy:
            return Refusal.OWNER_BUSY
        model_id = start.model_id
        status = self._statuses[model_id]
        if status.state is not ReplicaState.WARM and now_s < self.short_until_s:
            return Refusal.NO_MEMORY
        if status.state is ReplicaState.LOADING and self._rng.random() < 0.1:
            return Refusal.LOADING
        full = self._taken[model_id] + self._others[model_id] >= status.slots
        return Refusal.BUSY if full else None

    def begin(self, start: StartAttempt, request: Request, now_s: float) -> None:
        """Take a slot and answer, from where the answer was cut."""
        attempt_id, model_id = start.attempt_id, start.model_id
        self._say(events.DeliveryOpened(attempt_id, start.epoch, attempt_id), now_s)
        if not self.listed[model_id] or self._statuses[model_id].state is ReplicaState.FAILED:
            self._say(events.AttemptFailed(attempt_id, _NOT_HELD), now_s)
            return
        held = self.held[model_id]
        self.answering[attempt_id] = Answering(
            start,
            held,
            max(1, request.prompt_bytes // 4),
            now_s + start.remaining_s,
            start.resumed_tokens,
            true_length(request, model_id),
        )
        self._taken[model_id] += 1
        if self._statuses[model_id].state is ReplicaState.AVAILABLE:
            self._set(model_id, ReplicaState.LOADING, now_s)
            self._loaded_s[model_id] = now_s + held.load_s
        else:
            self._changed(model_id, now_s, False)
        ready_s = max(now_s, self._loaded_s.get(model_id, 0.0))
        self._fate.at(ready_s, partial(self._prefill, attempt_id))

    def end(self, attempt_id: AttemptId, now_s: float) -> None:
        """Free the slot; one that is not answering here changes nothing."""
        answering = self.answering.pop(attempt_id, None)
        if answering is not None:
            self._taken[answering.start.model_id] -= 1
            self._changed(answering.start.model_id, now_s, False)

    def end_all(self, now_s: float) -> None:
        for attempt_id in list(self.answering):
            self.end(attempt_id, now_s)

    def die(self, now_s: float) -> None:
        """The engine processes are gone: attempts fail, and models are to be loaded again."""
        for attempt_id in list(self.answering):
            self._fail(attempt_id, _DIED, now_s)
        for model_id, status in self._statuses.items():
            if status.state in (ReplicaState.WARM, ReplicaState.LOADING):
                self._set(model_id, ReplicaState.AVAILABLE, now_s)

    # -- steps -------------------------------------------------------------------------------------

    def _prefill(self, attempt_id: AttemptId, now_s: float) -> Iterable[Event]:
        answering = self.answering.get(attempt_id)
        if answering is None:
            return ()
        if (later_s := max(self.paused_until_s, self.stuck_until_s)) > now_s:
            self._fate.at(later_s, partial(self._prefill, attempt_id))
            return ()
        model_id = answering.start.model_id
        if self._statuses[model_id].state is ReplicaState.LOADING:
            if self._rng.random() < LOAD_FAILS:
                self._load_failed(model_id, now_s)
                return ()
            self._set(model_id, ReplicaState.WARM, now_s)
        warm = answering.held.warm
        started = events.AttemptStarted(
            attempt_id,
            answering.prompt_tokens,
            warm.numerics,
            None,
            resumable=self._rng.random() >= ADOPTED,
        )
        self._say(started, now_s)
        prefill_s = answering.prompt_tokens / warm.prefill_tokens_per_s
        self._fate.at(now_s + prefill_s, partial(self._decode, attempt_id))
        return ()

    def _decode(self, attempt_id: AttemptId, now_s: float) -> Iterable[Event]:
        answering = self.answering.get(attempt_id)
        if answering is None:
            return ()
        if (later_s := max(self.paused_until_s, self.stuck_until_s)) > now_s:
            self._fate.at(later_s, partial(self._decode, attempt_id))
            return ()
        if now_s >= answering.deadline_s:
            self._fail(attempt_id, _TOO_LATE, now_s)
            return ()
        alone = min(TOKENS_PER_S_MAX, answering.held.warm.decode_tokens_per_s)
        rate = alone / sqrt(len(self.answering))
        first = answering.offset == answering.start.resumed_tokens
        batch = 1 if first else max(1, int(rate * PROGRESS_EVERY_S))
        count = min(batch, answering.length - answering.offset)
        if count > 0:
            self._emit(answering, count, now_s)
        if answering.offset < answering.length:
            self._fate.at(now_s + count / rate, partial(self._decode, attempt_id))
            return ()
        usage = Usage(answering.prompt_tokens, 0, answering.length)
        self.end(attempt_id, now_s)
        self._say(events.AttemptFinished(attempt_id, usage, None), now_s)
        return ()

    def _emit(self, answering: Answering, count: int, now_s: float) -> None:
        start, offset = answering.start, answering.offset
        answering.offset += count
        if self.skips and count > 1:
            self.skips, offset, count = False, offset + 1, count - 1
        ids = true_tokens(start.key, start.model_id, offset, count)
        tokens = Tokens(ids, now_s + self.wall_ahead_s)
        sure = signs(start.key, start.model_id, offset, count) if start.signs else ()
        progressed = events.AttemptProgressed(start.attempt_id, offset, count, tokens, sure)
        self._say(progressed, now_s)

    def _fail(self, attempt_id: AttemptId, failure: Failure, now_s: float) -> None:
        self.end(attempt_id, now_s)
        self._say(events.AttemptFailed(attempt_id, failure), now_s)

    def _load_failed(self, model_id: ModelId, now_s: float) -> None:
        self._set(model_id, ReplicaState.FAILED, now_s)
        for attempt_id, each in list(self.answering.items()):
            if each.start.model_id == model_id:
                self._fail(attempt_id, _NOT_LOADED, now_s)

    def _set(self, model_id: ModelId, state: ReplicaState, now_s: float) -> None:
        held = self.held[model_id]
        known = held.warm if state is ReplicaState.WARM else held.at_first
        self._statuses[model_id] = replace(known, state=state)
        self._changed(model_id, now_s, True)
