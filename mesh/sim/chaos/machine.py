"""One machine: its agent attaches, beats, obeys, and goes through all that happens to machines.

Its timers run on a monotonic clock of its own, a little fast or slow. Its wall clock may step.
"""

from collections.abc import Callable, Iterable
from functools import partial

from mesh.core import actions, events
from mesh.core.events import Event
from mesh.core.types import Epoch, Load, ModelId, ReplicaStatus, Request, RequestKey
from mesh.sim.chaos.connection import Connection, Told
from mesh.sim.chaos.engine import Engine
from mesh.sim.chaos.fate import Fate
from mesh.sim.chaos.network import Link
from mesh.sim.profiles import Desk

HURRY_S = 0.25  # slots that come and go are told within this, as ``node_agent.reports`` does
EVERYTHING_EVERY = 30  # beats between reports of every replica
PING_EVERY = 5  # beats
WELCOME_WITHIN_S = 5.0
AGAIN_S = (0.2, 2.0)  # before it attaches again
CLOCK_DRIFT = 0.01  # of a monotonic clock, at worst


class Machine:
    """Mutable; every change comes due on the timeline."""

    def __init__(
        self,
        desk: Desk,
        link: Link,
        fate: Fate,
        *,
        connect: Callable[["Machine"], Connection],
        asked: Callable[[RequestKey], Request | None],
    ) -> None:
        """``connect`` dials the coordinator; ``asked`` reads the prompt that a start brings."""
        self.desk, self.link = desk, link
        self._fate, self._rng = fate, fate.rng
        self._connect, self._asked = connect, asked
        self.engine = Engine(desk, fate, say=self.say, changed=self._replica_changed)
        self.connection: Connection | None = None
        self.epoch: Epoch | None = None  # None: not admitted
        self.frozen_until_s = 0.0  # the agent does nothing: stopped, asleep, or without power
        self.beat_s = 1.0  # as the coordinator wants it
        self._drift = fate.rng.uniform(1 - CLOCK_DRIFT, 1 + CLOCK_DRIFT)
        self._beats = self._reports = self._dialled = 0
        self._changed: set[ModelId] = set()
        self._hurried = False
        self._outbox: list[Event] = []  # said while the agent was stopped

    @property
    def there(self) -> bool:
        return self.epoch is not None

    def say(self, event: Event, now_s: float) -> None:
        """Send something up, once the agent runs; nothing if it is not connected."""
        if self.connection is None:
            return
        if now_s < self.frozen_until_s:
            self._outbox.append(event)
        else:
            self.connection.say(event, now_s)

    def obey(self, connection: Connection, told: Told, now_s: float) -> Iterable[Event]:
        """Do what the coordinator says on a connection that is open here."""
        match told:
            case actions.StartAttempt():
                self._start(told, now_s)
            case actions.CancelAttempt() | actions.EndDelivery():
                self.engine.end(told.attempt_id, now_s)
            case actions.AdmitNode():
                self._admitted(connection, told, now_s)
            case _:
                connection.close_below(now_s, reset=False)
                self._disconnected(connection, now_s)
        return ()

    # -- what may happen to it ---------------------------------------------------------------------

    def attach_in(self, wait_s: float, now_s: float) -> None:
        """Dial the coordinator after a while; takes the place of an earlier plan."""
        self._dialled += 1
        self._fate.at(now_s + wait_s, partial(self._attach, self._dialled))

    def attach_again(self, now_s: float) -> None:
        self.attach_in(self._rng.uniform(*AGAIN_S), now_s)

    def crash(self, away_s: float, now_s: float, *, power: bool = False) -> None:
        """The agent is gone at once. Its kernel resets the connection, unless ``power`` is out."""
        connection, self.connection, self.epoch = self.connection, None, None
        self.engine.reset()
        self._outbox.clear()
        if connection is not None and power:
            connection.vanish(away_s, now_s, said=False)
        elif connection is not None:
            connection.close_below(now_s, reset=True)
        if power:
            self.link.deaf_until_s = max(self.link.deaf_until_s, now_s + away_s)
        self.attach_in(away_s + self._rng.uniform(*AGAIN_S), now_s)

    def leave(self, away_s: float, now_s: float, *, asleep: bool) -> None:
        """Say goodbye, and come back after a while."""
        if self.connection is None or self.epoch is None:
            return
        self.say(events.NodeLeft(self.desk.node_id, self.epoch, asleep), now_s)
        if asleep:
            self.connection.vanish(away_s, now_s, said=True)
            self.link.deaf_until_s = max(self.link.deaf_until_s, now_s + away_s)
        else:
            self.connection.close_below(now_s, reset=False)
        self.connection, self.epoch = None, None
        self.engine.reset()
        self.attach_in(away_s, now_s)

    def freeze(self, seconds: float, now_s: float, *, asleep: bool) -> None:
        """Stop the agent for a while; the engine too if the machine is ``asleep``."""
        if now_s < self.frozen_until_s:
            return
        until_s = self.frozen_until_s = now_s + seconds
        self.link.deaf_until_s = max(self.link.deaf_until_s, until_s)
        if asleep:
            self.engine.paused_until_s = until_s
        if self.connection is not None:
            self.connection.outage(seconds, now_s)
        self._fate.at(until_s, self._thaw)

    def cut(self, up_s: float, down_s: float, now_s: float) -> None:
        """Cut the link for so long, in each direction."""
        for way, seconds in enumerate((up_s, down_s)):
            if seconds:
                until_s = max(self.link.cut_until_s[way], now_s + seconds)
                self.link.cut_until_s[way] = until_s
        if self.connection is not None:
            self.connection.outage(max(up_s, down_s), now_s)

    def changes_list(self, now_s: float) -> None:
        """Its model list is another: tell it, and everything about it."""
        if self.epoch is None:
            return
        listed = (self.engine.held[each] for each, has in self.engine.listed.items() if has)
        offers = tuple(each.offer for each in listed)
        self.say(events.InventoryReported(self.desk.node_id, self.epoch, offers), now_s)
        self._changed.update(self.engine.held)
        self._report(now_s)

    # -- below -------------------------------------------------------------------------------------

    def _attach(self, dialled: int, now_s: float) -> Iterable[Event]:
        if dialled != self._dialled or self.connection is not None:
            return ()
        if now_s < self.frozen_until_s:
            self._fate.at(self.frozen_until_s, partial(self._attach, dialled))
            return ()
        self._beats = self._reports = 0
        self._changed.clear()
        connection = self.connection = self._connect(self)
        statuses = tuple((each, self.engine.status(each)) for each in self.engine.held)
        attached = events.NodeAttached(
            connection_id=connection.connection_id,
            node_id=self.desk.node_id,
            machine=self.desk.machine,
            offers=tuple(each.offer for each in self.desk.held),
            statuses=statuses,
            load=self._load(),
            on_coordinator_host=self.desk.beside_coordinator,
        )
        connection.say(attached, now_s)
        self._fate.at(now_s + WELCOME_WITHIN_S, partial(self._unwelcome, connection))
        return ()

    def _unwelcome(self, connection: Connection, now_s: float) -> Iterable[Event]:
        if self.connection is connection and self.epoch is None:
            connection.close_below(now_s, reset=True)
            self._disconnected(connection, now_s)
        return ()

    def _admitted(self, connection: Connection, told: actions.AdmitNode, now_s: float) -> None:
        if connection is self.connection:
            self.epoch = told.epoch
            first_s = now_s + self._rng.random() * self.beat_s
            self._fate.at(first_s, partial(self._beat, connection))

    def _disconnected(self, connection: Connection, now_s: float) -> None:
        """The connection is no more, and every attempt that came by it ends."""
        if connection is self.connection:
            self.connection, self.epoch = None, None
            self._outbox.clear()
            self.engine.end_all(now_s)
            self.attach_again(now_s)

    def _thaw(self, now_s: float) -> Iterable[Event]:
        said, self._outbox = self._outbox, []
        for event in said:
            self.say(event, now_s)
        return ()

    def _start(self, start: actions.StartAttempt, now_s: float) -> None:
        request = self._asked(start.key)
        if start.epoch != self.epoch or request is None:
            return
        refusal = self.engine.refusal(start, now_s)
        if refusal is not None:
            self.say(events.AttemptRefused(start.attempt_id, start.epoch, refusal), now_s)
            self._replica_changed(start.model_id, now_s, False)
        else:
            self.engine.begin(start, request, now_s)

    def _beat(self, connection: Connection, now_s: float) -> Iterable[Event]:
        if connection is not self.connection:
            return ()
        if now_s < self.frozen_until_s:
            self._fate.at(self.frozen_until_s, partial(self._beat, connection))
            return ()
        self._fate.at(now_s + self.beat_s * self._drift, partial(self._beat, connection))
        self._beats += 1
        if self._beats % EVERYTHING_EVERY == 0:
            self._changed.update(self.engine.held)
        self._report(now_s)
        if self._beats % PING_EVERY == 1 and self.epoch is not None:
            rtt_s = 2 * self.link.transit_s(self._rng)
            self.say(events.RoundTripMeasured(self.desk.node_id, self.epoch, rtt_s), now_s)
        return ()

    def _replica_changed(self, model_id: ModelId, now_s: float, at_once: bool) -> None:
        self._changed.add(model_id)
        if at_once:
            self._report(now_s)
        elif not self._hurried:
            self._hurried = True
            self._fate.at(now_s + HURRY_S, self._report_changes)

    def _report_changes(self, now_s: float) -> Iterable[Event]:
        self._hurried = False
        if self._changed and now_s >= self.frozen_until_s:
            self._report(now_s)
        return ()

    def _report(self, now_s: float) -> None:
        if self.epoch is None:
            return
        self._reports += 1
        changed: tuple[tuple[ModelId, ReplicaStatus], ...] = ()
        if self._changed:
            changed = tuple((each, self.engine.status(each)) for each in sorted(self._changed))
            self._changed.clear()
        self.say(
            events.NodeReported(
                self.desk.node_id, self.epoch, self._reports, changed, self._load()
            ),
            now_s,
        )

    def _load(self) -> Load:
        return _BUSY if self.engine.owner_busy else _CALM


_CALM, _BUSY = Load(cpu=0.2), Load(cpu=0.9, owner_busy=True)
