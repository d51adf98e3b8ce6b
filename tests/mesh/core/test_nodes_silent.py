"""A node that says nothing: suspect, then lost, then forgotten."""

import pytest

from mesh.core.actions import CancelAttempt, CloseConnection, FailRequest, StartAttempt
from mesh.core.types import FailureCode, NodeId, NodeState
from tests.mesh.core.script import LLAMA, Script, kinds, only, warm


def state(script: Script, name: str = "desk") -> NodeState:
    return script.node(name).state


def test_a_node_is_suspect_after_three_seconds_of_silence(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.after(2.99)
    assert state(script) is NodeState.ALIVE
    script.after(0.01)
    assert state(script) is NodeState.SUSPECT


def test_a_node_that_beats_is_never_suspect(script: Script) -> None:
    script.attach("desk", LLAMA)
    for _ in range(30):
        assert script.after(1) == []
        script.report("desk")
        assert state(script) is NodeState.ALIVE


def test_nothing_new_goes_to_a_suspect_node(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.after(3)
    failed = only(script.ask("r1"), FailRequest)
    assert failed.failure.code is FailureCode.NO_CAPABLE_NODE
    assert "desk: suspect: silent for 3.0 s" in failed.failure.message


def test_work_without_a_token_moves_away_from_a_suspect_node(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.begin("r1")
    script.now_s += 2
    script.attach("shelf", LLAMA)
    cancelled, moved = script.after(1)
    assert isinstance(cancelled, CancelAttempt)
    assert (cancelled.attempt_id, cancelled.connection_id) == (start.attempt_id, 1)
    assert isinstance(moved, StartAttempt)
    assert (moved.key, moved.connection_id) == (start.key, 2)


def test_work_without_a_token_waits_for_a_busy_node_rather_than_for_a_suspect_one(
    script: Script,
) -> None:
    script.attach("desk", LLAMA)
    script.begin("r1")
    script.now_s += 2
    script.attach("shelf", LLAMA)
    busy = script.stream("r2")
    assert kinds(script.after(1)) == ["CancelAttempt"]
    assert script.fleet.requests.waiting == 1
    assert kinds(script.finish(busy)) == ["FinishRequest", "StartAttempt"]


def test_work_that_could_go_nowhere_else_stays_with_a_suspect_node(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.begin("r1")
    assert script.after(3) == []
    assert state(script) is NodeState.SUSPECT
    assert kinds(script.progress(start, 0, 1)) == ["SendDelta"]
    assert kinds(script.finish(start)) == ["FinishRequest"]


def test_an_answer_under_way_stays_with_a_suspect_node(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.stream("r1")
    script.now_s += 2
    script.attach("shelf", LLAMA)
    assert script.after(1) == []
    assert kinds(script.progress(start, 3, 1)) == ["SendDelta"]


def test_a_report_makes_a_suspect_node_alive_again(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.after(5)
    script.report("desk")
    assert state(script) is NodeState.ALIVE
    assert kinds(script.ask("r1")) == ["StartAttempt"]


def test_a_node_that_came_back_is_suspect_again_after_three_more_seconds(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.after(3.5)
    script.report("desk")
    script.after(3)
    assert state(script) is NodeState.SUSPECT


def test_a_node_that_was_drained_falls_silent_as_quickly_as_any(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.drain("desk", by_operator=True)
    script.after(4)  # silent: from now on its loss is looked for
    script.report("desk")
    script.after(1)
    script.drain("desk", by_operator=True, resumed=True)
    assert state(script) is NodeState.ALIVE
    script.after(2)
    assert state(script) is NodeState.SUSPECT


def test_a_request_that_waits_starts_when_a_suspect_node_speaks(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    script.ask("r1")
    script.after(4)
    assert kinds(script.report("desk", (LLAMA, warm(1, 0)))) == ["StartAttempt"]


def test_a_node_is_lost_after_ten_seconds_and_its_connection_is_closed(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.after(9.99)
    assert state(script) is NodeState.SUSPECT
    closed = only(script.after(0.01), CloseConnection)
    assert (closed.connection_id, closed.failure.code) == (1, FailureCode.NODE_LOST)
    assert closed.failure.message == "silent for 10.0 s"
    assert state(script) is NodeState.LOST


def test_the_answers_of_a_lost_node_are_lost(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.stream("r1")
    actions = script.after(10)
    assert kinds(actions) == ["CloseConnection", "CancelAttempt", "FailRequest"]
    assert only(actions, FailRequest).failure.code is FailureCode.ANSWER_LOST


def test_a_report_comes_too_late_for_a_lost_node(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.after(10)
    script.report("desk")
    assert state(script) is NodeState.LOST


def test_a_lost_node_is_forgotten_after_an_hour(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.lose("desk")
    script.after(3599)
    assert state(script) is NodeState.LOST
    script.after(1)
    assert script.fleet.directory.nodes == {}
    assert only(script.ask("r1"), FailRequest).failure.message == (
        "no machine is attached to this mesh"
    )


def test_a_node_that_comes_back_is_not_forgotten(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.lose("desk")
    script.after(3599)
    script.attach("desk", LLAMA)
    script.after(1)
    assert state(script) is NodeState.ALIVE


@pytest.mark.parametrize("name", ["lost", "asleep"])
def test_a_node_that_came_back_falls_silent_as_quickly_as_any(script: Script, name: str) -> None:
    script.attach("desk", LLAMA)
    script.leave("desk", asleep=name == "asleep")
    script.after(500)
    script.attach("desk", LLAMA)
    script.after(3)
    assert state(script) is NodeState.SUSPECT


def test_the_moment_a_limit_is_due_is_handled_once_however_it_rounds() -> None:
    """(4.1 - 1.1) is less than 3: looking again at the same moment would never end."""
    for tenth in range(1, 200):
        script = Script(now_s=tenth / 10)
        script.attach("desk", LLAMA)
        for expected in (NodeState.SUSPECT, NodeState.LOST):
            while state(script) is not expected:
                due_s = script.fleet.next_due_s
                assert due_s is not None
                assert due_s > script.now_s
                script.now_s = due_s
                script.after(0)
            assert script.now_s - tenth / 10 < 10.1


def test_time_that_passes_without_anything_due_changes_nothing(script: Script) -> None:
    script.attach("desk", LLAMA)
    due_s = script.fleet.next_due_s
    assert script.after(0.1) == []
    assert script.fleet.next_due_s == due_s


def test_an_empty_fleet_has_nothing_due(script: Script) -> None:
    assert script.fleet.next_due_s is None
    assert script.after(1e9) == []


def test_every_unseen_attempt_of_a_suspect_node_moves_in_order(script: Script) -> None:
    script.attach("desk", LLAMA, slots=4)
    requests = [script.begin(f"r{i}").key for i in range(3)]
    script.stream("seen")
    script.now_s += 2
    script.attach("shelf", LLAMA, slots=4)
    moved = [action for action in script.after(1) if isinstance(action, StartAttempt)]
    assert [start.key for start in moved] == requests
    assert {start.connection_id for start in moved} == {2}
    assert len(script.fleet.directory.nodes[NodeId("desk")].attempts) == 1


def test_nothing_moves_to_a_node_that_is_as_silent(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("shelf", LLAMA)
    script.after(2)
    script.begin("r1")
    assert kinds(script.after(1)) == ["StartAttempt"]  # on the other one, as it is late
    actions = script.after(7)
    assert sorted(kinds(actions)) == [
        "CancelAttempt",
        "CancelAttempt",
        "CloseConnection",
        "CloseConnection",
        "FailRequest",
    ]
