"""One machine that serves a model: what its agent hears and says, over a network with delays.

It takes or refuses attempts by its own slots, loads the model for the first, and tells of tokens:
the first at once, the others with each report, about every second. Owners, sleep and faults are not
played here.
"""

from collections.abc import Iterable
from functools import partial
from math import exp
from random import Random

from mesh.core import events
from mesh.core.actions import AdmitNode, StartAttempt
from mesh.core.events import Event
from mesh.core.types import (
    AttemptId,
    Epoch,
    Load,
    Refusal,
    ReplicaState,
    ReplicaStatus,
    Usage,
)
from mesh.sim.profiles import Desk
from mesh.sim.serving.arrivals import Ask
from mesh.sim.serving.measured import Rate, Rates
from mesh.sim.serving.reporting import BEAT_S, Reporting
from mesh.sim.serving.service import Pace, Service, Work
from mesh.sim.timeline import Timeline

PING_EVERY_S = 5.0  # as the coordinator does


class Machine:
    """Mutable; everything comes due on the timeline."""

    def __init__(self, desk: Desk, connection_id: int, timeline: Timeline, rng: Random) -> None:
        (held,) = desk.held
        self.desk, self.held, self.connection_id = desk, held, connection_id
        self.model_id = held.offer.model.model_id
        warm = held.warm
        self.service = Service(
            Pace(1 / warm.prefill_tokens_per_s, 1 / warm.decode_tokens_per_s, desk.kind.batch_cost)
        )
        self.state = held.at_first.state
        self.ready_s = 0.0  # when a load is over
        self.on_their_way: dict[AttemptId, Work] = {}  # commands sent to it and not there yet
        self.loading: dict[AttemptId, Work] = {}  # attempts that wait for the model
        self._timeline, self._rng = timeline, rng
        self._taken: set[AttemptId] = set()
        self._epoch = Epoch(0)
        self._reporting = Reporting(0.0)
        self._rates = Rates()
        self._load_s = 0.0
        if self.state is ReplicaState.WARM:  # it has answered before
            self._rates.prefill = Rate(warm.prefill_tokens_per_s, 1.0)
            self._rates.decode = Rate(warm.decode_tokens_per_s, 1.0)
            self._load_s = held.load_s
        self._wakes = 0
        self._spoke_s = 0.0
        self._sampled = (0.0, 0.0)

    @property
    def slots_free(self) -> int:
        """How many more it would take, were all that is on its way there."""
        return self.held.warm.slots - len(self._taken) - len(self.on_their_way)

    # -- what it hears -----------------------------------------------------------------------------

    def attach(self, now_s: float) -> Iterable[Event]:
        """Say hello."""
        yield events.NodeAttached(
            connection_id=self.connection_id,
            node_id=self.desk.node_id,
            machine=self.desk.machine,
            offers=(self.held.offer,),
            statuses=((self.model_id, self._status()),),
            load=self._load(),
        )

    def admitted(self, action: AdmitNode, now_s: float) -> None:
        """Report and be pinged from now on."""
        self._epoch = action.epoch
        self._reporting = Reporting(now_s + self._rng.random() * BEAT_S)
        self._schedule_report()
        self._timeline.at(now_s + self._rng.random() * PING_EVERY_S, self._ping)

    def told_to_start(self, action: StartAttempt, ask: Ask, now_s: float) -> None:
        """A command leaves for it, and arrives half a round trip later."""
        work = Work(action.attempt_id, ask.prompt_tokens, ask.output_tokens)
        self.on_their_way[action.attempt_id] = work
        self._timeline.at(now_s + self._delay_s(), partial(self._start, work))

    def told_to_stop(self, attempt_id: AttemptId, now_s: float) -> None:
        self._timeline.at(now_s + self._delay_s(), partial(self._stop, attempt_id))

    # -- what it does ------------------------------------------------------------------------------

    def _start(self, work: Work, now_s: float) -> Iterable[Event]:
        if self.on_their_way.pop(work.attempt_id, None) is None:
            return ()  # cancelled on its way
        if len(self._taken) >= self.held.warm.slots:
            self._say(now_s, (events.AttemptRefused(work.attempt_id, self._epoch, Refusal.BUSY),))
            self._changed(now_s, at_once=True)
            return ()
        self._taken.add(work.attempt_id)
        work.batch = len(self._taken)
        opened = events.DeliveryOpened(work.attempt_id, self._epoch, work.attempt_id)
        if self.state is ReplicaState.WARM:
            self._say(now_s, (opened, self._started(work)))
            self.service.begin(work, now_s)
            self._changed(now_s)
            self._wake(now_s)
            return ()
        self._say(now_s, (opened,))
        self.loading[work.attempt_id] = work
        if self.state is ReplicaState.AVAILABLE:
            self.state, self.ready_s = ReplicaState.LOADING, now_s + self.held.load_s
            self._timeline.at(self.ready_s, self._loaded)
            self._changed(now_s, at_once=True)
        return ()

    def _loaded(self, now_s: float) -> Iterable[Event]:
        self.state, self._load_s = ReplicaState.WARM, self.held.load_s
        for work in self.loading.values():
            self._say(now_s, (self._started(work),))
            self.service.begin(work, now_s)
        self.loading.clear()
        self._changed(now_s, at_once=True)
        self._wake(now_s)
        return ()

    def _stop(self, attempt_id: AttemptId, now_s: float) -> Iterable[Event]:
        self.on_their_way.pop(attempt_id, None)
        if attempt_id in self._taken:
            self._taken.discard(attempt_id)
            self.loading.pop(attempt_id, None)
            self.service.stop(attempt_id, now_s)
            self._changed(now_s, freed=True)
            self._wake(now_s)
        return ()

    def _wake(self, now_s: float) -> None:
        """Come back when somebody is done, unless something changes before."""
        self._wakes += 1
        if len(self.service):
            due_s = max(now_s, self.service.next_s)
            self._timeline.at(due_s, partial(self._milestone, self._wakes))

    def _milestone(self, wake: int, now_s: float) -> Iterable[Event]:
        if wake != self._wakes:
            return ()
        self.service.advance(now_s)
        while (work := self.service.pop_read()) is not None:
            work.told_tokens = 1
            self._rates.prefill.add(
                work.prompt_tokens, work.prompt_tokens * self.service.pace.prefill_token_s
            )
            self._say(now_s, (events.AttemptProgressed(work.attempt_id, 0, 1, None),))
        while (work := self.service.pop_done()) is not None:
            self._finish(work, now_s)
        self._wake(now_s)
        return ()

    def _finish(self, work: Work, now_s: float) -> None:
        batch = (work.batch + len(self._taken)) / 2
        self._rates.answered(work.output_tokens, now_s - work.decoding_since_s, batch)
        self._taken.discard(work.attempt_id)
        usage = Usage(prompt_tokens=work.prompt_tokens, completion_tokens=work.output_tokens)
        rest = work.output_tokens - work.told_tokens
        last = events.AttemptProgressed(work.attempt_id, work.told_tokens, rest, None)
        finished = events.AttemptFinished(work.attempt_id, usage, None)
        self._say(now_s, (last, finished) if rest else (finished,))
        self._changed(now_s, freed=True)

    # -- what it says ------------------------------------------------------------------------------

    def _changed(self, now_s: float, *, at_once: bool = False, freed: bool = False) -> None:
        if self._reporting.changed(now_s, at_once=at_once, freed=freed):
            self._schedule_report()

    def _schedule_report(self) -> None:
        self._timeline.at(self._reporting.due_s, self._report)

    def _report(self, now_s: float) -> Iterable[Event]:
        if now_s < self._reporting.due_s or not self._epoch:
            return ()  # it was brought forward, and is over
        full = len(self._taken) >= self.held.warm.slots
        changed = self._reporting.take(now_s, full=full)
        statuses = ((self.model_id, self._status()),) if changed else ()
        report = events.NodeReported(
            self.desk.node_id, self._epoch, self._reporting.sequence, statuses, self._load()
        )
        self._schedule_report()
        self._say(now_s, (report, *self._progress(now_s)))
        return ()

    def _progress(self, now_s: float) -> Iterable[Event]:
        self.service.advance(now_s)
        for work, said in self.service.said():
            if said > work.told_tokens:
                count = said - work.told_tokens
                yield events.AttemptProgressed(work.attempt_id, work.told_tokens, count, None)
                work.told_tokens = said

    def _ping(self, now_s: float) -> Iterable[Event]:
        self._timeline.at(now_s + PING_EVERY_S, self._ping)
        rtt_s = self._delay_s() + self._delay_s()
        yield events.RoundTripMeasured(self.desk.node_id, self._epoch, rtt_s)

    def _say(self, now_s: float, said: tuple[Event, ...]) -> None:
        """Send events up; they arrive in the order in which they were sent, as over TCP."""
        self._spoke_s = max(now_s + self._delay_s(), self._spoke_s)
        self._timeline.at(self._spoke_s, lambda _: said)

    def _delay_s(self) -> float:
        """Draw the time of a message one way."""
        return self.desk.rtt_s / 2 * exp(self._rng.gauss(0.0, self.desk.kind.jitter))

    def _started(self, work: Work) -> Event:
        numerics = self.held.warm.numerics
        return events.AttemptStarted(work.attempt_id, work.prompt_tokens, numerics, None)

    def _status(self) -> ReplicaStatus:
        warm = self.held.warm
        return ReplicaStatus(
            state=self.state,
            slots=warm.slots,
            slots_taken=len(self._taken),
            prefill_tokens_per_s=self._rates.prefill.tokens_per_s,
            decode_tokens_per_s=self._rates.decode.tokens_per_s,
            decode_rates_by_batch=self._rates.decode_by_batch,
            load_s=self._load_s,
            numerics=warm.numerics if self.state is ReplicaState.WARM else "",
        )

    def busy_share(self, now_s: float) -> float:
        """Return how much of the time since the last call its engine worked, in [0, 1]."""
        before_s, busy_s = self._sampled
        self.service.advance(now_s)
        self._sampled = now_s, self.service.busy_s
        if now_s <= before_s:
            return 0.0
        return min(1.0, (self.service.busy_s - busy_s) / (now_s - before_s))

    def _load(self) -> Load:
        """Nobody else is at work on it; a node's own engine is not in its load."""
        held_bytes = self.held.offer.model.size_bytes if self.state is ReplicaState.WARM else 0
        total = self.desk.machine.memory_bytes
        used = min(0.97, 0.25 + held_bytes / total)
        return Load(cpu=0.03, memory=used, memory_free_bytes=int(total * (1 - used)))
