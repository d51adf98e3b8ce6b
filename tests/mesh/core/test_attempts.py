"""Messages that come late, twice, out of order, or from the wrong place."""

import pytest

from mesh.core import events
from mesh.core.actions import (
    AcceptDelivery,
    EndDelivery,
    FailRequest,
    RejectDelivery,
    SendDelta,
    SendStarted,
    StartAttempt,
)
from mesh.core.types import AttemptId, Epoch, FailureCode, Refusal, Tier
from tests.mesh.core.script import LLAMA, Script, key, kinds, only


def accepted(start: StartAttempt) -> events.AttemptStarted:
    return events.AttemptStarted(start.attempt_id, 100, "numerics", "started")


def test_a_delivery_is_accepted_for_its_request(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1"), StartAttempt)
    assert script.open(start) == [AcceptDelivery(1, start.attempt_id, key("r1"))]


def test_a_delivery_that_is_opened_twice_is_rejected_and_the_first_one_lives(
    script: Script,
) -> None:
    script.attach("desk", LLAMA)
    start = script.begin("r1")
    assert script.open(start) == [RejectDelivery(2, start.attempt_id)]
    assert kinds(script.progress(start, 0, 1)) == ["SendDelta"]


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_a_delivery_of_another_epoch_is_rejected(script: Script, epoch: int) -> None:
    script.attach("desk", LLAMA)
    script.attach("desk", LLAMA)
    start = only(script.ask("r1"), StartAttempt)
    assert start.epoch == 2
    assert kinds(script.open(start, Epoch(epoch))) == ["RejectDelivery"]
    assert kinds(script.open(start)) == ["AcceptDelivery"]


def test_a_delivery_of_an_unknown_attempt_is_rejected(script: Script) -> None:
    unknown = events.DeliveryOpened(AttemptId(99), Epoch(1), 5)
    assert script.happens(unknown) == [RejectDelivery(5, AttemptId(99))]


def test_a_delivery_of_a_superseded_attempt_is_rejected(script: Script) -> None:
    script.attach("desk", LLAMA)
    first = only(script.ask("r1"), StartAttempt)
    script.attach("shelf", LLAMA)
    second = only(script.fail(first), StartAttempt)
    assert kinds(script.open(first)) == ["RejectDelivery"]
    assert kinds(script.open(second)) == ["AcceptDelivery"]


def test_what_a_superseded_attempt_still_says_ends_its_stream_and_nothing_else(
    script: Script,
) -> None:
    script.attach("desk", LLAMA)
    first = script.begin("r1")
    script.attach("shelf", LLAMA)
    second = script.accept(only(script.fail(first), StartAttempt))
    ended = [EndDelivery(first.attempt_id)]
    assert script.happens(accepted(first)) == ended
    assert script.progress(first, 0, 1) == ended
    assert script.finish(first) == ended
    assert script.fail(first) == []
    assert script.refuse(first) == []
    assert kinds(script.progress(second, 0, 1)) == ["SendDelta"]


def test_what_an_unknown_attempt_says_ends_its_stream(script: Script) -> None:
    ghost = StartAttempt(AttemptId(99), 1, Epoch(1), key("r1"), LLAMA.model_id, 1.0)
    assert script.happens(accepted(ghost)) == [EndDelivery(ghost.attempt_id)]
    assert script.progress(ghost, 0, 1) == [EndDelivery(ghost.attempt_id)]
    assert script.finish(ghost) == [EndDelivery(ghost.attempt_id)]
    assert script.fail(ghost) == []
    assert script.refuse(ghost) == []


def test_a_refusal_of_another_epoch_is_dropped(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1"), StartAttempt)
    stale = events.AttemptRefused(start.attempt_id, Epoch(7), Refusal.BUSY)
    assert script.happens(stale) == []
    assert kinds(script.open(start)) == ["AcceptDelivery"]


def test_an_accepted_prompt_is_told_to_the_client(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1"), StartAttempt)
    script.open(start)
    told = only(script.happens(accepted(start)), SendStarted)
    assert (told.key, told.attempt_id, told.payload) == (key("r1"), start.attempt_id, "started")
    assert (told.candidate.node_name, told.candidate.model_id) == ("desk", LLAMA.model_id)
    assert told.tier is Tier.MESH
    assert "only machine" in told.why


def test_tokens_are_passed_on_as_they_came(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.begin("r1")
    assert script.progress(start, 0, 2) == [SendDelta(key("r1"), "tokens 0 to 2")]
    assert script.progress(start, 2, 5) == [SendDelta(key("r1"), "tokens 2 to 7")]


@pytest.mark.parametrize(
    ("offset", "count"),
    [(4, 1), (2, 1), (0, 3), (-1, 1), (10**12, 1), (3, -1)],
    ids=["gap", "overlap", "repeat", "negative", "far", "shrinking"],
)
def test_an_answer_that_jumps_is_lost_and_its_tokens_are_not_passed_on(
    script: Script, offset: int, count: int
) -> None:
    script.attach("desk", LLAMA)
    start = script.stream("r1", tokens=3)
    actions = script.progress(start, offset, count)
    assert kinds(actions) == ["EndDelivery", "FailRequest"]
    failure = only(actions, FailRequest).failure
    assert failure.code is FailureCode.ANSWER_LOST
    assert failure.message == (
        f"desk failed mid-answer: its answer jumped from token 3 to {offset}"
    )


def test_an_answer_that_does_not_begin_at_its_beginning_moves(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.begin("r1")
    script.attach("shelf", LLAMA)
    assert kinds(script.progress(start, 1, 1)) == ["EndDelivery", "StartAttempt"]


@pytest.mark.parametrize("what", ["tokens", "end"])
def test_an_answer_before_the_prompt_was_accepted_is_not_passed_on(
    script: Script, what: str
) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1"), StartAttempt)
    script.open(start)
    actions = script.progress(start, 0, 1) if what == "tokens" else script.finish(start)
    assert kinds(actions) == ["EndDelivery", "FailRequest"]
    assert only(actions, FailRequest).failure.code is FailureCode.NODE_LOST


def test_a_prompt_that_is_accepted_twice_fails_the_attempt(script: Script) -> None:
    """Its stream is ended, so nothing more would ever come: the request must not wait for it."""
    script.attach("desk", LLAMA)
    start = script.begin("r1")
    assert kinds(script.happens(accepted(start))) == ["EndDelivery", "FailRequest"]
    assert script.fleet.requests.running == 0


def test_attempt_ids_are_never_used_twice(script: Script) -> None:
    script.attach("desk", LLAMA, slots=64)
    script.attach("shelf", LLAMA, slots=64)
    starts = [only(script.ask(f"r{i}"), StartAttempt) for i in range(20)]
    moved = [only(script.fail(start), StartAttempt) for start in starts[:3]]
    ids = [start.attempt_id for start in starts + moved]
    assert ids == sorted(set(ids))


def test_a_node_is_told_in_its_own_epoch_and_how_much_time_is_left(script: Script) -> None:
    script.attach("desk", LLAMA)
    first = only(script.ask("r1", within_s=60), StartAttempt)
    script.now_s += 2.5
    script.attach("shelf", LLAMA)
    second = only(script.fail(first), StartAttempt)
    assert (first.epoch, first.remaining_s) == (1, 60)
    assert (second.epoch, second.remaining_s) == (2, 57.5)
