"""All that happens to machines, their links and the coordinator, drawn from a seed.

A fault begins at a random time on a random machine, lasts for a while and ends. Several may hold
one machine at once. ``FAULTS`` is the table; a new one is a function and a line there.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from mesh.core import events
from mesh.core.events import Event
from mesh.sim.chaos.coordinator import Coordinator
from mesh.sim.chaos.fate import Fate
from mesh.sim.chaos.machine import Machine

FLAP_S = 2.0  # it comes and goes at this pace


Fault = Callable[[Fate, Machine, float], None]


# -- the machine -----------------------------------------------------------------------------------


def sleeps_politely(fate: Fate, machine: Machine, now_s: float) -> None:
    machine.leave(fate.rng.uniform(3, 60), now_s, asleep=True)


def lid_closes(fate: Fate, machine: Machine, now_s: float) -> None:
    """It sleeps without a word."""
    machine.freeze(fate.rng.uniform(0.5, 45), now_s, asleep=True)


def agent_stops(fate: Fate, machine: Machine, now_s: float) -> None:
    """As by SIGSTOP: its engine goes on, and nobody hears of it."""
    machine.freeze(fate.rng.uniform(0.5, 30), now_s, asleep=False)


def agent_crashes(fate: Fate, machine: Machine, now_s: float) -> None:
    machine.crash(fate.rng.uniform(0.5, 15), now_s)


def power_goes(fate: Fate, machine: Machine, now_s: float) -> None:
    """It may be back before anybody noticed."""
    machine.crash(fate.rng.choice((0.5, 5.0, 30.0)), now_s, power=True)


def flaps(fate: Fate, machine: Machine, now_s: float) -> None:
    for turn in range(fate.rng.randrange(3, 12)):
        fate.later(turn * FLAP_S, now_s, partial(machine.crash, FLAP_S / 4))


def shuts_down(fate: Fate, machine: Machine, now_s: float) -> None:
    """Its owner wants it back: nothing new, what runs may finish, then it goes."""
    if machine.epoch is None:
        return
    machine.engine.draining = True
    machine.say(events.NodeDrained(machine.desk.node_id, "its owner wants it back"), now_s)
    away_s = fate.rng.uniform(3, 30)
    fate.later(fate.rng.uniform(1, 15), now_s, lambda s: machine.leave(away_s, s, asleep=False))


def clock_steps(fate: Fate, machine: Machine, now_s: float) -> None:
    """By NTP, by a battery that died, by its owner."""
    machine.engine.wall_ahead_s += fate.rng.choice((-1e9, -3600.0, -0.5, 0.5, 3600.0, 1e9))


# -- the engine ------------------------------------------------------------------------------------


def engine_wedges(fate: Fate, machine: Machine, now_s: float) -> None:
    """It computes nothing while the agent beats; then it goes on, or dies of it."""
    stuck_s = fate.rng.uniform(1, 40)
    machine.engine.stuck_until_s = now_s + stuck_s
    if fate.rng.random() < 0.3:
        fate.later(stuck_s, now_s, machine.engine.die)


def engine_dies(fate: Fate, machine: Machine, now_s: float) -> None:
    machine.engine.die(now_s)


def engine_skips(fate: Fate, machine: Machine, now_s: float) -> None:
    """A bug: it leaves a token out."""
    machine.engine.skips = True


def memory_runs_short(fate: Fate, machine: Machine, now_s: float) -> None:
    machine.engine.short_until_s = now_s + fate.rng.uniform(3, 40)


def others_take_slots(fate: Fate, machine: Machine, now_s: float) -> None:
    """Its owner's programs, or another coordinator."""
    engine = machine.engine
    model_id = fate.rng.choice(list(engine.held))
    engine.take_for_others(model_id, fate.rng.randrange(1, 9), now_s)
    fate.later(fate.rng.uniform(2, 40), now_s, lambda s: engine.take_for_others(model_id, 0, s))


def model_is_removed(fate: Fate, machine: Machine, now_s: float) -> None:
    """For a while its file is not there."""
    engine = machine.engine
    model_id = fate.rng.choice(list(engine.held))

    def list_it(listed: bool, at_s: float) -> None:
        engine.listed[model_id] = listed
        machine.changes_list(at_s)

    list_it(False, now_s)
    fate.later(fate.rng.uniform(2, 30), now_s, partial(list_it, True))


def owner_comes(fate: Fate, machine: Machine, now_s: float) -> None:
    def sits(busy: bool, _at_s: float) -> None:
        machine.engine.owner_busy = busy

    sits(True, now_s)
    fate.later(fate.rng.uniform(2, 60), now_s, partial(sits, False))


# -- its link, and whoever operates it -------------------------------------------------------------


def link_is_cut(fate: Fate, machine: Machine, now_s: float) -> None:
    cut_s = fate.rng.choice((0.5, 4.0, 11.0, 40.0)) * fate.rng.uniform(0.5, 1.5)
    machine.cut(cut_s, cut_s, now_s)


def nothing_comes_up(fate: Fate, machine: Machine, now_s: float) -> None:
    machine.cut(fate.rng.uniform(0.5, 30), 0, now_s)


def nothing_goes_down(fate: Fate, machine: Machine, now_s: float) -> None:
    machine.cut(0, fate.rng.uniform(0.5, 30), now_s)


def air_gets_thick(fate: Fate, machine: Machine, now_s: float) -> None:
    """Wi-Fi at its worst: late, and much is lost."""
    link = machine.link
    before = link.jitter_s, link.loss

    def clears(_at_s: float) -> None:
        link.jitter_s, link.loss = before

    link.jitter_s, link.loss = fate.rng.uniform(0.02, 0.3), fate.rng.uniform(0.05, 0.4)
    fate.later(fate.rng.uniform(5, 60), now_s, clears)


def operator_drains(fate: Fate, machine: Machine, now_s: float) -> None:
    node_id = machine.desk.node_id
    drained = events.NodeDrained(node_id, "for repair", by_operator=True)
    fate.say_later(0, now_s, drained)
    resumed = events.NodeDrained(node_id, "", resumed=True, by_operator=True)
    fate.say_later(fate.rng.uniform(5, 60), now_s, resumed)


FAULTS: tuple[Fault, ...] = (
    *(sleeps_politely, lid_closes, agent_stops, agent_crashes, power_goes, flaps, shuts_down),
    *(engine_wedges, engine_dies, engine_skips, memory_runs_short, others_take_slots),
    *(model_is_removed, owner_comes),
    *(link_is_cut, nothing_comes_up, nothing_goes_down, air_gets_thick, operator_drains),
)


class Misfortune:
    """Lets faults happen: on each machine one every ``every_s`` seconds on average."""

    def __init__(
        self,
        machines: Sequence[Machine],
        fate: Fate,
        *,
        every_s: float,
        faults: Collection[Fault] = FAULTS,
    ) -> None:
        self._fate, self._every_s, self._faults = fate, every_s, list(faults)
        self.happened: Counter[str] = Counter()
        if self._faults:
            for machine in machines:
                self._next(machine, 0.0)

    def _next(self, machine: Machine, now_s: float) -> None:
        due_s = now_s + self._fate.rng.expovariate(1 / self._every_s)
        self._fate.at(due_s, partial(self._strike, machine))

    def _strike(self, machine: Machine, now_s: float) -> Iterable[Event]:
        fault = self._fate.rng.choice(self._faults)
        self.happened[fault.__name__] += 1
        fault(self._fate, machine, now_s)
        self._next(machine, now_s)
        return ()


def stalls(
    coordinator: Coordinator, fate: Fate, *, every_s: float, seconds: Sequence[float]
) -> None:
    """Let the coordinator's loop stall now and then, for one of so many seconds."""

    def stall(now_s: float) -> Iterable[Event]:
        coordinator.stall(fate.rng.choice(seconds), now_s)
        fate.at(now_s + fate.rng.expovariate(1 / every_s), stall)
        return ()

    fate.at(fate.rng.expovariate(1 / every_s), stall)
