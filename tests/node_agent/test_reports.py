"""When a node reports, and what."""

import pytest

from mesh.core.types import ReplicaState, ReplicaStatus
from node_agent.reports import (
    EVERYTHING_EVERY,
    GAP_S,
    SLOTS_WITHIN_S,
    Change,
    Due,
    ReportSchedule,
)

A, B = 1, 2


def schedule() -> ReportSchedule:
    return ReportSchedule(beat_every_s=1.0, now_s=100.0)


def test_a_beat_is_due_each_interval_and_empty_if_nothing_changed() -> None:
    reports = schedule()
    assert reports.wait_s(100.0) == 1.0
    assert reports.take(100.5) is None
    assert reports.take(101.0) == Due(1, frozenset(), inventory=False)
    assert reports.wait_s(101.0) == 1.0
    assert reports.take(102.0) == Due(2, frozenset(), inventory=False)


def test_a_change_is_reported_at_once_and_moves_the_beat() -> None:
    reports = schedule()
    reports.replica_changed(A, Change.STATE, 100.5)
    assert reports.wait_s(100.5) == 0.0
    assert reports.take(100.5) == Due(1, frozenset({A}), inventory=False)
    assert reports.wait_s(100.5) == 1.0


def test_slots_that_come_and_go_wait_for_a_moment() -> None:
    for change in (Change.SLOT_TAKEN, Change.SLOT_FREED):
        reports = schedule()
        reports.replica_changed(A, change, 100.5)
        assert reports.wait_s(100.5) == SLOTS_WITHIN_S
        reports.replica_changed(B, Change.STATE, 100.5)
        assert reports.take(100.5) == Due(1, frozenset({A, B}), inventory=False)


def test_a_free_slot_of_what_was_reported_full_is_told_at_once() -> None:
    reports = schedule()
    reports.told([(A, ReplicaStatus(ReplicaState.WARM, slots=2, slots_taken=2))])
    reports.replica_changed(A, Change.SLOT_FREED, 100.5)
    assert reports.take(100.5) == Due(1, frozenset({A}), inventory=False)
    reports.told([(A, ReplicaStatus(ReplicaState.WARM, slots=2, slots_taken=1))])
    reports.replica_changed(A, Change.SLOT_FREED, 100.6)
    assert reports.take(100.6) is None


def test_changes_in_a_burst_travel_together() -> None:
    reports = schedule()
    reports.replica_changed(A, Change.STATE, 100.5)
    assert reports.take(100.5) is not None
    reports.replica_changed(A, Change.STATE, 100.5)
    reports.replica_changed(B, Change.STATE, 100.5)
    assert reports.take(100.5) is None
    assert reports.take(100.5 + GAP_S) == Due(2, frozenset({A, B}), inventory=False)


def test_everything_is_reported_now_and_then_even_if_changes_keep_coming() -> None:
    reports = schedule()
    now_s, whole = 100.0, 0
    while now_s < 100.0 + 2 * EVERYTHING_EVERY + 1:
        now_s += 0.5
        reports.replica_changed(A, Change.STATE, now_s)
        due = reports.take(now_s)
        whole += due is not None and due.replicas is None
    assert whole == 2


def test_a_new_model_list_goes_with_every_status() -> None:
    reports = schedule()
    reports.inventory_changed(100.5)
    assert reports.take(100.5) == Due(1, None, inventory=True)
    assert reports.take(101.5) == Due(2, frozenset(), inventory=False)


@pytest.mark.parametrize(("models", "gap_s"), [(0, 0.02), (1, 0.02), (40, 0.8), (1000, 1.0)])
def test_model_lists_are_sent_apart_the_longer_the_further(models: int, gap_s: float) -> None:
    reports = schedule()
    reports.inventory_changed(100.5)
    assert reports.take(100.5, models) is not None
    reports.inventory_changed(100.505)
    reports.replica_changed(A, Change.STATE, 100.51)
    assert reports.take(100.51, models) == Due(2, frozenset({A}), inventory=False)
    assert reports.wait_s(100.51) == pytest.approx(gap_s - 0.01)
    assert reports.take(100.5 + gap_s, models) == Due(3, None, inventory=True)
