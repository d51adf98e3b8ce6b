"""Fifty nodes on links that jitter, and a coordinator that stalls: who is well is not blamed."""

import heapq
from random import Random

import pytest

from mesh.core.types import NodeState
from tests.mesh.core.script import LLAMA, Script

NODES = [f"desk{number}" for number in range(50)]
STALL_EVERY_S = 4.0  # on the average


def link_s(rng: Random) -> float:
    """How long a report is under way: Wi-Fi, where TCP turns loss into delay."""
    delay_s = rng.expovariate(1 / 0.01)
    if rng.random() < 0.02:
        delay_s += rng.choice([0.2, 0.4, 0.8])  # one to three retransmissions, doubling
    return delay_s


def suspect_share(script: Script, seconds: float, rng: Random, *, stalled_s: float) -> float:
    """Play an hour or a part of it; return the share of node time in which one was suspect."""
    for name in NODES:
        script.attach(name, LLAMA)
    began_s = script.now_s
    ends_s = began_s + seconds
    arrivals = [(began_s + rng.random(), name) for name in NODES]
    heapq.heapify(arrivals)
    sent_s = {name: at_s for at_s, name in arrivals}
    stall_s = began_s + rng.expovariate(1 / STALL_EVERY_S)
    suspect_s, since_s = 0.0, began_s
    while arrivals[0][0] < ends_s:
        at_s, name = heapq.heappop(arrivals)
        if at_s >= stall_s:
            script.after(max(0.0, stall_s - script.now_s))
            script.stall(stalled_s)
            stall_s = script.now_s + rng.expovariate(1 / STALL_EVERY_S)
        script.after(max(0.0, at_s - script.now_s))
        states = [script.node(each).state for each in NODES]
        assert NodeState.LOST not in states
        suspect_s += states.count(NodeState.SUSPECT) * (script.now_s - since_s)
        since_s = script.now_s
        script.report(name)
        sent_s[name] += 1.0  # beats keep their pace, whatever the link does
        heapq.heappush(arrivals, (max(at_s, sent_s[name] + link_s(rng)), name))
    return suspect_s / (len(NODES) * seconds)


@pytest.mark.parametrize("seconds", [120, pytest.param(3600, marks=pytest.mark.long)])
@pytest.mark.parametrize("stalled_s", [0.5, 5.0])
def test_healthy_nodes_are_never_lost_and_hardly_ever_suspect(
    script: Script, seconds: float, stalled_s: float
) -> None:
    assert suspect_share(script, seconds, Random(1), stalled_s=stalled_s) <= 0.001
