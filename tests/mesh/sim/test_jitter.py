"""A whole office on Wi-Fi, a coordinator that stalls: no machine that is well is taken for gone."""

from dataclasses import replace

import pytest

from mesh.core.types import NodeState
from mesh.sim.chaos.clients import Habits
from mesh.sim.chaos.trial import Setting, Trial

HOUR_S = 3600.0
LOOK_EVERY_S = 0.25
OFFICE = Setting(
    nodes=50,
    seconds=HOUR_S,
    habits=Habits(requests_per_s=0.1),
    faults=(),
    beats_s=(1.0,),
    all_wireless=True,
    # Of every segment: a tenth of a second late on average, and one in 12 sent again, which takes
    # 0.2 s the first time, 0.6 s the second, 1.4 s the third, and 3 s the fourth.
    jitter_s=0.1,
    loss=0.08,
    stall_every_s=10.0,
    stall_s=(0.5,),
)


def play(setting: Setting, seed: int = 1) -> tuple[Trial, float]:
    """Play to the end; return the share of the nodes' time that they were suspect."""
    trial = Trial(seed, setting)
    looks = suspect = 0
    for look in range(1, int(setting.seconds / LOOK_EVERY_S)):
        trial.play_until(look * LOOK_EVERY_S)
        looks += setting.nodes
        for node in trial.fleet.directory.nodes.values():
            suspect += node.state is NodeState.SUSPECT
    trial.play()
    return trial, suspect / looks


@pytest.mark.parametrize("seconds", [600.0, pytest.param(HOUR_S, marks=pytest.mark.long)])
def test_no_healthy_machine_is_lost_and_few_are_suspect_while_the_coordinator_stalls(
    seconds: float,
) -> None:
    trial, suspect_share = play(replace(OFFICE, seconds=seconds))
    assert trial.connections == OFFICE.nodes, "a machine had to attach again"
    assert suspect_share <= 0.001
    assert trial.promises.finished > 0.8 * trial.promises.arrived > 0


def test_machines_that_are_gone_are_missed_in_the_same_office() -> None:
    """Else a fleet that suspects nobody would pass."""
    thick = replace(OFFICE, seconds=300.0, jitter_s=0.5, loss=0.45)
    trial, suspect_share = play(thick)
    assert suspect_share > 0.001
    assert trial.connections > OFFICE.nodes


@pytest.mark.parametrize("stall_s", [4.0, 12.0])
def test_a_coordinator_that_stalls_for_longer_blames_itself(stall_s: float) -> None:
    """As a laptop does that hosts it and slept: all beats of the time come in one burst."""
    stalling = replace(OFFICE, seconds=600.0, jitter_s=0.004, loss=0.01, stall_s=(stall_s,))
    trial, suspect_share = play(replace(stalling, stall_every_s=60.0))
    assert trial.connections == OFFICE.nodes
    assert suspect_share <= 0.001
