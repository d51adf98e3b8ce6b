"""One seed played from beginning to end: ``play(seed)``.

The same seed and setting make the same history, in any process. What breaks a promise raises
``Broken`` with the seed and the end of the story.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from mesh.core.events import CoordinatorReturned, Event, TimePassed
from mesh.core.fleet import Fleet
from mesh.core.limits import FleetLimits
from mesh.core.types import RequestKey
from mesh.sim.chaos.clients import PATIENCE_S, Clients, Habits
from mesh.sim.chaos.connection import Connection
from mesh.sim.chaos.coordinator import Coordinator
from mesh.sim.chaos.fate import Fate
from mesh.sim.chaos.faults import FAULTS, Fault, Misfortune, clock_steps, stalls
from mesh.sim.chaos.judging import ladder
from mesh.sim.chaos.machine import Machine
from mesh.sim.chaos.network import Link
from mesh.sim.chaos.promises import Promises
from mesh.sim.chaos.story import Story
from mesh.sim.profiles import Desk, desks
from mesh.sim.timeline import Timeline

ATTACH_WITHIN_S = 2.0  # all machines come at once, as after a coordinator's restart
SETTLED_S = 10.0
TICK_S = 2.0  # time is told at least so often, whether the fleet asks for it or not
WIFI_JITTER_S, WIFI_LOSS = 0.004, 0.01


@dataclass(frozen=True, slots=True)
class Setting:
    """How large a mesh is played, for how long, and how bad it gets. Seconds on average."""

    nodes: int = 20
    seconds: float = 600.0  # all requests have ended by then
    habits: Habits = field(default_factory=Habits)
    faults: tuple[Fault, ...] = FAULTS
    fault_every_s: float = 30.0  # on each machine
    clocks_step: bool = True
    stall_every_s: float = 20.0  # the coordinator's loop
    stall_s: tuple[float, ...] = (0.05, 0.5, 0.5, 0.5, 2.5)  # drawn from; none: it never does
    jitter_s: float = WIFI_JITTER_S  # of machines that are not on a cable
    loss: float = WIFI_LOSS
    all_wireless: bool = False
    limits: FleetLimits = field(default_factory=lambda: FleetLimits(waiting_max=20))
    # Drawn from; limits of silence keep step. Beats are most of what a seed costs, so few are fast.
    beats_s: tuple[float, ...] = (1.0, 3.0, 4.0, 4.0)


class Broken(AssertionError):
    """A promise did not hold."""


class Trial:
    """One seed under way."""

    def __init__(
        self,
        seed: int,
        setting: Setting,
        new_fleet: Callable[[FleetLimits, Random], Fleet] = Fleet,
    ) -> None:
        self.seed, self.setting, self.now_s = seed, setting, 0.0
        fate = self._fate = Fate(Timeline(), _dice(seed))
        self._beat_s = fate.rng.choice(setting.beats_s)
        limits = _at_pace(setting.limits, self._beat_s)
        self.fleet = new_fleet(limits, _dice(seed))
        self.story = Story()
        self.promises = Promises(self.fleet, limits)
        self.promises.late_s = max(setting.stall_s, default=0.0)
        self.coordinator = Coordinator(self.fleet, self.promises, self.story, fate)
        self.connections = 0  # ever made
        made = desks(setting.nodes, fate.rng)
        self.machines = [self._machine(desk) for desk in made]
        names = [each.offer.model.name for desk in made for each in desk.held]
        until_s = setting.seconds - max(PATIENCE_S) - self.promises.late_s
        Clients(setting.habits, names, fate, until_s=until_s, in_use=self._in_use)
        self._let_fate_begin()
        fate.say_later(0.0, 0.0, ladder(names))
        fate.say_later(SETTLED_S / 100, 0.0, CoordinatorReturned(SETTLED_S))
        fate.at(TICK_S, self._tick)

    def _let_fate_begin(self) -> None:
        setting, fate = self.setting, self._fate
        self.misfortune = Misfortune(
            self.machines, fate, every_s=setting.fault_every_s, faults=setting.faults
        )
        if setting.stall_s:
            stalls(self.coordinator, fate, every_s=setting.stall_every_s, seconds=setting.stall_s)
        if setting.clocks_step:  # with dice of their own: nothing else may depend on them
            own = Fate(fate.timeline, _dice(self.seed))
            every_s = setting.fault_every_s
            Misfortune(self.machines, own, every_s=every_s, faults=(clock_steps,))

    def play(self, until_s: float | None = None) -> "Trial":
        """Play to the end, or until a time before it.

        Raises:
            Broken: a promise did not hold.
        """
        try:
            self.play_until(self.setting.seconds if until_s is None else until_s)
            if until_s is None:
                self.promises.check_empty(self.now_s)
        except Exception as failure:
            raise Broken(self.told(failure)) from failure
        return self

    def play_until(self, until_s: float) -> None:
        """Go on until a time of the world's clock."""
        timeline, coordinator = self._fate.timeline, self.coordinator
        waking_s = coordinator.next_due_s
        while True:
            due_s = timeline.next_due_s
            if waking_s is not None and (due_s is None or waking_s <= due_s):
                if waking_s > until_s:
                    break
                self.now_s = max(self.now_s, waking_s)
                coordinator.wake(self.now_s)
            elif due_s is None or due_s > until_s:
                break
            else:
                self.now_s = due_s
                happened = timeline.take()(due_s)
                if happened == ():
                    continue  # on a machine, or on the network
                for event in happened:
                    coordinator.hear(event, due_s)
            waking_s = coordinator.next_due_s
        self.now_s = until_s

    def told(self, failure: Exception) -> str:
        """What broke, how to see it again, and the end of the story."""
        tail = "\n".join(self.story.tail())
        return (
            f"seed {self.seed} at {self.now_s:.3f} s: {type(failure).__name__}: {failure}\n"
            f"replay it: python -m bench.replay --seed {self.seed}\n{tail}"
        )

    def _machine(self, desk: Desk) -> Machine:
        """Put a machine on its desk. One on a cable has no jitter and loses nothing."""
        wireless = desk.kind.battery or self.setting.all_wireless
        jitter_s, loss = (self.setting.jitter_s, self.setting.loss) if wireless else (0.0, 0.0)
        link = Link(desk.node_id, desk.rtt_s / 2, jitter_s, loss)
        machine = Machine(
            desk,
            link,
            self._fate,
            connect=self._connect,
            asked=self.promises.request,
        )
        machine.beat_s = self._beat_s
        machine.attach_in(self._fate.rng.random() * ATTACH_WITHIN_S, 0.0)
        return machine

    def _connect(self, machine: Machine) -> Connection:
        self.connections += 1
        connection = Connection(
            self.connections,
            machine.link,
            self._fate,
            hears=self.coordinator.arrived,
            obeys=machine.obey,
        )
        self.coordinator.add(connection)
        return connection

    def _in_use(self, key: RequestKey) -> bool:
        return self.promises.request(key) is not None

    def _tick(self, now_s: float) -> tuple[Event, ...]:
        """Time is told even to a fleet that forgot to ask for it."""
        self._fate.at(now_s + TICK_S, self._tick)
        return (TimePassed(),)


def play(seed: int, setting: Setting | None = None) -> Trial:
    """Play one seed to its end.

    Raises:
        Broken: a promise did not hold.
    """
    return Trial(seed, setting or Setting()).play()


def _at_pace(limits: FleetLimits, beat_s: float) -> FleetLimits:
    """Keep the number of beats that may be missed."""
    suspect_s, lost_s = limits.suspect_after_s * beat_s, limits.lost_after_s * beat_s
    return replace(limits, suspect_after_s=suspect_s, lost_after_s=lost_s)


def _dice(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - a seed is a history
