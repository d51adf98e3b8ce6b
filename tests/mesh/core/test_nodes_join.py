"""Nodes attach, again and again, and as many as may."""

import pytest

from mesh.core import events
from mesh.core.actions import AdmitNode, CancelAttempt, CloseConnection, FailRequest, StartAttempt
from mesh.core.limits import FleetLimits
from mesh.core.types import Epoch, FailureCode, NodeId, NodeState
from tests.mesh.core.script import LLAMA, QWEN, Script, kinds, only


def test_a_node_that_attaches_is_admitted_in_the_first_epoch(script: Script) -> None:
    assert script.attach("desk", LLAMA) == [AdmitNode(1, NodeId("desk"), Epoch(1))]
    assert script.node("desk").state is NodeState.ALIVE


def test_each_attach_is_a_later_epoch_whichever_node_it_is(script: Script) -> None:
    epochs = [
        only(script.attach(name, LLAMA), AdmitNode).epoch
        for name in ("desk", "shelf", "desk", "desk")
    ]
    assert epochs == [1, 2, 3, 4]


def test_attaching_again_ends_the_older_connection(script: Script) -> None:
    script.attach("desk", LLAMA)
    closed, admitted = script.attach("desk", LLAMA)
    assert isinstance(closed, CloseConnection)
    assert (closed.connection_id, closed.failure.code) == (1, FailureCode.SUPERSEDED)
    assert admitted == AdmitNode(2, NodeId("desk"), Epoch(2))


def test_attaching_again_after_a_loss_closes_nothing(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.lose("desk")
    assert kinds(script.attach("desk", LLAMA)) == ["AdmitNode"]


def test_attaching_again_moves_unseen_work_to_another_node(script: Script) -> None:
    script.attach("desk", LLAMA)
    old = script.begin("r1")
    script.attach("shelf", LLAMA)
    actions = script.attach("desk", QWEN)
    cancelled, moved = only(actions, CancelAttempt), only(actions, StartAttempt)
    assert (cancelled.attempt_id, cancelled.connection_id) == (old.attempt_id, old.connection_id)
    assert (moved.connection_id, moved.epoch, moved.key) == (2, 2, old.key)


def test_attaching_again_moves_unseen_work_to_the_node_itself_if_no_other_has_the_model(
    script: Script,
) -> None:
    script.attach("desk", LLAMA)
    script.begin("r1")
    actions = script.attach("desk", LLAMA)
    expected = ["CloseConnection", "AdmitNode", "CancelAttempt", "StartAttempt"]
    assert kinds(actions) == expected  # admitted before it is told to begin
    moved = only(actions, StartAttempt)
    assert (moved.connection_id, moved.epoch) == (2, 2)


def test_attaching_again_loses_an_answer_that_the_client_has_seen(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.stream("r1")
    failed = only(script.attach("desk", LLAMA), FailRequest)
    assert failed.failure.code is FailureCode.ANSWER_LOST


def test_the_older_connections_end_does_not_touch_the_newer_one(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("desk", LLAMA)
    assert script.happens(events.ConnectionLost(1, NodeId("desk"), "closed")) == []
    assert script.node("desk").state is NodeState.ALIVE


def test_a_node_keeps_its_round_trip_when_it_attaches_again(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.happens(events.RoundTripMeasured(NodeId("desk"), Epoch(1), 0.25))
    script.attach("desk", LLAMA)
    assert script.node("desk").rtt_s == 0.25


def test_a_mesh_that_is_full_refuses_a_new_node() -> None:
    script = Script(FleetLimits(nodes_max=2))
    script.attach("desk", LLAMA)
    script.attach("shelf", LLAMA)
    refused = only(script.attach("attic", LLAMA), CloseConnection)
    assert (refused.connection_id, refused.failure.code) == (3, FailureCode.OVERLOADED)
    assert len(script.fleet.directory.nodes) == 2


def test_a_mesh_that_is_full_lets_a_known_node_come_back() -> None:
    script = Script(FleetLimits(nodes_max=1))
    script.attach("desk", LLAMA)
    assert only(script.attach("desk", LLAMA), AdmitNode).epoch == 2


def test_a_mesh_that_is_full_forgets_who_is_gone_for_longest_first() -> None:
    script = Script(FleetLimits(nodes_max=3))
    for name in ("desk", "shelf", "attic"):
        script.attach(name, LLAMA)
    script.leave("shelf")
    script.after(1)
    script.leave("desk")
    assert kinds(script.attach("cellar", LLAMA)) == ["AdmitNode"]
    assert set(script.fleet.directory.nodes) == {"desk", "attic", "cellar"}


@pytest.mark.parametrize("seen", [False, True])
def test_an_attach_that_is_refused_leaves_running_work_alone(seen: bool) -> None:
    script = Script(FleetLimits(nodes_max=1))
    script.attach("desk", LLAMA)
    start = script.stream("r1") if seen else script.begin("r1")
    assert kinds(script.attach("shelf", LLAMA)) == ["CloseConnection"]
    assert kinds(script.progress(start, 3 if seen else 0, 1)) == ["SendDelta"]


def test_waiting_requests_start_when_a_node_attaches(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.begin("r1")
    assert script.ask("r2") == []
    admitted, started = script.attach("shelf", LLAMA)
    assert isinstance(admitted, AdmitNode)
    assert isinstance(started, StartAttempt)
    assert started.epoch == admitted.epoch
