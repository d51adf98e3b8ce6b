"""A machine is wanted back: what runs there goes on elsewhere, if it can at once."""

from mesh.core.actions import CancelAttempt, FinishRequest, StartAttempt
from mesh.core.types import Capability, NodeState
from tests.mesh.core.script import LLAMA, Script, kinds, of_type, only

RESUME = (Capability.RESUME,)


def test_the_owner_comes_back_and_the_answer_goes_on_elsewhere(script: Script) -> None:
    script.attach("desk", LLAMA, capabilities=RESUME)
    first = script.stream("r1", 3, resumable=True)
    script.attach("shelf", LLAMA, capabilities=RESUME)
    actions = script.report("desk", owner_busy=True)
    assert kinds(actions) == ["CancelAttempt", "StartAttempt"]
    assert only(actions, CancelAttempt).attempt_id == first.attempt_id
    second = script.accept(only(actions, StartAttempt), resumable=True)
    assert second.resumed_tokens == 3
    script.progress(second, 3, 1)
    receipt = only(script.finish(second, 4), FinishRequest).receipt
    assert [each.outcome for each in receipt.attempts] == ["relieved", "answered"]
    assert receipt.attempts[0].reason == "its owner is using it"


def test_a_drained_node_gives_up_what_others_can_take(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2, capabilities=RESUME)
    script.stream("seen", 3, resumable=True)
    script.begin("unseen")
    script.attach("shelf", LLAMA, slots=2, capabilities=RESUME)
    starts = of_type(script.drain("desk"), StartAttempt)
    assert {each.key.request_id: each.resumed_tokens for each in starts} == {"seen": 3, "unseen": 0}
    assert script.node("desk").attempts == {}


def test_what_nobody_can_take_stays(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2, capabilities=RESUME)
    kept = script.stream("without ids", 3)
    script.attach("shelf", LLAMA, slots_taken=1, capabilities=RESUME)
    moves = script.stream("with ids", 3, resumable=True)
    assert script.drain("desk") == []
    assert script.node("desk").state is NodeState.DRAINING
    assert kinds(script.progress(moves, 3, 1)) == ["SendDelta"]
    assert kinds(script.finish(kept)) == ["FinishRequest"]


def test_many_moves_cost_no_budget(script: Script) -> None:
    script.attach("desk", LLAMA, slots=8, capabilities=RESUME)
    for number in range(8):
        script.begin(f"r{number}")
    script.attach("shelf", LLAMA, slots=8, capabilities=RESUME)
    assert len(of_type(script.drain("desk"), StartAttempt)) == 8


def test_the_owners_own_requests_stay_on_the_owners_machine(script: Script) -> None:
    script.attach("desk", LLAMA, capabilities=RESUME, on_coordinator_host=True)
    start = only(script.ask("r1", from_coordinator_host=True), StartAttempt)
    script.accept(start, resumable=True)
    script.attach("shelf", LLAMA, capabilities=RESUME)
    assert script.report("desk", owner_busy=True) == []
