"""Another model answers in the place of one that is not there, where the caller allows it."""

from mesh.core.actions import FailRequest, FinishRequest, StartAttempt
from mesh.core.types import FailureCode
from tests.mesh.core.script import Script, a_model, only

BILLION = 1_000_000_000
SMALL = a_model("qwen2.5-0.5b", parameters=BILLION // 2, digit="1")
ALIKE = a_model("qwen2.5-7b", parameters=7 * BILLION, digit="2")
OTHER = a_model("llama-3.1-8b", parameters=8 * BILLION, digit="3")


def test_the_likest_that_is_as_good_answers_and_the_receipt_says_so(script: Script) -> None:
    script.attach("desk", SMALL, OTHER)
    script.attach("shelf", ALIKE)
    start = only(script.ask("r1", "qwen2.5-3b", accept_substitute=True), StartAttempt)
    assert start.model_id == ALIKE.model_id
    receipt = only(script.finish(script.accept(start)), FinishRequest).receipt
    assert receipt.notes == (
        "qwen2.5-3b was asked for and qwen2.5-7b answered in its place, as the caller allows",
    )
    assert receipt.asked_model == "qwen2.5-3b"


def test_nothing_is_substituted_unasked(script: Script) -> None:
    script.attach("shelf", ALIKE)
    failed = only(script.ask("r1", "qwen2.5-3b"), FailRequest)
    assert failed.failure.code is FailureCode.MODEL_NOT_FOUND


def test_a_model_that_is_there_is_not_substituted(script: Script) -> None:
    script.attach("desk", SMALL)
    script.attach("shelf", ALIKE)
    start = only(script.ask("r1", "qwen2.5-0.5b", accept_substitute=True), StartAttempt)
    assert start.model_id == SMALL.model_id


def test_a_model_whose_machines_are_away_is(script: Script) -> None:
    script.attach("desk", SMALL)
    script.attach("shelf", ALIKE)
    script.leave("desk", asleep=True)
    start = only(script.ask("r1", "qwen2.5-0.5b", accept_substitute=True), StartAttempt)
    assert start.model_id == ALIKE.model_id


def test_a_name_that_says_nothing_has_no_substitute(script: Script) -> None:
    script.attach("shelf", ALIKE)
    failed = only(script.ask("r1", "nonsense", accept_substitute=True), FailRequest)
    assert failed.failure.code is FailureCode.MODEL_NOT_FOUND


def test_what_is_worse_stands_in_for_nothing(script: Script) -> None:
    script.attach("desk", SMALL)
    failed = only(script.ask("r1", "qwen2.5-14b", accept_substitute=True), FailRequest)
    assert failed.failure.code is FailureCode.MODEL_NOT_FOUND
