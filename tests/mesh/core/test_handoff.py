"""A node fails in the middle of an answer: another one goes on with the very next token."""

from collections.abc import Iterable

import pytest

from mesh.core.actions import (
    Action,
    CancelAttempt,
    FailRequest,
    FinishRequest,
    SendMoved,
    SendRestarted,
    StartAttempt,
)
from mesh.core.events import CloudOffered
from mesh.core.limits import FleetLimits
from mesh.core.types import (
    Capability,
    CloudModel,
    Failure,
    FailureCode,
    Model,
    Refusal,
    ReplicaState,
    ReplicaStatus,
    Tier,
)
from tests.mesh.core.script import LLAMA, QWEN, Script, a_model, kinds, of_type, only, warm

RESUME = (Capability.RESUME,)


def rounding(numerics: str, slots: int = 1) -> ReplicaStatus:
    return ReplicaStatus(state=ReplicaState.WARM, slots=slots, numerics=numerics)


def attach(script: Script, *names: str, model: Model = LLAMA, **more: object) -> None:
    for name in names:
        script.attach(name, model, capabilities=RESUME, **more)  # type: ignore[arg-type]


def where(script: Script, start: StartAttempt) -> str:
    (name,) = (
        node.name
        for node in script.fleet.directory.nodes.values()
        if node.connection_id == start.connection_id
    )
    return name


def lost(script: Script, actions: Iterable[Action]) -> Failure:
    """Nobody can go on: after a while in which somebody could have come back, the answer is."""
    told = list(actions)
    assert of_type(told, StartAttempt) == []
    for _ in range(14):
        if of_type(told, FailRequest):
            break
        for node in script.fleet.directory.nodes.values():
            told += script.report(node.name) if node.connected else []
        told += script.after(1.0)
    return only(told, FailRequest).failure


def test_another_node_goes_on_with_the_next_token(script: Script) -> None:
    attach(script, "desk")
    first = script.stream("r1", 3, resumable=True)
    attach(script, "shelf")
    second = only(script.lose("desk"), StartAttempt)
    assert (second.key, where(script, second)) == (first.key, "shelf")
    assert second.model_id == LLAMA.model_id
    assert second.resumed_tokens == 3
    script.open(second)
    moved = only(script.say_started(second), SendMoved)
    assert (moved.token, moved.candidate.node_name) == (3, "shelf")
    assert kinds(script.progress(second, 3, 2)) == ["SendDelta"]
    receipt = only(script.finish(second, 5), FinishRequest).receipt
    assert [each.outcome for each in receipt.attempts] == ["node_lost", "answered"]
    assert receipt.numerics_changed_at_token == 0


def test_a_token_that_comes_twice_or_is_left_out_ends_the_attempt(script: Script) -> None:
    for offset in (2, 4):
        script = Script()
        attach(script, "desk")
        script.stream("r1", 3, resumable=True)
        attach(script, "shelf")
        second = script.accept(only(script.lose("desk"), StartAttempt), resumable=True)
        actions = script.progress(second, offset, 1)
        assert "SendDelta" not in kinds(actions)
        assert lost(script, actions).code is FailureCode.ANSWER_LOST


def test_an_answer_without_ids_is_lost(script: Script) -> None:
    attach(script, "desk")
    script.stream("r1", 3, resumable=False)
    attach(script, "shelf")
    failure = lost(script, script.lose("desk"))
    assert failure.code is FailureCode.ANSWER_LOST
    assert failure.message == "desk failed mid-answer: connection reset"


def restartable(script: Script, request_id: str = "r1", tokens: int = 3) -> StartAttempt:
    """The client has some tokens that nobody can go on with, and takes another beginning."""
    asked = script.ask(request_id, accept_restart=True)
    start = script.accept(only(asked, StartAttempt))
    script.progress(start, 0, tokens)
    return start


def test_an_answer_without_ids_begins_anew_where_its_client_takes_that(script: Script) -> None:
    attach(script, "desk")
    first = restartable(script)
    attach(script, "shelf")
    told = script.lose("desk")
    restarted = only(told, SendRestarted)
    assert restarted.attempt_id == first.attempt_id
    assert restarted.reason == "desk failed mid-answer: connection reset"
    second = only(told, StartAttempt)
    assert (where(script, second), second.resumed_tokens) == ("shelf", 0)
    script.open(second)
    assert kinds(script.say_started(second)) == ["SendStarted"]
    assert kinds(script.progress(second, 0, 3)) == ["SendDelta"]
    receipt = only(script.finish(second), FinishRequest).receipt
    assert [each.outcome for each in receipt.attempts] == [FailureCode.NODE_LOST, "answered"]
    assert receipt.notes == ("the answer began anew, as nobody could go on with it",)


def test_it_goes_on_rather_than_begin_anew(script: Script) -> None:
    attach(script, "desk", "shelf")
    asked = script.ask("r1", accept_restart=True)
    first = script.accept(only(asked, StartAttempt), resumable=True)
    script.progress(first, 0, 3)
    told = script.lose(where(script, first))
    assert of_type(told, SendRestarted) == []
    assert only(told, StartAttempt).resumed_tokens == 3


def test_it_begins_anew_once_nobody_came_back_to_go_on(script: Script) -> None:
    attach(script, "desk")
    asked = script.ask("r1", accept_restart=True)
    script.progress(script.accept(only(asked, StartAttempt), resumable=True), 0, 3)
    attach(script, "other weights", model=a_model("llama", digit="e"))
    told = list(script.lose("desk"))
    assert of_type(told, SendRestarted) == []
    for _ in range(14):
        told += script.report("other weights") + script.after(1.0)
    only(told, SendRestarted)
    assert where(script, only(told, StartAttempt)) == "other weights"


def test_what_cannot_begin_anew_either_fails_as_what_was_lost(script: Script) -> None:
    attach(script, "desk")
    restartable(script)
    told = list(script.lose("desk"))
    only(told, SendRestarted)
    assert only(told, FailRequest).failure.code is FailureCode.ANSWER_LOST


def test_what_nobody_came_back_for_fails_as_what_was_lost(script: Script) -> None:
    attach(script, "desk")
    asked = script.ask("r1", accept_restart=True)
    script.progress(script.accept(only(asked, StartAttempt), resumable=True), 0, 3)
    assert "desk failed mid-answer" in lost(script, script.lose("desk")).message


def test_it_does_not_begin_anew_for_ever(script: Script) -> None:
    names = [f"n{number}" for number in range(3 * script.limits.attempts_max)]
    attach(script, *names)
    start, restarts = restartable(script), 0
    while True:
        told = script.lose(where(script, start))
        if of_type(told, FailRequest):
            break
        restarts += len(of_type(told, SendRestarted))
        start = script.accept(only(told, StartAttempt))
        script.progress(start, 0, 1)
    assert 1 <= restarts < script.limits.attempts_max


def test_what_a_client_resumes_does_not_begin_anew(script: Script) -> None:
    attach(script, "desk")
    asked = script.ask("r1", accept_restart=True, resumed_tokens=5, needs=RESUME)
    start = script.accept(only(asked, StartAttempt))
    script.progress(start, 5, 3)
    attach(script, "shelf")
    assert lost(script, script.lose("desk")).code is FailureCode.ANSWER_LOST


def test_it_goes_on_where_the_same_model_can_be_resumed_only(script: Script) -> None:
    attach(script, "desk")
    script.stream("r1", 3, resumable=True)
    script.attach("no resume", LLAMA)
    attach(script, "other weights", model=a_model("llama", digit="e"))
    attach(script, "other model", model=QWEN)
    assert lost(script, script.lose("desk")).code is FailureCode.ANSWER_LOST


def test_it_goes_on_where_numbers_are_the_same_if_it_can(script: Script) -> None:
    attach(script, "desk", status=rounding("n1"))
    first = script.accept(only(script.ask("r1"), StartAttempt), numerics="n1", resumable=True)
    script.progress(first, 0, 3)
    attach(script, "quick", status=rounding("n2", 8), cores=64)
    attach(script, "same", status=rounding("n1"), cores=1)
    assert where(script, only(script.lose("desk"), StartAttempt)) == "same"


def test_a_change_of_rounding_is_told_on_the_receipt(script: Script) -> None:
    attach(script, "desk", status=rounding("n1"))
    first = script.accept(only(script.ask("r1"), StartAttempt), numerics="n1", resumable=True)
    script.progress(first, 0, 3)
    attach(script, "shelf", status=rounding("n2"))
    second = only(script.lose("desk"), StartAttempt)
    script.accept(second, numerics="n2", resumable=True)
    script.progress(second, 3, 1)
    receipt = only(script.finish(second, 4), FinishRequest).receipt
    assert receipt.numerics_changed_at_token == 3


def test_it_goes_on_time_and_again(script: Script) -> None:
    attach(script, "a")
    start, tokens = script.stream("r1", 3, resumable=True), 3
    for gone, name in zip("abc", "bcd", strict=True):
        attach(script, name)
        start = script.accept(only(script.lose(gone), StartAttempt), resumable=True)
        assert start.resumed_tokens == tokens
        script.progress(start, tokens, 2)
        tokens += 2
    assert len(only(script.finish(start, tokens), FinishRequest).receipt.attempts) == 4


def test_it_goes_on_as_often_as_each_gives_something(script: Script) -> None:
    """More often than a request may be tried that gets nothing."""
    attach(script, "desk")
    start = script.stream("r1", 3, resumable=True)
    for token in range(3, 3 + 2 * script.limits.attempts_max):
        attach(script, f"n{token}")
        gone = where(script, start)
        start = script.accept(only(script.lose(gone), StartAttempt), resumable=True)
        script.progress(start, token, 1)
    assert kinds(script.finish(start)) == ["FinishRequest"]


def test_it_waits_a_while_for_a_machine_that_comes_back(script: Script) -> None:
    """As the only one does, when something starts it again."""
    attach(script, "desk")
    script.stream("r1", 3, resumable=True)
    assert kinds(script.lose("desk")) == ["CancelAttempt"]
    script.after(4)
    start = only(script.attach("desk", LLAMA, capabilities=RESUME), StartAttempt)
    assert start.resumed_tokens == 3


def test_it_waits_for_a_slot(script: Script) -> None:
    attach(script, "desk")
    script.stream("r1", 3, resumable=True)
    attach(script, "shelf", slots_taken=1)
    assert kinds(script.lose("desk")) == ["CancelAttempt"]
    start = only(script.report("shelf", (LLAMA, warm(1, 0))), StartAttempt)
    assert start.resumed_tokens == 3


def test_it_goes_on_where_it_failed_if_there_is_nobody_else_and_not_for_ever(
    script: Script,
) -> None:
    """An engine that died is there again within seconds."""
    attach(script, "desk")
    first = script.stream("r1", 3, resumable=True)
    died = Failure(FailureCode.NODE_LOST, "the engine died")
    second = script.accept(only(script.fail(first, died), StartAttempt), resumable=True)
    assert (where(script, second), second.resumed_tokens) == ("desk", 3)
    starts, actions = 2, script.fail(second, died)
    for _ in range(120):
        if of_type(actions, FailRequest):
            break
        for start in of_type(actions, StartAttempt):
            starts += 1
            actions = script.fail(script.accept(start, resumable=True), died)
            break
        else:
            actions = script.report("desk") + script.after(1.0)
    assert 2 < starts <= script.limits.attempts_max + 1
    failure = only(actions, FailRequest).failure
    assert failure.code is FailureCode.ANSWER_LOST
    assert failure.message == "desk failed mid-answer: the engine died"


def test_many_answers_go_on_though_there_were_few_requests(script: Script) -> None:
    """The budget for second attempts is for requests that nobody has begun to answer."""
    attach(script, "desk", slots=16)
    for number in range(16):
        script.stream(f"r{number}", 3, resumable=True)
    attach(script, "shelf", slots=16)
    assert len(of_type(script.lose("desk"), StartAttempt)) == 16


def test_a_refusal_mid_answer_moves_it_on(script: Script) -> None:
    attach(script, "desk")
    script.stream("r1", 3, resumable=True)
    attach(script, "shelf")
    second = only(script.lose("desk"), StartAttempt)
    attach(script, "third")
    third = only(script.refuse(second, Refusal.BUSY), StartAttempt)
    assert (where(script, third), third.resumed_tokens) == ("third", 3)


def test_machines_that_are_full_for_a_while_do_not_end_it(script: Script) -> None:
    """All that the lost one had may come to the same machine at once."""
    attach(script, "desk")
    script.stream("r1", 3, resumable=True)
    attach(script, "shelf")
    start = only(script.lose("desk"), StartAttempt)
    for _ in range(2 * script.limits.attempts_max):
        assert script.refuse(start, Refusal.BUSY) == []
        script.now_s += 0.25
        start = only(script.report("shelf"), StartAttempt)
    script.now_s += 10
    last = script.refuse(start, Refusal.BUSY)
    assert lost(script, last).code is FailureCode.ANSWER_LOST


@pytest.mark.parametrize("code", [FailureCode.INVALID_REQUEST, FailureCode.CONTEXT_OVERFLOW])
def test_whoever_cannot_go_on_does_not_blame_the_client(script: Script, code: FailureCode) -> None:
    """Its context may be shorter than that of the machine that began."""
    attach(script, "desk")
    script.stream("r1", 3, resumable=True)
    attach(script, "shelf")
    second = script.accept(only(script.lose("desk"), StartAttempt), resumable=True)
    attach(script, "third")
    third = script.accept(only(script.fail(second, Failure(code, "no")), StartAttempt))
    assert where(script, third) == "third"
    script.lose("third")
    actions = script.lose("shelf")
    assert lost(script, actions).code is FailureCode.ANSWER_LOST


def test_the_cloud_never_goes_on_with_a_machines_answer(script: Script) -> None:
    script.happens(CloudOffered((CloudModel("big", "upstream.example"),)))
    attach(script, "desk")
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartAttempt)
    script.accept(start, resumable=True)
    script.progress(start, 0, 3)
    actions = script.lose("desk")
    assert lost(script, actions).code is FailureCode.ANSWER_LOST


def test_a_silent_node_keeps_an_answer_that_comes(script: Script) -> None:
    attach(script, "desk")
    start = script.stream("r1", 3, resumable=True)
    attach(script, "shelf")
    for token in range(3, 6):
        script.now_s += 1.0
        script.report("shelf")
        script.progress(start, token, 1)
    assert of_type(script.after(0.01), StartAttempt) == []  # suspect, and yet it gives tokens
    script.now_s += 2.5
    actions = script.report("shelf")
    assert only(actions, CancelAttempt).attempt_id == start.attempt_id
    assert only(actions, StartAttempt).resumed_tokens == 6


def test_the_deadline_counts_for_the_whole_answer() -> None:
    script = Script(FleetLimits())
    attach(script, "desk")
    start = only(script.ask("r1", within_s=10.0), StartAttempt)
    script.accept(start, resumable=True)
    script.progress(start, 0, 3)
    attach(script, "shelf", slots_taken=1)
    script.lose("desk")
    for _ in range(11):
        script.now_s += 1.0
        actions = script.report("shelf") + script.after(0.0)
        if actions:
            break
    assert lost(script, actions).code is FailureCode.DEADLINE_EXCEEDED


def test_rather_than_wait_it_goes_back_to_a_machine_that_failed_it_before(script: Script) -> None:
    attach(script, "desk")
    first = script.stream("r1", 3, resumable=True)
    attach(script, "shelf")
    second = only(script.fail(first), StartAttempt)
    assert where(script, second) == "shelf"
    script.accept(second, resumable=True)
    attach(script, "attic", slots=1, slots_taken=1)
    third = only(script.fail(second), StartAttempt)
    assert (where(script, third), third.resumed_tokens) == ("desk", 3)
    script.accept(third, resumable=True)
    assert of_type(script.fail(third), StartAttempt) == [], "not again within a moment"
