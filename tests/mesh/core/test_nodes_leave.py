"""Nodes go: politely, to sleep, by a broken stream, or drained for a while."""

import pytest

from mesh.core import events
from mesh.core.actions import CancelAttempt, FailRequest, StartAttempt
from mesh.core.types import Epoch, FailureCode, NodeId, NodeState
from tests.mesh.core.script import LLAMA, QWEN, Script, kinds, only


@pytest.mark.parametrize(
    ("asleep", "state", "reason"),
    [(True, NodeState.ASLEEP, "went to sleep"), (False, NodeState.LOST, "shut down")],
)
def test_a_node_that_says_goodbye_is_gone_at_once(
    script: Script, asleep: bool, state: NodeState, reason: str
) -> None:
    script.attach("desk", LLAMA)
    assert script.leave("desk", asleep=asleep) == []
    assert (script.node("desk").state, script.node("desk").state_reason) == (state, reason)
    assert reason in only(script.ask("r1"), FailRequest).failure.message


def test_a_request_that_only_a_sleeping_node_could_serve_says_who_sleeps_since_when(
    script: Script,
) -> None:
    script.attach("desk", LLAMA)
    script.attach("shelf", QWEN)
    script.leave("desk", asleep=True)
    script.after(600)
    failure = only(script.ask("r1"), FailRequest).failure
    assert failure.code is FailureCode.NO_CAPABLE_NODE
    assert "desk: asleep: went to sleep 10 min ago, and is expected back" in failure.message
    assert failure.hint == "wake desk, or ask again when it is back"


def test_waking_a_node_is_not_advised_for_what_it_could_not_serve(script: Script) -> None:
    script.attach("desk", LLAMA, context_tokens=16)
    script.leave("desk", asleep=True)
    script.attach("shelf", LLAMA, context_tokens=16)
    failure = only(script.ask("r1", prompt_bytes=100_000), FailRequest).failure
    assert "wake" not in failure.hint


@pytest.mark.parametrize(("asleep", "known"), [(True, True), (False, False)])
def test_one_that_sleeps_over_the_weekend_is_remembered(
    script: Script, asleep: bool, known: bool
) -> None:
    script.attach("desk", LLAMA)
    script.leave("desk", asleep=asleep)
    script.after(64 * 3600)
    assert (NodeId("desk") in script.fleet.directory.nodes) is known


def test_sleep_is_not_loss_even_when_the_stream_breaks_after_it(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.leave("desk", asleep=True)
    assert script.lose("desk") == []
    assert script.node("desk").state is NodeState.ASLEEP


def test_a_goodbye_of_an_older_epoch_is_dropped(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("desk", LLAMA)
    script.happens(events.NodeLeft(NodeId("desk"), Epoch(1)))
    assert script.node("desk").state is NodeState.ALIVE


def test_a_goodbye_moves_unseen_work(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.begin("r1")
    script.attach("shelf", LLAMA)
    cancelled, moved = script.leave("desk")
    assert isinstance(cancelled, CancelAttempt)
    assert isinstance(moved, StartAttempt)
    assert (moved.key, moved.connection_id) == (start.key, 2)


def test_a_broken_stream_loses_the_node_at_once(script: Script) -> None:
    script.attach("desk", LLAMA)
    assert script.lose("desk", "reset by peer") == []
    assert script.node("desk").state is NodeState.LOST
    assert "lost: reset by peer" in only(script.ask("r1"), FailRequest).failure.message


def test_a_broken_stream_moves_unseen_work_and_loses_seen_answers(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2)
    unseen, seen = script.begin("r1"), script.stream("r2")
    script.attach("shelf", LLAMA)
    actions = script.lose("desk")
    assert only(actions, StartAttempt).key == unseen.key
    failed = only(actions, FailRequest)
    assert (failed.key, failed.failure.code) == (seen.key, FailureCode.ANSWER_LOST)


def test_the_loss_of_an_unknown_connection_changes_nothing(script: Script) -> None:
    script.attach("desk", LLAMA)
    assert script.happens(events.ConnectionLost(7, NodeId("desk"), "reset")) == []
    assert script.happens(events.ConnectionLost(1, NodeId("ghost"), "reset")) == []
    assert script.node("desk").state is NodeState.ALIVE


def test_a_draining_node_gets_nothing_new_and_finishes_what_runs(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2)
    start = script.begin("r1")
    assert script.drain("desk", "for repair") == []
    failed = only(script.ask("r2"), FailRequest)
    assert "desk: draining: for repair" in failed.failure.message
    assert kinds(script.progress(start, 0, 3)) == ["SendDelta"]
    assert kinds(script.finish(start)) == ["FinishRequest"]


def test_a_report_does_not_end_a_drain(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.drain("desk")
    script.report("desk")
    assert script.node("desk").state is NodeState.DRAINING


def test_a_resumed_node_takes_those_that_wait(script: Script) -> None:
    script.attach("shelf", LLAMA)
    script.begin("r1")
    script.attach("desk", LLAMA)
    script.drain("desk")
    assert script.ask("r2") == []
    started = only(script.drain("desk", resumed=True), StartAttempt)
    assert started.connection_id == 2


def test_resuming_a_node_that_never_drained_changes_nothing(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.after(4)
    script.drain("desk", resumed=True)
    assert script.node("desk").state is NodeState.SUSPECT


def test_resuming_a_silent_node_leaves_it_suspect(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.drain("desk")
    script.after(4)
    script.drain("desk", resumed=True)
    assert script.node("desk").state is NodeState.SUSPECT
    script.after(6)
    assert script.node("desk").state is NodeState.LOST


def test_a_draining_node_can_be_lost(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.drain("desk")
    assert kinds(script.after(10)) == ["CloseConnection"]


def test_an_operators_drain_outlives_the_connection(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.drain("desk", by_operator=True)
    script.lose("desk")
    script.attach("desk", LLAMA)
    assert script.node("desk").state is NodeState.DRAINING
    assert kinds(script.drain("desk", resumed=True, by_operator=True)) == []
    assert kinds(script.ask("r1")) == ["StartAttempt"]


def test_an_operator_may_drain_a_node_that_is_away_and_resume_it(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.leave("desk", asleep=True)
    script.drain("desk", by_operator=True)
    assert script.node("desk").state is NodeState.ASLEEP
    script.attach("desk", LLAMA)
    assert script.node("desk").state is NodeState.DRAINING
    script.leave("desk", asleep=True)
    script.drain("desk", resumed=True, by_operator=True)
    script.attach("desk", LLAMA)
    assert script.node("desk").state is NodeState.ALIVE


def test_an_owners_drain_ends_with_the_connection(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.drain("desk")
    script.leave("desk")
    script.attach("desk", LLAMA)
    assert script.node("desk").state is NodeState.ALIVE


def test_draining_an_unknown_node_changes_nothing(script: Script) -> None:
    assert script.drain("ghost") == []
    assert script.fleet.directory.nodes == {}


def test_who_waits_for_a_machine_that_is_gone_is_told_within_three_seconds(
    script: Script,
) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    script.ask("r1", within_s=600)
    script.after(1)
    script.lose("desk")
    failed = only(script.after(2), FailRequest)
    assert failed.failure.code is FailureCode.NO_CAPABLE_NODE
    assert "desk: lost: connection reset" in failed.failure.message


def test_who_waits_goes_on_waiting_while_a_machine_is_only_busy_or_silent(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    script.ask("r1", within_s=600)
    for _ in range(9):
        assert script.after(1) == []
    assert script.node("desk").state is NodeState.SUSPECT
    assert script.fleet.requests.waiting == 1
    assert kinds(script.after(3)) == ["CloseConnection", "FailRequest"]


def test_who_waits_is_served_by_a_machine_that_comes_back_in_time(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    script.ask("r1", within_s=600)
    script.lose("desk")
    assert kinds(script.attach("desk", LLAMA)) == ["AdmitNode", "StartAttempt"]
