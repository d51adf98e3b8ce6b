"""Who fails again and again gets little to fail; who is well gets the rest."""

from collections import Counter
from dataclasses import replace

import pytest

from mesh.core.actions import Action, FailRequest, FinishRequest, StartAttempt, TellOperator
from mesh.core.types import Capability, Failure, FailureCode, Refusal
from tests.mesh.core.script import LLAMA, QWEN, RESET, Script, kinds, of_type, only, warm

FAST = warm(8, prefill=5000.0)  # so that it is chosen wherever it may be


def fails(script: Script, name: str, times: int, failure: Failure = RESET) -> list[Action]:
    """Requests come one after another, and ``name`` fails each that it gets."""
    actions: list[Action] = []
    for _ in range(times):
        start = only(script.ask(f"to fail {script.fleet.requests.total}"), StartAttempt)
        assert start.connection_id == script.node(name).connection_id, "it got the request"
        actions += script.fail(start, failure)
        for moved in of_type(actions[-2:], StartAttempt):
            script.accept(moved)
            script.finish(moved)
    return actions


def beats(script: Script, seconds: int) -> list[Action]:
    """Time passes in which every machine that is there reports each second."""
    actions: list[Action] = []
    for _ in range(seconds):
        actions += script.after(1)
        for node in script.fleet.directory.nodes.values():
            actions += script.report(node.name)
    return actions


def goes_to(script: Script, actions: list[Action]) -> str:
    start = only(actions, StartAttempt)
    return next(
        node.name
        for node in script.fleet.directory.nodes.values()
        if node.connection_id == start.connection_id
    )


@pytest.fixture
def three(script: Script) -> Script:
    """A machine that is chosen first, and two that are there instead."""
    script.attach("bad", LLAMA, QWEN, status=FAST)
    script.attach("shelf", LLAMA, slots=8)
    script.attach("attic", LLAMA, slots=8)
    return script


def test_three_failures_in_a_row_keep_requests_away(three: Script) -> None:
    fails(three, "bad", 2)
    assert goes_to(three, three.ask("r1")) == "bad"
    fails(three, "bad", 1)
    assert goes_to(three, three.ask("r2")) != "bad"


def test_another_model_of_the_node_is_still_served(three: Script) -> None:
    fails(three, "bad", 3)
    assert goes_to(three, three.ask("r1", "qwen")) == "bad"


def test_a_success_between_failures_starts_the_count_anew(three: Script) -> None:
    for _ in range(3):
        fails(three, "bad", 2)
        start = three.begin("good")
        three.finish(start)
    assert goes_to(three, three.ask("r1")) == "bad"


@pytest.mark.parametrize(
    "code",
    [
        FailureCode.INVALID_REQUEST,
        FailureCode.CONTEXT_OVERFLOW,
        FailureCode.UNSUPPORTED,
        FailureCode.OVERLOADED,
        FailureCode.DEADLINE_EXCEEDED,
    ],
)
def test_what_is_not_the_nodes_fault_does_not_count(three: Script, code: FailureCode) -> None:
    for number in range(9):
        script_start = only(three.ask(f"r{number}"), StartAttempt)
        for moved in of_type(three.fail(script_start, Failure(code, "no")), StartAttempt):
            three.accept(moved)
            three.finish(moved)
    assert goes_to(three, three.ask("last")) == "bad"


def test_neither_refusals_nor_clients_that_leave_count(three: Script) -> None:
    for number in range(5):
        start = only(three.ask(f"r{number}"), StartAttempt)
        moved = only(three.refuse(start, Refusal.BUSY), StartAttempt)
        three.accept(moved)
        three.finish(moved)
        three.report("bad")
        three.begin(f"left {number}")
        three.cancel(f"left {number}")
    assert goes_to(three, three.ask("last")) == "bad"


def test_after_the_pause_one_request_at_a_time_is_a_trial(three: Script) -> None:
    fails(three, "bad", 3)
    beats(three, 5)
    trial = only(three.ask("trial"), StartAttempt)
    assert trial.connection_id == three.node("bad").connection_id
    assert goes_to(three, three.ask("r1")) != "bad"
    three.accept(trial)
    three.finish(trial)
    assert [goes_to(three, three.ask(f"more {i}")) for i in range(2)] == ["bad"] * 2


def test_a_trial_that_fails_doubles_the_pause(three: Script) -> None:
    fails(three, "bad", 3)
    beats(three, 5)
    fails(three, "bad", 1)
    beats(three, 9)
    assert goes_to(three, three.ask("r1")) != "bad"
    beats(three, 1)
    assert goes_to(three, three.ask("r2")) == "bad"


def test_a_trial_whose_client_leaves_makes_room_for_another(three: Script) -> None:
    fails(three, "bad", 3)
    beats(three, 5)
    three.ask("trial")
    three.cancel("trial")
    assert goes_to(three, three.ask("r1")) == "bad"


def test_who_waits_is_served_once_a_pause_is_over(script: Script) -> None:
    script.attach("bad", LLAMA, status=FAST)
    script.attach("shelf", LLAMA)
    fails(script, "bad", 3)
    script.begin("r1")
    assert script.ask("r2") == []
    assert of_type(beats(script, 4), StartAttempt) == []
    assert goes_to(script, script.after(1)) == "bad"


def test_an_explanation_says_why_and_until_when(three: Script) -> None:
    fails(three, "bad", 3)
    beats(three, 2)
    start = only(three.ask("r1", explain=True), StartAttempt)
    three.accept(start)
    receipt = only(three.finish(start), FinishRequest).receipt
    reasons = {each.node_name: each.reason for each in receipt.ruled_out}
    assert reasons == {"bad": "failed 3 requests in a row; tried again in 3 s"}


# -- panic: most of them have failed -----------------------------------------------------------


def test_one_machine_of_one_is_always_tried(script: Script) -> None:
    script.attach("desk", LLAMA, slots=8)
    for number in range(9):
        start = only(script.ask(f"r{number}"), StartAttempt)
        assert kinds(script.fail(start))[-1] == "FailRequest"
    assert [kinds(script.ask(f"many {i}")) for i in range(3)] == [["StartAttempt"]] * 3


def test_the_operator_is_not_told_of_a_pause_that_nobody_takes(script: Script) -> None:
    script.attach("desk", LLAMA, slots=8)
    lines = []
    for number in range(9):
        start = only(script.ask(f"r{number}"), StartAttempt)
        lines += [each.line for each in of_type(script.fail(start), TellOperator)]
    assert lines == [
        "desk failed 3 requests of llama in a row (node_lost): "
        "more than half of those that have it fail, so that none is left out"
    ]


def test_one_that_fails_is_tried_where_nobody_else_can(three: Script) -> None:
    """Of three machines it is the only one left, and no panic yet: better than no answer."""
    fails(three, "bad", 3)
    assert goes_to(three, three.ask("r0", max_tokens=1)) != "bad"
    for name in ("shelf", "attic"):
        three.report(name, (LLAMA, warm(8)), owner_busy=True)
    assert goes_to(three, three.ask("r1")) == "bad"


def test_what_a_failing_one_alone_can_serve_goes_there(three: Script) -> None:
    """The others have the model, too, and this prompt is too long for them."""
    three.attach("bad", LLAMA, QWEN, status=FAST, context_tokens=100_000)
    fails(three, "bad", 3)
    assert goes_to(three, three.ask("r1", prompt_bytes=100_000)) == "bad"


def test_an_answer_that_was_cut_goes_on_at_one_that_fails_rather_than_wait(script: Script) -> None:
    resume = (Capability.RESUME,)
    script.attach("bad", LLAMA, capabilities=resume, status=FAST)
    script.attach("shelf", LLAMA, capabilities=resume, slots=1)
    script.attach("attic", LLAMA, capabilities=resume, slots=8)
    fails(script, "bad", 3)
    at_attic = script.stream("cut", 3, resumable=True)
    other = script.stream("other", 3, resumable=True)
    assert {at_attic.connection_id, other.connection_id} == {
        script.node("shelf").connection_id,
        script.node("attic").connection_id,
    }
    held = at_attic if at_attic.connection_id == script.node("attic").connection_id else other
    moved = only(script.lose("attic"), StartAttempt)
    assert (moved.key, moved.resumed_tokens) == (held.key, 3)
    assert moved.connection_id == script.node("bad").connection_id


def test_an_answer_that_waits_goes_on_at_one_that_fails_once_it_has_room(script: Script) -> None:
    resume = (Capability.RESUME,)
    script.attach("bad", LLAMA, capabilities=resume, status=replace(FAST, slots=1))
    script.attach("shelf", LLAMA, capabilities=resume, slots=1)
    script.attach("attic", LLAMA, capabilities=resume, slots=2)
    fails(script, "bad", 3)
    streams = [script.stream(f"r{number}", 3, resumable=True) for number in range(3)]
    at_attic = [
        each for each in streams if each.connection_id == script.node("attic").connection_id
    ]
    moved = only(script.lose("attic"), StartAttempt)  # of two, the other one waits
    assert len(at_attic) == 2
    assert moved.connection_id == script.node("bad").connection_id
    assert of_type(script.cancel(moved.key.request_id), StartAttempt) == []
    at_shelf = next(each for each in streams if each not in at_attic)
    told = []
    for second in range(4):
        script.progress(at_shelf, 3 + second, 1)
        told += beats(script, 1)
    again = only(told, StartAttempt)
    assert again.connection_id == script.node("bad").connection_id
    assert again.key != moved.key


def test_one_that_fails_and_is_full_is_not_asked_again_and_again(script: Script) -> None:
    resume = (Capability.RESUME,)
    script.attach("bad", LLAMA, capabilities=resume, status=FAST)
    script.attach("shelf", LLAMA, capabilities=resume, slots=1, slots_taken=1)
    script.attach("attic", LLAMA, capabilities=resume, slots=8)
    fails(script, "bad", 3)
    script.stream("r1", 3, resumable=True)
    moved = only(script.lose("attic"), StartAttempt)
    assert moved.connection_id == script.node("bad").connection_id
    assert of_type(script.refuse(moved), StartAttempt) == [], "until it reports that it has room"


def test_who_has_seen_nothing_waits_for_those_that_do_not_fail(script: Script) -> None:
    script.attach("bad", LLAMA, status=FAST)
    script.attach("shelf", LLAMA, slots=1)
    script.attach("attic", LLAMA, slots=1)
    fails(script, "bad", 3)
    script.begin("r1")
    script.begin("r2")
    assert of_type(script.ask("r3"), StartAttempt) == []


def test_two_of_three_that_fail_are_tried_all_the_same(three: Script) -> None:
    fails(three, "bad", 3)
    three.drain("attic")
    for number in range(3):
        actions = three.ask(f"r{number}")
        while starts := of_type(actions, StartAttempt):
            actions = three.fail(three.accept(starts[0]))
    assert goes_to(three, three.ask("r9")) == "bad"


def test_who_waits_is_served_as_soon_as_too_many_have_failed(script: Script) -> None:
    """The one that is well leaves, so the one that is not is tried for those who wait."""
    script.attach("bad", LLAMA, status=FAST)
    script.attach("shelf", LLAMA)
    fails(script, "bad", 3)
    script.begin("r1")
    assert script.ask("r2") == []
    started = [each.key.request_id for each in of_type(script.lose("shelf"), StartAttempt)]
    assert started == ["r1", "r2"]


def test_a_mesh_that_recovers_leaves_the_failing_one_out_again(script: Script) -> None:
    script.attach("bad", LLAMA, status=FAST)
    fails(script, "bad", 4)
    script.attach("shelf", LLAMA, slots=8)
    script.attach("attic", LLAMA, slots=8)
    assert goes_to(script, script.ask("r1")) != "bad"


# -- connections that come and go ----------------------------------------------------------------


def flap(script: Script, name: str, seconds: float) -> Counter[str]:
    """It attaches and is lost, every two seconds; a request a second comes meanwhile."""
    got: Counter[str] = Counter()
    lines: list[str] = []
    for second in range(int(seconds)):
        actions = script.after(1)
        if second % 2 == 0:
            actions += script.attach(name, LLAMA, status=FAST)
        for other in ("shelf", "attic"):
            script.report(other)
        start = only(script.ask(f"flap {second}"), StartAttempt)
        to = goes_to(script, [start])
        got[to] += 1
        script.accept(start)
        if second % 2 == 1:
            actions += script.lose(name)
        for each in of_type(actions, StartAttempt):
            script.accept(each)
            actions += script.finish(each)
        if to != name or second % 2 == 0:
            actions += script.finish(start)
        assert not of_type(actions, FailRequest), "a machine that flaps fails nobody's request"
        lines += [each.line for each in of_type(actions, TellOperator)]
    got["lines"] = len(lines)
    return got


def test_a_machine_that_flaps_for_an_hour_gets_few_requests_and_hurts_nobody(
    script: Script,
) -> None:
    script.attach("shelf", LLAMA, slots=8)
    script.attach("attic", LLAMA, slots=8)
    got = flap(script, "bad", 3600)
    assert got["bad"] <= 10
    assert got["lines"] == 1  # it never was well in between
    assert got["shelf"] + got["attic"] >= 3590


def test_a_machine_that_has_stopped_flapping_is_trusted_again(script: Script) -> None:
    script.attach("shelf", LLAMA, slots=8)
    script.attach("attic", LLAMA, slots=8)
    flap(script, "bad", 120)
    script.attach("bad", LLAMA, status=FAST)
    beats(script, 301)
    trial = script.begin("trial")
    assert goes_to(script, [trial]) == "bad"
    assert goes_to(script, script.ask("r1")) != "bad"
    script.finish(trial)
    assert [goes_to(script, [script.begin(f"more {i}")]) for i in range(2)] == ["bad"] * 2


def test_losses_that_are_far_apart_mean_nothing(script: Script) -> None:
    script.attach("bad", LLAMA, status=FAST)
    script.attach("shelf", LLAMA, slots=8)
    script.attach("attic", LLAMA, slots=8)
    for _ in range(9):
        beats(script, 61)
        assert script.lose("bad") == []
        script.attach("bad", LLAMA, status=FAST)
    assert goes_to(script, script.ask("r1")) == "bad"


@pytest.mark.parametrize("asleep", [False, True])
def test_a_machine_that_says_goodbye_each_time_does_not_flap(script: Script, asleep: bool) -> None:
    script.attach("shelf", LLAMA)
    for _ in range(9):
        script.attach("bad", LLAMA, status=FAST)
        script.after(1)
        script.leave("bad", asleep=asleep)
    script.attach("bad", LLAMA, status=FAST)
    assert goes_to(script, script.ask("r1")) == "bad"


def test_the_reason_of_a_machine_that_flaps_is_its_connection(script: Script) -> None:
    script.attach("shelf", LLAMA)
    script.attach("attic", LLAMA)
    for _ in range(3):
        script.attach("bad", QWEN, status=FAST)
        beats(script, 1)
        script.lose("bad")
    script.attach("bad", LLAMA, status=FAST)
    start = only(script.ask("r1", explain=True), StartAttempt)
    script.accept(start)
    [told] = only(script.finish(start), FinishRequest).receipt.ruled_out
    assert told.reason == "lost its connection 3 times in a row; tried again in 5 s"


def test_the_operator_is_told_once_of_an_ejection(three: Script) -> None:
    [line] = of_type(fails(three, "bad", 3), TellOperator)
    assert line.line == (
        "bad failed 3 requests of llama in a row (node_lost): the next one goes there in 5 s"
    )
    beats(three, 5)
    assert of_type(fails(three, "bad", 1), TellOperator) == []
