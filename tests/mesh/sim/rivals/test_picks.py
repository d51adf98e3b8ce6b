"""Each rival picks as its documents say."""

from random import Random

import pytest

from mesh.core.types import (
    Load,
    ModelId,
    NodeId,
    Policy,
    ReplicaState,
    ReplicaStatus,
    Request,
    RequestKey,
    Tier,
)
from mesh.sim.rivals.herd import Herd
from mesh.sim.rivals.personal_ai_router import PersonalAiRouter
from mesh.sim.rivals.picks import LeastLoaded, PowerOfTwo, RoundRobin
from mesh.sim.rivals.plain_fleet import Pick, View

GIB = 2**30
REQUEST = Request(RequestKey("ann", "r1"), "m", Tier.MESH, Policy.BALANCED, 2000, 128, 0.0)


def view(number: int, *, slots: int = 4, in_flight: int = 0, memory_gib: int = 16) -> View:
    return View(
        number=number,
        node_id=NodeId(f"node-{number}"),
        connection_id=number,
        memory_bytes=memory_gib * GIB,
        model_id=ModelId("m"),
        model_bytes=2 * GIB,
        status=ReplicaStatus(ReplicaState.WARM, slots=slots),
        load=Load(memory_free_bytes=8 * GIB),
        in_flight=in_flight,
    )


def shown(pick: Pick, *views: View) -> Pick:
    for each in views:
        pick.reported(each)
        pick.changed(each)
    return pick


def picked(pick: Pick) -> int | None:
    found = pick.pick(REQUEST)
    return None if found is None else found.number


@pytest.mark.parametrize(
    "pick",
    [
        RoundRobin(),
        LeastLoaded(Random(1)),
        PowerOfTwo(Random(1)),
        Herd(Random(1)),
        PersonalAiRouter(lambda view: 0.0),
    ],
    ids=lambda pick: type(pick).__name__,
)
def test_nobody_picks_a_machine_that_is_full_or_has_just_refused(pick: Pick) -> None:
    full, refusing, free = view(0, in_flight=4), view(1), view(2, in_flight=3)
    refusing.refused = True
    shown(pick, full, refusing, free)
    assert {picked(pick) for _ in range(20)} == {2}
    free.in_flight = 4
    pick.changed(free)
    assert picked(pick) is None


def test_round_robin_takes_everybody_in_turn_and_passes_the_full() -> None:
    pick = shown(RoundRobin(), view(0), view(1, in_flight=4), view(2), view(3))
    assert [picked(pick) for _ in range(5)] == [0, 2, 3, 0, 2]


def test_least_loaded_counts_in_flight_by_slots() -> None:
    pick = shown(
        LeastLoaded(Random(1)), view(0, slots=2, in_flight=1), view(1, slots=8, in_flight=3)
    )
    assert picked(pick) == 1


def test_power_of_two_prefers_the_less_loaded_of_what_it_draws() -> None:
    pick = shown(PowerOfTwo(Random(1)), view(0, in_flight=3), view(1))
    drawn = [picked(pick) for _ in range(1000)]
    assert 650 < drawn.count(1) < 850, "three of four draws hold the better one"


def test_herd_prefers_the_loaded_model_and_then_the_shorter_queue() -> None:
    cold, busy, hot = view(0), view(1, in_flight=2), view(2, in_flight=1)
    cold.status = ReplicaStatus(ReplicaState.AVAILABLE, slots=4)
    assert picked(shown(Herd(Random(1)), cold, busy, hot)) == 2
    assert picked(shown(Herd(Random(1)), cold, busy)) == 1


def test_herd_gives_a_small_model_to_a_small_machine() -> None:
    assert picked(shown(Herd(Random(1)), view(0, memory_gib=256), view(1, memory_gib=16))) == 1


def test_herd_fears_a_machine_whose_answers_take_long() -> None:
    slow, fast = view(0, in_flight=1), view(1, in_flight=1)
    slow.durations_s.extend([90.0] * 4)
    fast.durations_s.extend([2.0] * 4)
    assert picked(shown(Herd(Random(1)), slow, fast)) == 1


def test_the_personal_ai_router_adds_pressure_to_what_is_pending() -> None:
    busy, calm = view(0), view(1, in_flight=1)
    pick = PersonalAiRouter(lambda view: 0.9 if view is busy else 0.0)
    assert picked(shown(pick, busy, calm)) == 1


def test_its_pressure_falls_later_than_it_rises() -> None:
    hot, other = view(0), view(1, in_flight=2)  # with equal sums, the lower pressure wins
    utilisation = {0: 0.72, 1: 0.0}
    pick = PersonalAiRouter(lambda view: utilisation[view.number])  # above 70 %: pressure 2
    shown(pick, hot, other)
    assert picked(pick) == 1
    utilisation[0] = 0.66  # below 70 % and above 65 %: still 2
    for _ in range(20):
        shown(pick, hot)
    assert picked(pick) == 1
    utilisation[0] = 0.60
    for _ in range(20):
        shown(pick, hot)
    assert picked(pick) == 0
