"""The benchmark of routing, on a few machines: all is answered, and the order is as it must be."""

import pytest

from bench.fleet import RIVALS, Result, Trial, run
from bench.fleet_load import SHARE, SUSTAINED_PER_NODE
from bench.fleet_sides import SIDES
from mesh.sim.serving import fleets

NODES = 40


def trial(made: str) -> Trial:
    rate_per_s = SHARE * SUSTAINED_PER_NODE[made] * NODES
    return Trial(getattr(fleets, made), NODES, rate_per_s, warm_up_s=20.0, measured_s=40.0)


@pytest.fixture(scope="module")
def unequal() -> dict[str, Result]:
    return {side: run(side, trial("unequal"), drain_s=1200.0) for side in SIDES}


def test_every_side_answers_every_request(unequal: dict[str, Result]) -> None:
    asked = {len(result.completion_s) for result in unequal.values()}
    assert len(asked) == 1, "all are asked the same"
    assert asked.pop() > 400
    assert {side: result.unanswered for side, result in unequal.items()} == dict.fromkeys(SIDES, 0)


def test_the_oracle_beats_every_rival(unequal: dict[str, Result]) -> None:
    """Not always ours: it is greedy, and we let others pass by turns."""
    rivals = {side: unequal[side].p99_first_token_s for side in RIVALS}
    assert min(rivals, key=lambda side: rivals[side]) == "oracle"


@pytest.mark.parametrize("rival", ["round_robin", "least_loaded", "power_of_two"])
def test_on_unequal_machines_ours_begins_sooner(unequal: dict[str, Result], rival: str) -> None:
    assert unequal["ours"].p99_first_token_s < unequal[rival].p99_first_token_s


def test_the_same_seed_gives_the_same_figures(unequal: dict[str, Result]) -> None:
    again = run("ours", trial("unequal"), drain_s=1200.0)
    assert again.first_token_s == unequal["ours"].first_token_s
    assert again.completion_s == unequal["ours"].completion_s
