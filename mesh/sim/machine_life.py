"""One played machine: it attaches, beats, loads models, answers, sleeps, falls silent, comes back.

Its owner comes and goes. It hears the coordinator's actions about it and answers with events, as
a node agent does, but for the network between them, which is only an ``rtt_s``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from mesh.core import events
from mesh.core.actions import AdmitNode, CloseConnection, StartAttempt
from mesh.core.events import Event
from mesh.core.types import AttemptId, Epoch, Load, ModelId, Refusal, ReplicaState, ReplicaStatus
from mesh.sim.profiles import Desk, Held
from mesh.sim.timeline import Happening, Timeline

HOUR_S = 3600.0
BEAT_S = 1.0
CONNECTIONS_MAX = 4096  # of one machine: days of bad luck
PING_EVERY_BEATS = 5
OWNER_STAYS_S = 420.0  # on average
SLEEP_S, SILENCE_S, RESTART_S = (180.0, 1500.0), (4.0, 25.0), (30.0, 120.0)
LOAD_FAILS = 0.02  # of all loads


@dataclass(slots=True, eq=False)
class MachineLife:
    """Mutable; every change comes due on the timeline."""

    desk: Desk
    timeline: Timeline
    rng: Random
    misfortune: float  # 0: nothing ever goes wrong; 1: as the desk's kind has it
    attachments: int = 0
    epoch: Epoch | None = None  # None: not attached
    silent_until_s: float = 0.0
    owner_busy: bool = False
    beats: int = 0
    statuses: dict[ModelId, ReplicaStatus] = field(default_factory=dict)
    changed: set[ModelId] = field(default_factory=set)
    answering: dict[AttemptId, ModelId] = field(default_factory=dict)

    # -- there, and gone ---------------------------------------------------------------------------

    def attach(self, now_s: float) -> Iterable[Event]:
        """Say hello anew, with all models as they were at first."""
        self.attachments += 1
        self.statuses = {each.offer.model.model_id: each.at_first for each in self.desk.held}
        self.answering.clear()
        self.changed.clear()
        self.beats = 0
        self.owner_busy = self.rng.random() < self.desk.owner_share
        yield events.NodeAttached(
            connection_id=self._connection,
            node_id=self.desk.node_id,
            machine=self.desk.machine,
            offers=tuple(each.offer for each in self.desk.held),
            statuses=tuple(self.statuses.items()),
            load=self._load(),
            on_coordinator_host=self.desk.beside_coordinator,
        )

    def admitted(self, action: AdmitNode, now_s: float) -> None:
        """Welcomed: beat from now on, and let fate take its turn."""
        if action.connection_id != self._connection:
            return
        self.epoch = action.epoch
        attachment = self.attachments
        self.timeline.at(now_s + self.rng.random() * BEAT_S, lambda s: self._beat(attachment, s))
        kind = self.desk.kind
        for per_hour, happening in (
            (kind.sleeps_per_hour, self._sleep),
            (kind.silent_per_hour, self._fall_silent),
            (kind.lost_per_hour, self._drop),
        ):
            if (rate := per_hour * self.misfortune) > 0:
                due_s = now_s + self.rng.expovariate(rate / HOUR_S)
                self.timeline.at(due_s, partial(self._while, attachment, happening))
        if self.desk.owner_share:
            self.timeline.at(now_s + self._owner_turn_s(), lambda s: self._owner(attachment, s))

    def closed(self, action: CloseConnection, now_s: float) -> None:
        """The coordinator gave up on a connection: if it is this one, attach again."""
        if action.connection_id != self._connection:
            return
        self.epoch = None
        self.timeline.at(max(now_s + 1.0, self.silent_until_s), self.attach)

    @property
    def number(self) -> int:
        return int(self.desk.node_id[:12], 16)

    @property
    def _connection(self) -> int:
        """An id that no other attachment has, of this machine or another."""
        return self.number * CONNECTIONS_MAX + self.attachments

    # -- answering ---------------------------------------------------------------------------------

    def refusal(self, start: StartAttempt) -> Refusal | None:
        """Why it does not begin, if it does not: the owner decides, the coordinator advises."""
        if self.owner_busy:
            return Refusal.OWNER_BUSY
        status = self.statuses[start.model_id]
        return Refusal.BUSY if status.slots_taken >= status.slots else None

    def begin(self, start: StartAttempt) -> tuple[Held, float]:
        """Take a slot; return what serves, and the seconds until it is warm."""
        held = next(each for each in self.desk.held if each.offer.model.model_id == start.model_id)
        status = self.statuses[start.model_id]
        self.answering[start.attempt_id] = start.model_id
        load_s = 0.0
        if status.state in (ReplicaState.AVAILABLE, ReplicaState.LOADING):
            load_s = held.load_s
            self._set(start.model_id, state=ReplicaState.LOADING)
        self._set(start.model_id, slots_taken=status.slots_taken + 1)
        return held, load_s

    def loaded(self, held: Held) -> bool:
        """The load is over. False: it failed, and the model with it until it attaches again."""
        model_id = held.offer.model.model_id
        if (state := self.statuses[model_id].state) is not ReplicaState.LOADING:
            return state is ReplicaState.WARM
        if self.misfortune and self.rng.random() < LOAD_FAILS:
            reason = "llama.cpp could not load the file: tensor data is not within its bounds"
            self._set(model_id, state=ReplicaState.FAILED, reason=reason)
            return False
        taken = self.statuses[model_id].slots_taken
        self.statuses[model_id] = replace(held.warm, slots_taken=taken)
        self.changed.add(model_id)
        return True

    def end(self, attempt_id: AttemptId) -> None:
        """Free the slot; one that is not answering here changes nothing."""
        model_id = self.answering.pop(attempt_id, None)
        if model_id is not None:
            self._set(model_id, slots_taken=max(0, self.statuses[model_id].slots_taken - 1))

    # -- below -------------------------------------------------------------------------------------

    def _beat(self, attachment: int, now_s: float) -> Iterable[Event]:
        if attachment != self.attachments or self.epoch is None:
            return
        self.timeline.at(now_s + BEAT_S, lambda s: self._beat(attachment, s))
        if now_s < self.silent_until_s:
            return
        self.beats += 1
        changed = tuple((each, self.statuses[each]) for each in sorted(self.changed))
        self.changed.clear()
        yield events.NodeReported(self.desk.node_id, self.epoch, self.beats, changed, self._load())
        if self.beats % PING_EVERY_BEATS == 1:
            rtt_s = self.desk.rtt_s * self.rng.uniform(0.9, 1.3)
            yield events.RoundTripMeasured(self.desk.node_id, self.epoch, rtt_s)

    def _while(self, attachment: int, happening: Happening, now_s: float) -> Iterable[Event]:
        return happening(now_s) if attachment == self.attachments and self.epoch else ()

    def _sleep(self, now_s: float) -> Iterable[Event]:
        assert self.epoch is not None
        yield events.NodeLeft(self.desk.node_id, self.epoch, asleep=True)
        self.epoch = None
        self.timeline.at(now_s + self.rng.uniform(*SLEEP_S), self.attach)

    def _fall_silent(self, now_s: float) -> Iterable[Event]:
        self.silent_until_s = now_s + self.rng.uniform(*SILENCE_S)
        return ()

    def _drop(self, now_s: float) -> Iterable[Event]:
        yield events.ConnectionLost(
            self._connection, self.desk.node_id, "connection reset by the machine"
        )
        self.epoch = None
        self.timeline.at(now_s + self.rng.uniform(*RESTART_S), self.attach)

    def _owner(self, attachment: int, now_s: float) -> Iterable[Event]:
        if attachment == self.attachments and self.epoch is not None:
            self.owner_busy = not self.owner_busy
            self.timeline.at(now_s + self._owner_turn_s(), lambda s: self._owner(attachment, s))
        return ()

    def _owner_turn_s(self) -> float:
        share = self.desk.owner_share
        stays_s = OWNER_STAYS_S if self.owner_busy else OWNER_STAYS_S * (1 - share) / share
        return self.rng.expovariate(1 / stays_s)

    def _load(self) -> Load:
        working = len(self.answering) / max(1, self.desk.kind.slots)
        owner = 0.35 if self.owner_busy else 0.0
        cpu = 0.03 + 0.6 * min(1.0, working) + owner + self.rng.uniform(-0.02, 0.05)
        total = self.desk.machine.memory_bytes
        warm = sum(
            each.offer.model.size_bytes
            for each in self.desk.held
            if self.statuses[each.offer.model.model_id].state is ReplicaState.WARM
        )
        used = min(0.97, 0.22 + owner / 2 + warm / total)
        return Load(
            cpu=min(1.0, cpu),
            memory=used,
            memory_free_bytes=int(total * (1 - used)),
            on_battery=self.desk.on_battery,
            owner_busy=self.owner_busy,
        )

    def _set(self, model_id: ModelId, **changes: object) -> None:
        self.statuses[model_id] = replace(self.statuses[model_id], **changes)  # type: ignore[arg-type]
        self.changed.add(model_id)
