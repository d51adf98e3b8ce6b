"""A coordinator that was away itself blames nobody for what it did not hear."""

import pytest

from mesh.core import events
from mesh.core.actions import CancelAttempt, StartAttempt, TellOperator
from mesh.core.doubt import PULSE_EVERY_S
from mesh.core.types import Capability, Load, NodeId, NodeState
from tests.mesh.core.script import LLAMA, Script, kinds, of_type, only

NAMES = [f"desk{number}" for number in range(5)]


def states(script: Script) -> set[NodeState]:
    return {script.node(name).state for name in NAMES if name != "dead"}


@pytest.mark.parametrize("stall_s", [0.5, 2.0, 5.0, 60.0, 1e6])
def test_a_stall_of_ours_makes_no_healthy_node_suspect(script: Script, stall_s: float) -> None:
    """Nodes beat each second, and what they said meanwhile is read after the time is told."""
    for name in NAMES:
        script.attach(name, LLAMA)
    for second in range(60):
        if second % 4 == 3:
            assert set(kinds(script.stall(stall_s))) <= {"TellOperator"}
        else:
            assert script.after(1) == []
        assert states(script) == {NodeState.ALIVE}
        for name in NAMES:
            script.report(name)


@pytest.mark.parametrize("lateness_s", [0.0, 0.05, 0.5, 2.9])
def test_no_stall_is_too_short_or_too_well_placed(script: Script, lateness_s: float) -> None:
    """It ends right before the limit, so that nothing is left of it to read what waits."""
    script.attach("desk", LLAMA)
    script.after(2.9 - lateness_s)
    script.stall(lateness_s)
    script.report("desk")
    script.after(0.2)
    assert script.node("desk").state is NodeState.ALIVE


def test_a_loop_that_is_late_all_the_time_only_takes_longer(script: Script) -> None:
    """Half a second late, once a second, for as long as it takes: the dead are noticed."""
    script.attach("dead", LLAMA)
    began_s = script.now_s
    noticed_s: dict[NodeState, float] = {}
    while NodeState.LOST not in noticed_s:
        for actions in (script.after(0.5), script.stall(0.5)):
            assert set(kinds(actions)) <= {"CloseConnection"}  # nothing is told of half a second
            noticed_s.setdefault(script.node("dead").state, script.now_s - began_s)
    assert 3 <= noticed_s[NodeState.SUSPECT] <= 2 * 3
    assert 10 <= noticed_s[NodeState.LOST] <= 2 * 10


@pytest.mark.parametrize("stall_s", [1.0, 100.0])
def test_the_dead_are_noticed_once_we_have_listened_for_the_limit(
    script: Script, stall_s: float
) -> None:
    script.attach("dead", LLAMA)
    script.after(1)
    script.stall(stall_s)
    script.after(2 - PULSE_EVERY_S - 0.01)
    assert script.node("dead").state is NodeState.ALIVE
    script.after(PULSE_EVERY_S + 0.01)
    assert script.node("dead").state is NodeState.SUSPECT
    assert kinds(script.after(7)) == ["CloseConnection"]


def test_a_stall_is_noticed_whatever_is_heard_first_after_it(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("shelf", LLAMA)
    script.now_s += 5
    report = events.NodeReported(NodeId("desk"), script.node("desk").epoch, 1, (), Load())
    assert kinds(script.fleet.handle(report, script.now_s)) == ["TellOperator"]
    assert script.after(0) == []
    assert script.node("shelf").state is NodeState.ALIVE
    script.after(3)
    assert script.node("desk").state is NodeState.SUSPECT  # heard after the stall: nothing excused


def test_a_reset_is_noticed_at_once_after_a_stall_as_ever(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.begin("r1")
    script.attach("shelf", LLAMA)
    script.stall(30)
    actions = script.lose("desk")
    assert script.node("desk").state is NodeState.LOST
    assert only(actions, CancelAttempt).attempt_id == start.attempt_id
    assert only(actions, StartAttempt).connection_id == 2


def test_an_answer_that_was_not_begun_while_we_were_away_may_still_begin(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1", within_s=600), StartAttempt)
    script.after(1)
    assert kinds(script.stall(20)) == ["TellOperator"]
    assert kinds(script.open(start)) == ["AcceptDelivery"]


@pytest.mark.parametrize("seen", [False, True])
def test_an_answer_that_we_did_not_listen_to_does_not_stand_still(
    script: Script, seen: bool
) -> None:
    script.attach("desk", LLAMA, capabilities=[Capability.RESUME])
    start = script.stream("r1", resumable=True) if seen else script.begin("r1")
    script.attach("shelf", LLAMA, capabilities=[Capability.RESUME])
    script.after(0.2)
    assert kinds(script.stall(10)) == ["TellOperator"]
    assert script.after(0.2) == []
    assert kinds(script.progress(start, 3 if seen else 0, 1)) == ["SendDelta"]


def test_deadlines_are_the_clients_and_pass_while_we_are_away(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.begin("r1")
    assert kinds(script.stall(60)) == ["TellOperator", "CancelAttempt", "FailRequest"]


def test_the_operator_hears_of_long_stalls_once_a_minute(script: Script) -> None:
    script.attach("desk", LLAMA)
    lines = []
    for _ in range(20):
        lines += [each.line for each in of_type(script.stall(10), TellOperator)]
        script.report("desk")
    assert len(lines) == 4
    assert lines[0].startswith("this coordinator was held up for 9.8 s")


def test_nobody_is_waited_for_by_a_fleet_without_nodes(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.leave("desk")
    script.after(5)
    due_s = script.fleet.next_due_s
    assert due_s is not None
    assert due_s - script.now_s > 3000  # to forget the node; no pulse meanwhile
