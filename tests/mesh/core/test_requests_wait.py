"""Requests wait while every slot is taken, in order of arrival, and not for ever."""

import pytest

from mesh.core import events
from mesh.core.actions import Action, FailRequest, FinishRequest, StartAttempt
from mesh.core.limits import FleetLimits
from mesh.core.types import Capability, FailureCode, Offer, Refusal
from tests.mesh.core.script import LLAMA, QWEN, Script, key, kinds, of_type, only, warm


def started(actions: list[Action]) -> list[str]:
    return [start.key.request_id for start in of_type(actions, StartAttempt)]


def test_a_request_waits_while_every_slot_is_taken(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2)
    script.ask("r1")
    script.ask("r2")
    assert script.ask("r3") == []
    assert (script.fleet.requests.running, script.fleet.requests.waiting) == (2, 1)


def test_an_answer_that_ends_lets_the_next_one_start(script: Script) -> None:
    script.attach("desk", LLAMA)
    first = script.begin("r1")
    for name in ("r2", "r3"):
        script.ask(name)
    finished, second = script.finish(first)
    assert isinstance(finished, FinishRequest)
    assert started([second]) == ["r2"]
    assert script.fleet.requests.waiting == 1


@pytest.mark.parametrize("how", ["cancel", "deadline", "fail"])
def test_any_end_of_an_answer_frees_its_slot(script: Script, how: str) -> None:
    script.attach("desk", LLAMA)
    first = script.accept(only(script.ask("r1", within_s=5), StartAttempt))
    script.progress(first, 0, 1)
    script.report("desk")
    script.ask("r2")
    if how == "cancel":
        actions = script.cancel("r1")
        assert kinds(actions) == ["CancelAttempt", "FailRequest", "StartAttempt"]
    elif how == "deadline":
        script.after(2.5)
        script.report("desk")
        actions = script.after(2.5)
        assert kinds(actions) == ["CancelAttempt", "FailRequest", "StartAttempt"]
    else:
        actions = script.fail(first)
        assert kinds(actions) == ["FailRequest", "StartAttempt"]
    assert started(actions) == ["r2"]


def test_a_report_of_a_free_slot_lets_the_next_one_start(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    for name in ("r1", "r2"):
        script.ask(name)
    assert started(script.report("desk", (LLAMA, warm(1, 0)))) == ["r1"]


def test_as_many_start_as_slots_came_free_in_order_of_arrival(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    names = [f"r{i}" for i in range(5)]
    for name in names:
        script.ask(name)
    assert started(script.report("desk", (LLAMA, warm(3, 0)))) == names[:3]
    assert started(script.report("desk", (LLAMA, warm(9, 3)))) == names[3:]


def test_a_new_model_on_a_node_lets_those_start_that_wait_for_it(script: Script) -> None:
    script.attach("shelf", LLAMA, slots_taken=1)
    script.attach("desk", QWEN)
    script.ask("r1")
    desk = script.node("desk")
    listed = (Offer(QWEN, 4096), Offer(LLAMA, 4096))
    actions = script.happens(events.InventoryReported(desk.node_id, desk.epoch, listed))
    assert only(actions, StartAttempt).connection_id == 2


def test_a_freed_slot_passes_over_those_it_cannot_serve(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("shelf", QWEN, capabilities=(Capability.TOOLS,))
    llama, _ = script.begin("l1"), script.begin("q1", "qwen")
    script.ask("q2", "qwen")
    script.ask("l2", "llama")
    assert started(script.finish(llama)) == ["l2"]


def test_those_who_want_different_models_start_in_order_of_arrival(script: Script) -> None:
    script.attach("desk", LLAMA, QWEN, slots_taken=1)
    for name, model in (("r1", "qwen"), ("r2", "llama"), ("r3", "auto"), ("r4", "qwen")):
        script.ask(name, model)
    actions = script.report("desk", (LLAMA, warm(1, 0)), (QWEN, warm(2, 0)))
    assert started(actions) == ["r1", "r2", "r3"]


def test_one_that_a_node_turned_away_keeps_its_place_in_the_line(script: Script) -> None:
    script.attach("desk", LLAMA)
    first = only(script.ask("r1"), StartAttempt)
    for name in ("r2", "r3"):
        script.ask(name)
    assert script.refuse(first, Refusal.BUSY) == []
    assert started(script.report("desk", (LLAMA, warm(2, 0)))) == ["r1", "r2"]


def test_the_line_is_bounded() -> None:
    script = Script(FleetLimits(waiting_max=2))
    script.attach("desk", LLAMA, slots_taken=1)
    assert script.ask("r1") + script.ask("r2") == []
    failed = only(script.ask("r3"), FailRequest)
    assert failed.failure.code is FailureCode.OVERLOADED
    assert failed.failure.message == "every capable machine is busy and 2 requests wait already"
    assert script.fleet.requests.waiting == 2


def test_a_line_of_no_places_makes_nobody_wait() -> None:
    script = Script(FleetLimits(waiting_max=0))
    script.attach("desk", LLAMA, slots_taken=1)
    assert only(script.ask("r1"), FailRequest).failure.code is FailureCode.OVERLOADED


def test_a_deadline_ends_waiting(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    script.ask("r1", within_s=2)
    assert script.after(1.9) == []
    failed = only(script.after(0.1), FailRequest)
    assert failed.failure.code is FailureCode.DEADLINE_EXCEEDED
    assert failed.failure.message == ("the request's 2 s ran out while waiting for a free machine")
    assert script.fleet.requests.waiting == 0


def test_nothing_starts_after_its_deadline_even_if_a_slot_comes_first(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    script.ask("late", within_s=2)
    script.ask("r2", within_s=60)
    script.now_s += 2
    assert started(script.report("desk", (LLAMA, warm(2, 0)))) == ["r2"]
    assert only(script.after(0), FailRequest).key == key("late")


def test_cancelling_ends_waiting(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    script.ask("r1")
    failed = only(script.cancel("r1"), FailRequest)
    assert (failed.failure.code, failed.failure.message) == (
        FailureCode.CANCELLED,
        "the client left",
    )
    assert of_type(script.report("desk", (LLAMA, warm(1, 0))), StartAttempt) == []


def test_whoever_waits_gets_the_one_free_node_among_hundreds_of_busy_ones(script: Script) -> None:
    """A pick looks at 64 holders; a free one must not be missed for that."""
    for i in range(200):
        script.attach(f"n{i}", LLAMA, slots_taken=1)
    script.ask("r1")
    start = only(script.report("n117", (LLAMA, warm(1, 0))), StartAttempt)
    assert start.connection_id == 118
    script.finish(script.accept(start))
    assert only(script.ask("r2"), StartAttempt).connection_id == 118


def test_no_one_starts_twice(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    script.ask("r1")
    assert started(script.report("desk", (LLAMA, warm(5, 0)))) == ["r1"]
    assert script.report("desk", (LLAMA, warm(5, 0))) == []


def test_after_a_restart_a_request_waits_for_the_machines_to_come_back(script: Script) -> None:
    script.happens(events.CoordinatorReturned(script.now_s + 10))
    assert script.ask("r1") == []
    assert script.attach("left", QWEN)[1:] == []
    [start] = of_type(script.attach("desk", LLAMA), StartAttempt)
    assert start.key.request_id == "r1"
    receipt = only(script.finish(script.accept(start)), FinishRequest).receipt
    assert receipt.queued_s == 0.0


def test_machines_that_do_not_come_back_are_not_waited_for_beyond_that(script: Script) -> None:
    script.happens(events.CoordinatorReturned(script.now_s + 10))
    script.ask("r1")
    for _ in range(9):
        assert script.after(1) == []
    refused = [action for _ in range(4) for action in script.after(1)]
    failure = only(refused, FailRequest).failure
    assert failure.code is FailureCode.NO_CAPABLE_NODE
    assert only(script.ask("r2"), FailRequest).failure == failure


def test_what_failed_on_the_only_machine_is_told_at_once_after_a_restart_too(
    script: Script,
) -> None:
    script.happens(events.CoordinatorReturned(script.now_s + 10))
    script.attach("desk", LLAMA)
    assert kinds(script.fail(script.begin("r1")))[0] == "FailRequest"
