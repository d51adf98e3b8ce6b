"""Cancels that overtake their start."""

from mesh.core.types import AttemptId
from node_agent.tombstones import KEPT_S, TOMBSTONES_MAX, Tombstones


def test_a_cancelled_attempt_is_known_once() -> None:
    tombstones = Tombstones()
    tombstones.bury(AttemptId(1), 0.0)
    assert not tombstones.unearth(AttemptId(2), 1.0)
    assert tombstones.unearth(AttemptId(1), 1.0)
    assert not tombstones.unearth(AttemptId(1), 1.0)


def test_a_tombstone_is_kept_for_a_minute() -> None:
    tombstones = Tombstones()
    tombstones.bury(AttemptId(1), 0.0)
    tombstones.bury(AttemptId(2), 1.0)
    assert not tombstones.unearth(AttemptId(1), KEPT_S)
    assert tombstones.unearth(AttemptId(2), KEPT_S)


def test_the_oldest_makes_room() -> None:
    tombstones = Tombstones()
    for number in range(TOMBSTONES_MAX + 1):
        tombstones.bury(AttemptId(number), 0.0)
    assert len(tombstones) == TOMBSTONES_MAX
    assert not tombstones.unearth(AttemptId(0), 0.0)
    assert tombstones.unearth(AttemptId(1), 0.0)
