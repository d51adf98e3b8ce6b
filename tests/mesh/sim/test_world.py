"""A played mesh drives the real core, and keeps the promises of a real one."""

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from mesh.core.actions import Action, FailRequest, FinishRequest
from mesh.core.events import Event, RequestArrived
from mesh.core.fleet import Fleet
from mesh.core.limits import FleetLimits
from mesh.core.types import FailureCode, NodeState, RequestKey
from mesh.sim.profiles import MEMORY_FOR_MODELS, desks
from mesh.sim.world import Traffic, World, play

SEED = 7
HOUR_S = 3600.0


class Watched(World):
    """Notes what happened, and what was decided on each request."""

    def __init__(self, count: int, traffic: Traffic, *, misfortune: float = 1.0) -> None:
        rng = Random(SEED)
        super().__init__(desks(count, rng), traffic, rng, misfortune=misfortune)
        self.history: list[Event] = []
        self.arrived: list[RequestKey] = []
        self.ends: Counter[RequestKey] = Counter()
        self.failures: Counter[FailureCode] = Counter()

    def happen(self, now_s: float) -> Iterator[Event]:
        for event in super().happen(now_s):
            self.history.append(event)
            if isinstance(event, RequestArrived):
                self.arrived.append(event.request.key)
            yield event

    def carry_out(self, action: Action) -> None:
        if isinstance(action, FinishRequest | FailRequest):
            self.ends[action.key] += 1
        if isinstance(action, FailRequest):
            self.failures[action.failure.code] += 1
        super().carry_out(action)


def new_fleet() -> Fleet:
    return Fleet(FleetLimits(), Random(SEED))


def test_every_request_ends_once_even_in_a_mesh_that_sleeps_drops_and_falls_silent() -> None:
    world = Watched(12, Traffic(requests_per_s=1.0))
    fleet = new_fleet()
    play(world, fleet, HOUR_S / 2)
    still_open = fleet.requests.running + fleet.requests.waiting
    assert len(world.arrived) > 1000
    assert set(world.ends.values()) == {1}
    assert len(world.ends) == len(world.arrived) - still_open
    assert world.failures[FailureCode.CANCELLED] > 0, "some clients do not wait"


def test_the_same_seed_is_the_same_mesh() -> None:
    histories = []
    for _ in range(2):
        world = Watched(5, Traffic(requests_per_s=0.5))
        play(world, new_fleet(), 300.0)
        histories.append(world.history)
    assert histories[0] == histories[1]


def test_without_misfortune_no_machine_is_lost_and_no_answer_either() -> None:
    world = Watched(8, Traffic(requests_per_s=0.5, leave_share=0.0), misfortune=0.0)
    fleet = new_fleet()
    play(world, fleet, 600.0)
    assert {node.state for node in fleet.directory.nodes.values()} == {NodeState.ALIVE}
    assert sum(world.ends.values()) > 200
    assert not world.failures


def test_misfortune_shows_in_the_states_of_nodes() -> None:
    world, fleet = Watched(60, Traffic(requests_per_s=0.0)), new_fleet()
    seen: set[NodeState] = set()
    for second in range(0, 1200, 2):
        play(world, fleet, float(second))
        seen |= {node.state for node in fleet.directory.nodes.values()}
    assert seen >= {NodeState.ALIVE, NodeState.ASLEEP, NodeState.SUSPECT}


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_machines_have_names_of_their_own_and_room_for_what_they_hold(count: int) -> None:
    made = desks(count, Random(SEED))
    assert len({desk.machine.name for desk in made}) == len({d.node_id for d in made}) == count
    assert all(desk.held for desk in made)
    for desk in made:
        warm = sum(each.offer.model.size_bytes for each in desk.held if each.warm_at_first)
        assert warm < desk.machine.memory_bytes * MEMORY_FOR_MODELS
    assert [desk.beside_coordinator for desk in made] == [True, *[False] * (count - 1)][:count]
