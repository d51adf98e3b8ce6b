"""The oracle knows what will be."""

from random import Random

import pytest

from mesh.core.cost import cost_of
from mesh.sim.rivals.oracle import Oracle, foresee
from mesh.sim.rivals.plain_fleet import PlainFleet
from mesh.sim.serving import fleets
from mesh.sim.serving.arrivals import Ask, poisson
from mesh.sim.serving.world import ServingWorld


def asked(seed: int, *, per_s: float = 2.5) -> list[Ask]:
    rng = Random(seed)
    return poisson(fleets.MODEL_NAME, per_s=per_s, from_s=2.0, until_s=30.0, rng=rng)


@pytest.mark.parametrize("seed", range(6))
def test_what_it_foresees_for_the_last_request_comes_true(seed: int) -> None:
    """Nothing comes after it, so nothing can prove it wrong but the jitter of messages."""
    asks = asked(seed)
    world = ServingWorld(fleets.unequal(10, Random(seed)), asks, Random(seed))
    fleet = PlainFleet(Oracle(world, Random(1)))
    last = asks[-1]
    world.play(fleet, last.at_s - 1e-6)
    assert world.open > 0, "it must reckon with others"
    by_key = {each.request.key: each for each in asks}
    foreseen = {
        node_id: foresee(
            machine,
            [by_key[request.key] for request in fleet.views[node_id].line],
            last,
            last.at_s,
        )
        for node_id, machine in world.machines.items()
    }
    assert not world.play(fleet, last.at_s + 1000)
    outcome = world.outcomes[last.request.key]
    assert outcome.node_id is not None
    expected = foreseen[outcome.node_id]
    assert outcome.first_s == pytest.approx(last.at_s + expected.first_token_s, abs=0.03)
    assert outcome.last_s == pytest.approx(last.at_s + expected.completion_s, abs=0.03)


def test_it_takes_the_machine_on_which_the_request_costs_least() -> None:
    asks = asked(3, per_s=6.0)
    world = ServingWorld(fleets.unequal(30, Random(3)), asks, Random(3))
    fleet = PlainFleet(Oracle(world, Random(1)))
    last = asks[-1]
    world.play(fleet, last.at_s - 1e-6)
    assert not any(view.line for view in fleet.views.values())
    costs = {
        node_id: cost_of(last.request.policy, foresee(machine, [], last, last.at_s))
        for node_id, machine in world.machines.items()
    }
    world.play(fleet, last.at_s)
    assert world.outcomes[last.request.key].node_id == min(costs, key=lambda each: costs[each])
