"""A first token is late: a second machine is asked too, and whoever is quicker goes on."""

import pytest

from mesh.core.actions import (
    CancelAttempt,
    FailRequest,
    FinishRequest,
    SendDelta,
    SendStarted,
    StartAttempt,
)
from mesh.core.types import Capability, FailureCode, Refusal
from tests.mesh.core.script import LLAMA, RESET, Script, kinds, of_type, only, warm

RESUME = (Capability.RESUME,)


@pytest.fixture
def late(script: Script) -> tuple[StartAttempt, StartAttempt]:
    """Two attempts at one request, of which neither has given anything."""
    script.attach("desk", LLAMA, capabilities=RESUME)
    first = script.accept(only(script.ask("r1"), StartAttempt), resumable=True)
    script.attach("shelf", LLAMA, capabilities=RESUME)
    second = only(script.after(0.6), StartAttempt)
    assert (second.key, second.connection_id) == (first.key, 2)
    return first, second


def test_in_time_nobody_else_is_asked(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.begin("r1")
    script.attach("shelf", LLAMA)
    assert script.after(0.4) == []


def test_the_quicker_one_goes_on_and_the_client_hears_of_it(
    script: Script, late: tuple[StartAttempt, StartAttempt]
) -> None:
    first, second = late
    script.open(second)
    assert script.say_started(second, resumable=True) == []
    actions = script.progress(second, 0, 3)
    assert kinds(actions) == ["CancelAttempt", "SendStarted", "SendDelta"]
    assert only(actions, CancelAttempt).attempt_id == first.attempt_id
    assert only(actions, SendStarted).candidate.node_name == "shelf"
    assert kinds(script.progress(first, 0, 3)) == ["EndDelivery"]
    receipt = only(script.finish(second), FinishRequest).receipt
    assert [(each.outcome, each.hedge) for each in receipt.attempts] == [
        ("outrun", False),
        ("answered", True),
    ]
    assert receipt.attempts[0].reason == "shelf was quicker"


def test_the_first_one_may_still_be_the_quicker(
    script: Script, late: tuple[StartAttempt, StartAttempt]
) -> None:
    first, second = late
    script.accept(second, resumable=True)
    actions = script.progress(first, 0, 3)
    assert kinds(actions) == ["CancelAttempt", "SendDelta"]  # it was said to have begun
    assert only(actions, CancelAttempt).attempt_id == second.attempt_id
    assert script.node("shelf").attempts == {}


def test_an_answer_of_no_tokens_is_the_quicker_one_too(
    script: Script, late: tuple[StartAttempt, StartAttempt]
) -> None:
    first, second = late
    script.accept(second)
    actions = script.finish(second, 0)
    assert kinds(actions) == ["CancelAttempt", "SendStarted", "FinishRequest"]
    assert only(actions, CancelAttempt).attempt_id == first.attempt_id


@pytest.mark.parametrize("begun", [False, True])
def test_the_late_one_fails_and_the_other_is_the_requests_attempt(
    script: Script, late: tuple[StartAttempt, StartAttempt], begun: bool
) -> None:
    first, second = late
    if begun:
        script.accept(second, resumable=True)
    told = of_type(script.fail(first), SendStarted)
    if not begun:
        script.open(second)
        told = of_type(script.say_started(second, resumable=True), SendStarted)
    assert [each.attempt_id for each in told] == [second.attempt_id]
    assert kinds(script.progress(second, 0, 3)) == ["SendDelta"]
    attempts = only(script.finish(second), FinishRequest).receipt.attempts
    assert [each.outcome for each in attempts] == ["node_lost", "answered"]


def test_the_second_one_fails_and_nothing_is_lost(
    script: Script, late: tuple[StartAttempt, StartAttempt]
) -> None:
    first, second = late
    assert script.fail(script.accept(second)) == []
    assert kinds(script.progress(first, 0, 3)) == ["SendDelta"]


def test_the_second_one_refuses_and_nothing_is_lost(
    script: Script, late: tuple[StartAttempt, StartAttempt]
) -> None:
    first, second = late
    assert script.refuse(second, Refusal.BUSY) == []
    assert kinds(script.progress(first, 0, 3)) == ["SendDelta"]
    assert kinds(script.finish(first)) == ["FinishRequest"]


def test_both_fail_and_the_request_with_them(
    script: Script, late: tuple[StartAttempt, StartAttempt]
) -> None:
    first, second = late
    script.fail(first)
    failure = only(script.fail(second), FailRequest).failure
    assert failure.code is FailureCode.NODE_LOST


def test_a_client_that_leaves_stops_both(
    script: Script, late: tuple[StartAttempt, StartAttempt]
) -> None:
    actions = script.cancel("r1")
    stopped = {each.attempt_id for each in of_type(actions, CancelAttempt)}
    assert stopped == {each.attempt_id for each in late}
    assert len(of_type(actions, FailRequest)) == 1
    assert script.node("desk").attempts == script.node("shelf").attempts == {}


def test_the_quicker_ones_death_is_a_death_like_any_other(
    script: Script, late: tuple[StartAttempt, StartAttempt]
) -> None:
    _, second = late
    script.accept(second, resumable=True)
    script.progress(second, 0, 3)
    third = only(script.lose("shelf"), StartAttempt)
    assert (third.connection_id, third.resumed_tokens) == (1, 3)


def test_a_mesh_that_is_late_everywhere_is_not_asked_everything_twice(script: Script) -> None:
    script.attach("desk", LLAMA, status=warm(16, prefill=1e6, decode=1e4))
    for number in range(16):
        script.begin(f"r{number}")
    script.attach("shelf", LLAMA, slots=16)
    hedges = of_type(script.after(0.6), StartAttempt)
    assert len(hedges) == 6  # 0.2 x 16 requests + 3
    assert len({each.key for each in hedges}) == 6


def test_what_has_given_a_token_is_not_hedged(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.stream("r1", 1)
    script.attach("shelf", LLAMA)
    assert script.after(1.5) == []
    assert kinds(script.progress(start, 1, 1)) == ["SendDelta"]


def test_a_request_that_is_late_is_asked_of_one_more_only(
    script: Script, late: tuple[StartAttempt, StartAttempt]
) -> None:
    script.attach("third", LLAMA)
    assert of_type(script.after(0.7), StartAttempt) == []
    assert of_type(script.progress(late[0], 0, 1), SendDelta)
    assert of_type(script.fail(late[1], RESET), StartAttempt) == []


def test_one_who_went_on_for_a_late_one_may_be_late_itself(
    script: Script, late: tuple[StartAttempt, StartAttempt]
) -> None:
    first, second = late
    script.accept(second)
    script.fail(first)
    script.attach("third", LLAMA, capabilities=RESUME)
    third = script.accept(only(script.after(0.6), StartAttempt))
    told = only(script.fail(second), SendStarted)
    assert told.attempt_id == third.attempt_id
    assert kinds(script.progress(third, 0, 1)) == ["SendDelta"]
