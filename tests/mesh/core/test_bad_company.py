"""Nodes that lie of themselves, or are not who they seem: what they take is bounded."""

from collections import Counter

import pytest

from mesh.core.actions import Action, CloseConnection, FailRequest, StartAttempt, TellOperator
from mesh.core.types import FailureCode, NodeState, Refusal
from tests.mesh.core.script import LLAMA, Script, kinds, of_type, only, warm

TEMPTING = warm(1024, prefill=1e6, decode=1e6)  # the fastest in the mesh, and always free


@pytest.fixture
def mesh(script: Script) -> Script:
    """Two machines that have served for a while, and a new one that says it is far better."""
    script.attach("shelf", LLAMA, slots=64)
    script.attach("attic", LLAMA, slots=64)
    for number in range(100):  # which earns the mesh 20 second attempts
        script.finish(script.begin(f"earlier {number}"))
    script.attach("liar", LLAMA, status=TEMPTING)
    return script


def node_of(script: Script, start: StartAttempt) -> str:
    by_connection = {node.connection_id: node for node in script.fleet.directory.nodes.values()}
    return by_connection[start.connection_id].name


def live(script: Script, seconds: int, *, refuses: bool) -> Counter[str]:
    """A request a second. The liar refuses each that it gets, or lets it wait for ever."""
    got: Counter[str] = Counter()

    def serve(actions: list[Action]) -> None:
        for start in of_type(actions, StartAttempt):
            name = node_of(script, start)
            got[name] += 1
            if name != "liar":
                script.accept(start)
                serve(script.finish(start))
            elif refuses:
                serve(script.refuse(start, Refusal.BUSY))
        got["failed"] += len(of_type(actions, FailRequest))
        got["lines"] += len(of_type(actions, TellOperator))

    for second in range(seconds):
        serve(script.after(1))
        for node in ("liar", "shelf", "attic"):
            serve(script.report(node, (LLAMA, TEMPTING if node == "liar" else warm(64))))
        serve(script.ask(f"r{second}", within_s=60))
    return got


def test_a_node_that_says_it_is_free_and_begins_nothing_takes_little(mesh: Script) -> None:
    """It is believed until an attempt has waited for its whole limit; then it is on trial."""
    got = live(mesh, 1800, refuses=False)
    assert got["failed"] == 0
    assert got["liar"] <= 30
    assert got["lines"] == 1
    assert got["shelf"] + got["attic"] >= 1780


def test_a_node_that_says_it_is_free_and_refuses_costs_a_hop_each_time(mesh: Script) -> None:
    """A refusal is no failure: what it costs is the way there and back, once a report."""
    got = live(mesh, 600, refuses=True)
    assert (got["failed"], got["lines"]) == (0, 0)
    assert got["liar"] <= 600
    assert got["shelf"] + got["attic"] == 600


# -- two machines with one identity ---------------------------------------------------------------


def fight(script: Script, times: int, every_s: float) -> tuple[int, list[str]]:
    """Both attach again whenever the other one did; return how often one got in."""
    admitted, lines = 0, []
    script.attach("desk", LLAMA, slots=8)
    for _ in range(times):
        beats = script.after(every_s)
        actions = beats + script.report("desk") + script.attach("desk", LLAMA, slots=8)
        admitted += "AdmitNode" in kinds(actions)
        lines += [each.line for each in of_type(actions, TellOperator)]
    return admitted, lines


@pytest.mark.parametrize("every_s", [0.01, 0.5, 2.0])
def test_two_machines_with_one_identity_get_in_in_turns_once_a_minute(
    script: Script, every_s: float
) -> None:
    times = int(600 / every_s) if every_s > 0.1 else 3000
    admitted, lines = fight(script, times, every_s)
    assert admitted <= 8 + times * every_s / 60 + 1
    assert 1 <= len(lines) <= 2 + 2 * times * every_s / 60
    assert any("two machines take turns as desk" in line for line in lines)
    assert script.node("desk").contested
    assert script.node("desk").state is NodeState.ALIVE


def test_the_one_that_is_refused_is_told_what_to_do(script: Script) -> None:
    fight(script, 8, 0.01)
    refused = only(script.attach("desk", LLAMA), CloseConnection)
    assert refused.connection_id != script.node("desk").connection_id
    assert refused.failure.code is FailureCode.SUPERSEDED
    assert "remove `identity/`" in refused.failure.hint


def test_what_runs_there_is_not_hurt_by_one_that_is_refused(script: Script) -> None:
    fight(script, 8, 0.01)
    start = script.stream("r1")
    script.attach("desk", LLAMA)
    assert kinds(script.progress(start, 3, 1)) == ["SendDelta"]


def test_a_node_whose_old_connection_is_silent_is_let_in_however_often_it_came(
    script: Script,
) -> None:
    fight(script, 12, 0.01)
    script.after(3)
    assert "AdmitNode" in kinds(script.attach("desk", LLAMA))


def test_a_fight_that_is_over_is_forgotten(script: Script) -> None:
    fight(script, 12, 0.01)
    for _ in range(301):
        script.after(1)
        script.report("desk")
    assert not script.node("desk").contested


def test_an_agent_that_dials_all_our_addresses_at_once_does_not_flap(script: Script) -> None:
    for _ in range(8):
        script.attach("desk", LLAMA)
    assert kinds(script.ask("r1")) == ["StartAttempt"]
    script.attach("shelf", LLAMA)
    script.attach("attic", LLAMA)
    assert script.node("desk").replicas[LLAMA.model_id].able
