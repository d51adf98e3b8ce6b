"""A node that does not begin, or fails: the request moves before its first token, never after."""

from dataclasses import replace

import pytest

from mesh.core.actions import Action, FailRequest, StartAttempt
from mesh.core.limits import FleetLimits
from mesh.core.types import (
    Capability,
    Failure,
    FailureCode,
    Refusal,
    ReplicaState,
    ReplicaStatus,
)
from tests.mesh.core.script import LLAMA, QWEN, RESET, Script, kinds, of_type, only, warm

NOT_ELSEWHERE = (
    FailureCode.INVALID_REQUEST,
    FailureCode.CONTEXT_OVERFLOW,
    FailureCode.UNSUPPORTED,
    FailureCode.DEADLINE_EXCEEDED,
)
ELSEWHERE = (FailureCode.NODE_LOST, FailureCode.INTERNAL_ERROR, FailureCode.OVERLOADED)


def failure_of(actions: list[Action]) -> Failure:
    return only(actions, FailRequest).failure


def moves(script: Script, actions: list[Action]) -> int:
    """Fail a request wherever it goes; return how often it moved."""
    moved = -1
    while starts := of_type(actions, StartAttempt):
        moved += 1
        (start,) = starts
        actions = script.fail(start)
    assert failure_of(actions).code.elsewhere
    return moved


@pytest.mark.parametrize("code", ELSEWHERE)
@pytest.mark.parametrize("accepted", [False, True])
def test_a_failure_before_the_first_token_moves_the_request(
    script: Script, code: FailureCode, accepted: bool
) -> None:
    script.attach("desk", LLAMA)
    first = script.begin("r1") if accepted else only(script.ask("r1"), StartAttempt)
    script.attach("shelf", LLAMA)
    (second,) = script.fail(first, Failure(code, "broken"))
    assert isinstance(second, StartAttempt)
    assert (second.key, second.connection_id) == (first.key, 2)
    assert second.attempt_id != first.attempt_id


def test_the_answer_of_the_second_node_is_whole(script: Script) -> None:
    script.attach("desk", LLAMA)
    first = script.begin("r1")
    script.attach("shelf", LLAMA)
    second = script.accept(only(script.fail(first), StartAttempt))
    assert kinds(script.progress(second, 0, 3)) == ["SendDelta"]
    assert kinds(script.finish(second)) == ["FinishRequest"]


def test_a_request_does_not_go_back_to_the_node_that_failed_it(script: Script) -> None:
    script.attach("desk", LLAMA, slots=4)
    failure = failure_of(script.fail(script.begin("r1")))
    assert failure.code is FailureCode.NODE_LOST
    assert failure.message == "desk failed: connection reset"
    assert kinds(script.ask("r2")) == ["StartAttempt"]  # others still may


def test_a_request_waits_for_a_busy_node_rather_than_fail(script: Script) -> None:
    script.attach("desk", LLAMA)
    first = script.begin("r1")
    script.attach("shelf", LLAMA, slots_taken=1)
    assert script.fail(first) == []
    assert only(script.report("shelf", (LLAMA, warm(1, 0))), StartAttempt).key == first.key


def test_a_slot_that_a_failure_freed_goes_to_another_request(script: Script) -> None:
    script.attach("desk", LLAMA)
    first = script.begin("r1")
    script.ask("r2")
    failed, started = script.fail(first)
    assert isinstance(failed, FailRequest)
    assert isinstance(started, StartAttempt)
    assert started.key.request_id == "r2"


@pytest.mark.parametrize("code", ELSEWHERE)
def test_a_failure_after_the_first_token_loses_the_answer(
    script: Script, code: FailureCode
) -> None:
    script.attach("desk", LLAMA)
    start = script.stream("r1")
    script.attach("shelf", LLAMA)
    actions = script.fail(start, Failure(code, "broken"))
    assert kinds(actions) == ["FailRequest"]  # nothing starts elsewhere: never a silent splice
    failure = failure_of(actions)
    assert failure.code is FailureCode.ANSWER_LOST
    assert failure.message == "desk failed mid-answer: broken"


def test_text_without_a_token_counts_as_seen(script: Script) -> None:
    """An engine that gives no token ids sends text all the same."""
    script.attach("desk", LLAMA)
    start = script.begin("r1")
    script.attach("shelf", LLAMA)
    assert kinds(script.progress(start, 0, 0)) == ["SendDelta"]
    assert failure_of(script.fail(start)).code is FailureCode.ANSWER_LOST


@pytest.mark.parametrize("code", NOT_ELSEWHERE)
@pytest.mark.parametrize("seen", [False, True])
def test_what_no_other_node_could_do_better_is_passed_on_at_once(
    script: Script, code: FailureCode, seen: bool
) -> None:
    script.attach("desk", LLAMA)
    start = script.stream("r1") if seen else script.begin("r1")
    script.attach("shelf", LLAMA)
    told = Failure(code, "too long", "say less")
    actions = script.fail(start, told)
    assert kinds(actions) == ["FailRequest"]
    assert failure_of(actions) == told


@pytest.mark.parametrize(
    "code",
    [code for code in FailureCode if code not in (*NOT_ELSEWHERE, *ELSEWHERE)],
)
def test_what_is_not_for_a_node_to_say_is_its_own_failure(
    script: Script, code: FailureCode
) -> None:
    script.attach("desk", LLAMA)
    first = script.begin("r1")
    script.attach("shelf", LLAMA)
    second = only(script.fail(first, Failure(code, "says the node")), StartAttempt)
    failure = failure_of(script.fail(second, Failure(code, "says the node")))
    assert failure.code is FailureCode.INTERNAL_ERROR
    assert failure.message == f"shelf failed: {code}: says the node"


@pytest.mark.parametrize("refusal", list(Refusal))
def test_a_refusal_moves_the_request_to_another_node(script: Script, refusal: Refusal) -> None:
    script.attach("desk", LLAMA)
    first = only(script.ask("r1"), StartAttempt)
    script.attach("shelf", LLAMA)
    assert only(script.refuse(first, refusal), StartAttempt).connection_id == 2


@pytest.mark.parametrize("refusal", [Refusal.BUSY, Refusal.LOADING, Refusal.DRAINING])
def test_a_node_that_refused_gets_nothing_until_it_reports(
    script: Script, refusal: Refusal
) -> None:
    script.attach("desk", LLAMA, slots=8)
    first = only(script.ask("r1"), StartAttempt)
    assert script.refuse(first, refusal) == []
    assert script.ask("r2") == []
    starts = script.report("desk")  # nothing about the model: it tells of changes only
    assert kinds(starts) == ["StartAttempt", "StartAttempt"]


def test_an_owner_who_came_back_is_believed_until_the_next_report(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2)
    first = only(script.ask("r1"), StartAttempt)
    failure = failure_of(script.refuse(first, Refusal.OWNER_BUSY))
    assert failure.code is FailureCode.NO_CAPABLE_NODE
    assert "desk: its owner is using it" in failure.message
    assert kinds(script.ask("r2")) == ["FailRequest"]
    script.report("desk", owner_busy=False)
    assert kinds(script.ask("r3")) == ["StartAttempt"]


def test_a_node_whose_busy_models_hold_the_memory_is_waited_for(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2)
    first = only(script.ask("r1"), StartAttempt)
    assert script.refuse(first, Refusal.BUSY) == []
    on_disk = ReplicaStatus(ReplicaState.AVAILABLE, slots=2, slots_taken=2)
    for _ in range(20):  # reports, over as many beats; none of them costs an attempt
        assert script.report("desk", (LLAMA, on_disk)) == []
    (start,) = script.report("desk", (LLAMA, replace(on_disk, slots_taken=0)))
    assert isinstance(start, StartAttempt)


def test_a_node_without_memory_is_not_asked_again_by_the_same_request(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2)
    first = only(script.ask("r1"), StartAttempt)
    failure = failure_of(script.refuse(first, Refusal.NO_MEMORY))
    assert "desk: has not enough free memory for" in failure.message
    assert "memory" in failure_of(script.ask("r2")).message
    script.report("desk")
    assert kinds(script.ask("r3")) == ["StartAttempt"]


def test_refusals_of_one_model_do_not_close_the_nodes_other_models(script: Script) -> None:
    script.attach("desk", LLAMA, QWEN)
    script.refuse(only(script.ask("r1"), StartAttempt), Refusal.NO_MEMORY)
    assert kinds(script.ask("r2", "qwen")) == ["StartAttempt"]


def test_a_refusal_after_the_answer_began_is_ignored(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.begin("r1")
    assert script.refuse(start) == []
    assert kinds(script.progress(start, 0, 1)) == ["SendDelta"]


def test_a_refusal_ends_an_answer_stream_that_was_opened(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1"), StartAttempt)
    script.open(start)
    assert kinds(script.refuse(start)) == ["EndDelivery"]


def test_refusals_end_with_the_attempts_a_request_may_have() -> None:
    script = Script(FleetLimits(attempts_max=3))
    script.attach("desk", LLAMA)
    actions = script.ask("r1")
    for _ in range(2):
        assert script.refuse(only(actions, StartAttempt)) == []
        actions = script.report("desk")
    failure = failure_of(script.refuse(only(actions, StartAttempt)))
    assert failure.code is FailureCode.OVERLOADED
    assert failure.message == (
        "3 attempts did not begin (desk: the node said busy; desk: the node said busy; "
        "desk: the node said busy)"
    )


def test_refusals_of_a_resumed_answer_end_as_well() -> None:
    """What its client had before is nothing that an attempt has given."""
    script = Script(FleetLimits(attempts_max=3))
    script.attach("desk", LLAMA, capabilities=[Capability.RESUME])
    actions = script.ask("r1", needs=[Capability.RESUME], resumed_tokens=20)
    for _ in range(2):
        assert script.refuse(only(actions, StartAttempt)) == []
        actions = script.report("desk")
    assert failure_of(script.refuse(only(actions, StartAttempt))).code is FailureCode.OVERLOADED


def test_refusals_cost_no_retry_budget(script: Script) -> None:
    for i in range(8):
        script.attach(f"n{i}", LLAMA)
    actions = script.ask("r1")
    for _ in range(7):  # far more than the budget of three would allow
        actions = script.refuse(only(actions, StartAttempt))
    script.finish(script.accept(only(actions, StartAttempt)))
    for i in range(8):
        script.report(f"n{i}")
    assert moves(script, script.ask("r2")) == 3


def test_the_mesh_retries_no_more_than_its_budget(script: Script) -> None:
    """attempts <= 1.2 x requests + 3, where each request fails for as long as it may."""
    for i in range(40):
        script.attach(f"n{i}", LLAMA, slots=100)
    attempts = sum(1 + moves(script, script.ask(f"r{i}")) for i in range(10))
    assert attempts == 10 * 1.2 + 3


def test_a_node_that_does_not_open_its_answer_stream_in_time_is_given_up() -> None:
    script = Script(FleetLimits(delivery_within_s=5))
    script.attach("desk", LLAMA)
    first = only(script.ask("r1"), StartAttempt)
    for _ in range(2):
        assert script.after(2) == []
        script.report("desk")
    script.attach("shelf", LLAMA)
    actions = script.after(1)
    assert kinds(actions) == ["CancelAttempt", "StartAttempt"]
    assert only(actions, StartAttempt).connection_id == 2
    assert kinds(script.open(first)) == ["RejectDelivery"]


def test_an_answer_stream_that_was_opened_is_not_overdue() -> None:
    script = Script(FleetLimits(delivery_within_s=5))
    script.attach("desk", LLAMA)
    start = only(script.ask("r1"), StartAttempt)
    script.open(start)
    for _ in range(5):
        assert script.after(2) == []
        script.report("desk")
    assert kinds(script.fail(start, RESET)) == ["FailRequest"]
