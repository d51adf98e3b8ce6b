"""A receipt adds up: what was tried where, for how long, and why."""

import pytest

from mesh.core import events
from mesh.core.actions import FailRequest, FinishRequest, StartAttempt
from mesh.core.types import Failure, FailureCode, Refusal, Tier, Usage
from tests.mesh.core.script import LLAMA, QWEN, Script, a_model, key, only, warm


def test_the_receipt_of_an_answer_counts_from_its_arrival(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    script.ask("r1")
    script.now_s += 1.5  # in the line
    start = only(script.report("desk", (LLAMA, warm(1, 0))), StartAttempt)
    script.accept(start)
    script.now_s += 0.5  # the prompt
    script.progress(start, 0, 1)
    script.now_s += 2.0  # twenty more tokens
    script.progress(start, 1, 20)
    receipt = only(script.finish(start, tokens=21), FinishRequest).receipt
    assert (receipt.key, receipt.asked_model, receipt.tier) == (key("r1"), "llama", Tier.MESH)
    assert (receipt.queued_s, receipt.first_token_s, receipt.total_s) == (1.5, 2.0, 4.0)
    assert receipt.tokens_per_s == pytest.approx(20 / 2.0)
    assert not receipt.test_model
    (attempt,) = receipt.attempts
    assert (attempt.outcome, attempt.node_name, attempt.model_name) == ("answered", "desk", "llama")
    assert (attempt.first_token_s, attempt.duration_s) == (0.5, 2.5)
    assert attempt.usage == Usage(prompt_tokens=100, completion_tokens=21)
    assert attempt.numerics == "numerics"
    assert attempt.predicted_first_token_s == receipt.candidates[0].first_token_s


def test_times_are_right_even_at_the_clocks_zero() -> None:
    script = Script(now_s=0.0)
    script.attach("desk", LLAMA)
    script.attach("shelf", LLAMA)
    first = script.begin("r1")
    script.now_s += 1
    second = script.accept(only(script.fail(first), StartAttempt))
    script.progress(second, 0, 1)
    receipt = only(script.finish(second), FinishRequest).receipt
    assert (receipt.queued_s, receipt.first_token_s, receipt.total_s) == (0.0, 1.0, 1.0)


def test_every_attempt_is_on_the_receipt_in_order(script: Script) -> None:
    script.attach("desk", LLAMA)
    first = only(script.ask("r1"), StartAttempt)
    script.now_s += 0.1
    script.attach("shelf", LLAMA)
    second = script.accept(only(script.refuse(first, Refusal.BUSY), StartAttempt))
    script.now_s += 0.2
    script.attach("attic", LLAMA)
    third = script.accept(only(script.fail(second), StartAttempt))
    script.progress(third, 0, 3)
    script.now_s += 0.4
    receipt = only(script.finish(third), FinishRequest).receipt
    assert [(each.node_name, each.outcome) for each in receipt.attempts] == [
        ("desk", "busy"),
        ("shelf", "node_lost"),
        ("attic", "answered"),
    ]
    assert [each.reason for each in receipt.attempts] == [
        "the node said busy",
        "connection reset",
        "",
    ]
    assert [each.duration_s for each in receipt.attempts] == pytest.approx([0.1, 0.2, 0.4])
    assert sum(each.duration_s for each in receipt.attempts) == pytest.approx(receipt.total_s)
    assert receipt.queued_s == 0.0  # until the first attempt


def test_an_attempt_that_broke_off_counts_what_had_come(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.stream("r1", tokens=7)
    receipt = only(script.cancel("r1"), FailRequest).receipt
    assert receipt.attempts[0].outcome == "cancelled"
    assert receipt.attempts[0].usage == Usage(prompt_tokens=100, completion_tokens=7)


def test_a_request_that_never_ran_spent_all_its_time_waiting(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    script.ask("r1", within_s=2)
    receipt = only(script.after(2), FailRequest).receipt
    assert (receipt.queued_s, receipt.first_token_s, receipt.total_s) == (2.0, 0.0, 2.0)
    assert receipt.attempts == ()
    assert [each.node_name for each in receipt.candidates] == ["desk"]
    assert receipt.why == "waited: every slot of 1 capable replicas was taken"


def test_a_wait_after_a_failure_has_no_first_token(script: Script) -> None:
    script.attach("desk", LLAMA)
    first = script.begin("r1")
    script.attach("shelf", LLAMA, slots_taken=1)
    script.fail(first)
    script.now_s += 1
    receipt = only(script.cancel("r1"), FailRequest).receipt
    assert (receipt.first_token_s, receipt.tokens_per_s, receipt.total_s) == (0.0, 0.0, 1.0)
    assert [each.outcome for each in receipt.attempts] == ["node_lost"]


def test_the_receipt_says_why_this_machine(script: Script) -> None:
    script.attach("slow", LLAMA, status=warm(1, prefill=10, decode=5))
    script.attach("quick", LLAMA, status=warm(1, prefill=1000, decode=100))
    start = script.begin("r1")
    receipt = only(script.finish(start), FinishRequest).receipt
    assert [each.node_name for each in receipt.candidates] == ["quick", "slow"]
    assert receipt.why == (
        "llama was asked for; quick is predicted to begin in 0.11 s, slow in 10.20 s"
    )


def test_the_receipt_says_if_there_was_no_choice(script: Script) -> None:
    script.attach("desk", LLAMA)
    receipt = only(script.finish(script.begin("r1")), FinishRequest).receipt
    assert receipt.why == "llama was asked for; desk is the only machine that can serve it now"


def test_only_who_asks_is_told_of_every_machine(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2)
    script.attach("other", QWEN)
    script.attach("busy", LLAMA, slots_taken=1)
    plain = only(script.finish(script.begin("r1")), FinishRequest).receipt
    assert plain.ruled_out == ()
    start = script.accept(only(script.ask("r2", explain=True), StartAttempt))
    explained = only(script.finish(start), FinishRequest).receipt
    assert [(each.node_name, each.free) for each in explained.candidates] == [
        ("desk", True),
        ("busy", False),
    ]
    (ruled_out,) = explained.ruled_out
    assert (ruled_out.node_name, ruled_out.reason) == ("other", "has qwen only")


def test_a_few_candidates_are_enough_unless_all_are_asked_for(script: Script) -> None:
    for i in range(30):
        script.attach(f"n{i}", LLAMA)
    few = only(script.finish(script.begin("r1")), FinishRequest).receipt.candidates
    start = script.accept(only(script.ask("r2", explain=True), StartAttempt))
    every = only(script.finish(start), FinishRequest).receipt.candidates
    assert (len(few), len(every)) == (4, 30)
    for candidates in (few, every):
        others = [each.cost for each in candidates[1:]]
        assert others == sorted(others)
        assert candidates[0].cost <= 1.05 * min(others)


def test_a_failed_node_is_explained_by_its_failure(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.accept(only(script.ask("r1", explain=True), StartAttempt))
    receipt = only(script.fail(start), FailRequest).receipt
    assert [each.reason for each in receipt.ruled_out] == ["failed this request: connection reset"]


def test_answers_of_a_test_model_are_marked_even_if_it_is_gone_by_then(script: Script) -> None:
    tiny = a_model("test-tiny", test=True)
    script.attach("desk", tiny)
    start = script.begin("r1", "auto")
    desk = script.node("desk")
    script.happens(events.InventoryReported(desk.node_id, desk.epoch, ()))
    assert only(script.finish(start), FinishRequest).receipt.test_model


def test_a_node_that_reports_no_tokens_divides_nothing_by_zero(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.stream("r1", tokens=1)
    receipt = only(script.finish(start, tokens=1), FinishRequest).receipt
    assert receipt.tokens_per_s == 0.0


def test_words_of_a_failure_reach_the_receipt_of_its_attempt(script: Script) -> None:
    script.attach("desk", LLAMA)
    told = Failure(FailureCode.CONTEXT_OVERFLOW, "9,000 tokens do not fit 8,192", "say less")
    receipt = only(script.fail(script.begin("r1"), told), FailRequest).receipt
    assert [(each.outcome, each.reason) for each in receipt.attempts] == [
        ("context_overflow", "9,000 tokens do not fit 8,192")
    ]
