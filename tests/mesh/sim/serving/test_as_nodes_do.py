"""What a played node tells, and when, is what a real one tells. The simulator cannot import it."""

from random import Random

import pytest

from mesh.core.types import ReplicaStatus
from mesh.sim.serving.measured import Rate
from mesh.sim.serving.reporting import BEAT_S, Reporting
from mesh.sim.serving.service import CHUNK_S, Pace
from node_agent.engine.chunks import ChunkSizer
from node_agent.rates import Rate as RealRate
from node_agent.reports import Change, ReportSchedule


@pytest.mark.parametrize("seed", range(5))
def test_rates_are_averaged_alike(seed: int) -> None:
    rng, played, real = Random(seed), Rate(), RealRate()
    for _ in range(50):
        tokens, seconds = rng.randint(1, 300), rng.uniform(0.0, 9.0)
        played.add(tokens, seconds)
        real.add(tokens, seconds)
        assert played.tokens_per_s == pytest.approx(real.tokens_per_s)


@pytest.mark.parametrize("seed", range(5))
def test_reports_leave_at_the_same_moments(seed: int) -> None:
    """Slots of one replica are taken and freed at random, thrice a second."""
    rng, slots, taken, now_s = Random(seed), 2, 0, 0.0
    played, real = Reporting(BEAT_S), ReportSchedule(beat_every_s=BEAT_S, now_s=0.0)
    for _ in range(200):
        now_s += rng.expovariate(3.0)
        while played.due_s <= now_s:
            due_s = played.due_s
            assert real.wait_s(0.0) == due_s
            due = real.take(due_s)
            changed = played.take(due_s, full=taken == slots)
            assert due is not None
            assert due.sequence == played.sequence
            if due.replicas is not None:  # None: everything is told again, every 30 beats
                assert changed == bool(due.replicas)
            if changed:
                real.told([(0, ReplicaStatus(slots=slots, slots_taken=taken))])
        freed = taken == slots or (taken > 0 and rng.random() < 0.5)
        taken += -1 if freed else 1
        played.changed(now_s, freed=freed)
        real.replica_changed(0, Change.SLOT_FREED if freed else Change.SLOT_TAKEN, now_s)


@pytest.mark.parametrize("token_s", [0.0001, 0.002, 0.0055, 0.05])
def test_chunks_are_as_long(token_s: float) -> None:
    sizer = ChunkSizer()
    sizer.learn(100, 100 * token_s)
    assert Pace(token_s, 0.01, 0.5).chunk_tokens == sizer.size(6000), f"of {CHUNK_S} s, bounded"
