"""Every request ends exactly once: answered, cancelled, out of time, or refused."""

import math

import pytest

from mesh.core import events
from mesh.core.actions import CancelAttempt, EndDelivery, FailRequest, FinishRequest, StartAttempt
from mesh.core.types import FailureCode
from tests.mesh.core.script import LLAMA, Script, key, kinds, only


def test_an_answer_goes_from_start_to_finish(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1"), StartAttempt)
    assert kinds(script.open(start)) == ["AcceptDelivery"]
    accepted = events.AttemptStarted(start.attempt_id, 100, "numerics", "started")
    (sent,) = script.happens(accepted)
    assert kinds([sent]) == ["SendStarted"]
    assert kinds(script.progress(start, 0, 2)) == ["SendDelta"]
    assert kinds(script.progress(start, 2, 1)) == ["SendDelta"]
    finished = only(script.finish(start), FinishRequest)
    assert (finished.key, finished.payload) == (key("r1"), "finished")
    assert (script.fleet.requests.running, script.fleet.requests.total) == (0, 1)


def test_an_answer_may_be_empty(script: Script) -> None:
    script.attach("desk", LLAMA)
    assert kinds(script.finish(script.begin("r1"), tokens=0)) == ["FinishRequest"]


def test_a_deadline_ends_a_running_answer(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1", within_s=2), StartAttempt)
    script.accept(start)
    assert script.after(1.9) == []
    cancelled, failed = script.after(0.1)
    assert isinstance(cancelled, CancelAttempt)
    assert cancelled.attempt_id == start.attempt_id
    assert isinstance(failed, FailRequest)
    assert failed.failure.code is FailureCode.DEADLINE_EXCEEDED
    assert failed.failure.message == "the request's 2 s ran out while desk was answering"
    assert script.node("desk").attempts == {}


@pytest.mark.parametrize("within_s", [0.0, -5.0, math.nan])
def test_a_request_out_of_time_is_never_started(script: Script, within_s: float) -> None:
    script.attach("desk", LLAMA)
    failed = only(script.ask("r1", within_s=within_s), FailRequest)
    assert failed.failure.code is FailureCode.DEADLINE_EXCEEDED
    assert kinds(script.ask("r1")) == ["StartAttempt"]  # its id is free again


def test_a_request_may_have_all_the_time_in_the_world(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1", within_s=math.inf), StartAttempt)
    assert start.remaining_s == math.inf
    assert kinds(script.finish(script.accept(start))) == ["FinishRequest"]


def test_a_deadline_of_an_ended_request_does_not_touch_one_with_the_same_id(
    script: Script,
) -> None:
    script.attach("desk", LLAMA)
    first = only(script.ask("r1", within_s=2), StartAttempt)
    script.finish(script.accept(first))
    second = script.accept(only(script.ask("r1", within_s=60), StartAttempt))
    assert script.after(2.5) == []
    assert kinds(script.finish(second)) == ["FinishRequest"]


def test_cancelling_a_running_request_stops_its_node(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.stream("r1")
    cancelled, failed = script.cancel("r1")
    assert cancelled == CancelAttempt(start.attempt_id, 1, start.epoch, "the client left")
    assert isinstance(failed, FailRequest)
    assert failed.failure.code is FailureCode.CANCELLED


def test_cancelling_what_has_ended_or_never_was_changes_nothing(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.finish(script.begin("r1"))
    assert script.cancel("r1") == []
    assert script.cancel("r2") == []


def test_an_id_in_use_is_refused_and_its_request_goes_on(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2)
    start = script.stream("r1")
    failed = only(script.ask("r1"), FailRequest)
    assert (failed.failure.code, failed.receipt.attempts) == (FailureCode.REQUEST_EXISTS, ())
    assert kinds(script.progress(start, 3, 1)) == ["SendDelta"]
    assert kinds(script.finish(start)) == ["FinishRequest"]


def test_an_id_that_waits_is_in_use(script: Script) -> None:
    script.attach("desk", LLAMA)
    first = script.begin("r1")
    script.ask("r2")
    assert only(script.ask("r2"), FailRequest).failure.code is FailureCode.REQUEST_EXISTS
    assert kinds(script.finish(first)) == ["FinishRequest", "StartAttempt"]


def test_an_id_is_free_again_once_its_request_has_ended(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.finish(script.begin("r1"))
    assert kinds(script.ask("r1")) == ["StartAttempt"]


def test_ids_of_different_principals_do_not_meet(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2)
    ann = only(script.ask("r1"), StartAttempt)
    bob = only(script.ask("r1", principal="bob"), StartAttempt)
    assert (ann.key.principal, bob.key.principal) == ("ann", "bob")


def test_nothing_follows_the_end_of_a_request(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.stream("r1")
    script.cancel("r1")
    attempt_id = start.attempt_id
    assert script.progress(start, 3, 1) == [EndDelivery(attempt_id)]
    assert script.finish(start) == [EndDelivery(attempt_id)]
    assert script.fail(start) == []
    assert script.refuse(start) == []
    assert kinds(script.open(start)) == ["RejectDelivery"]
    again = events.AttemptStarted(attempt_id, 100, "numerics", "started")
    assert script.happens(again) == [EndDelivery(attempt_id)]
