"""What a node says of itself, and how far it is believed."""

import math

import pytest

from mesh.core import events
from mesh.core.actions import FailRequest, StartAttempt
from mesh.core.types import (
    Epoch,
    FailureCode,
    NodeId,
    NodeState,
    Offer,
    ReplicaState,
    ReplicaStatus,
)
from tests.mesh.core.script import LLAMA, QWEN, Script, kinds, of_type, only, warm


def taken(script: Script, name: str = "desk") -> int:
    return script.node(name).replicas[LLAMA.model_id].status.slots_taken


def test_a_report_of_an_older_epoch_is_dropped(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("desk", LLAMA)
    assert script.report("desk", (LLAMA, warm(1, 1)), epoch=Epoch(1)) == []
    assert taken(script) == 0


@pytest.mark.parametrize(("sequence", "heard"), [(4, False), (5, False), (6, True)])
def test_a_report_counts_only_if_its_number_is_new(
    script: Script, sequence: int, heard: bool
) -> None:
    script.attach("desk", LLAMA)
    script.report("desk", sequence=5)
    script.report("desk", (LLAMA, warm(1, 1)), sequence=sequence)
    assert taken(script) == (1 if heard else 0)


def test_a_dropped_report_does_not_count_as_a_sign_of_life(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.report("desk", sequence=5)
    script.after(2)
    script.report("desk", sequence=5)
    script.after(1)
    assert script.node("desk").state is NodeState.SUSPECT


def test_a_report_of_an_unknown_node_is_dropped(script: Script) -> None:
    assert script.report("ghost", epoch=Epoch(1)) == []


def test_a_report_on_a_model_that_was_never_offered_is_dropped(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.report("desk", (QWEN, warm(64)))
    assert list(script.node("desk").replicas) == [LLAMA.model_id]
    assert only(script.ask("r1", "qwen"), FailRequest).failure.code is FailureCode.MODEL_NOT_FOUND


def test_a_new_model_list_replaces_the_old_one(script: Script) -> None:
    script.attach("desk", LLAMA)
    desk = script.node("desk")
    script.happens(events.InventoryReported(desk.node_id, desk.epoch, (Offer(QWEN, 4096),)))
    assert only(script.ask("r1", "qwen"), StartAttempt).model_id == QWEN.model_id
    assert only(script.ask("r2"), FailRequest).failure.code is FailureCode.MODEL_NOT_FOUND


def test_a_kept_model_stays_as_warm_as_it_was(script: Script) -> None:
    script.attach("desk", LLAMA, slots=3)
    desk = script.node("desk")
    script.begin("r1")
    offers = (Offer(LLAMA, 2048), Offer(QWEN, 4096))
    script.happens(events.InventoryReported(desk.node_id, desk.epoch, offers))
    replica = desk.replicas[LLAMA.model_id]
    assert (replica.status.state, replica.offer.context_tokens) == (ReplicaState.WARM, 2048)
    assert replica.slots_free == 2


def test_an_answer_goes_on_when_its_model_leaves_the_list(script: Script) -> None:
    script.attach("desk", LLAMA)
    desk = script.node("desk")
    start = script.stream("r1")
    script.happens(events.InventoryReported(desk.node_id, desk.epoch, ()))
    assert kinds(script.progress(start, 3, 1)) == ["SendDelta"]
    assert kinds(script.finish(start)) == ["FinishRequest"]


def test_a_model_list_of_an_older_epoch_is_dropped(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("desk", LLAMA)
    script.happens(events.InventoryReported(NodeId("desk"), Epoch(1), ()))
    assert only(script.ask("r1"), StartAttempt)


def test_slots_that_others_took_are_not_given_away(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2, slots_taken=1)
    assert kinds(script.ask("r1")) == ["StartAttempt"]
    assert script.ask("r2") == []


def test_our_own_attempts_within_a_report_are_not_counted_twice(script: Script) -> None:
    script.attach("desk", LLAMA, slots=2)
    script.begin("r1")
    script.report("desk", (LLAMA, warm(2, 1)))
    assert kinds(script.ask("r2")) == ["StartAttempt"]


def test_a_slot_is_free_again_once_our_attempt_ends_whatever_was_reported_before(
    script: Script,
) -> None:
    script.attach("desk", LLAMA)
    start = script.begin("r1")
    script.report("desk", (LLAMA, warm(1, 1)))
    assert script.ask("r2") == []
    assert kinds(script.finish(start)) == ["FinishRequest", "StartAttempt"]


def test_a_model_that_failed_to_load_says_why(script: Script) -> None:
    script.attach("desk", LLAMA)
    broken = ReplicaStatus(state=ReplicaState.FAILED, reason="truncated file")
    script.report("desk", (LLAMA, broken))
    failed = only(script.ask("r1"), FailRequest)
    assert failed.failure.code is FailureCode.NO_CAPABLE_NODE
    assert "desk: could not load llama: truncated file" in failed.failure.message


def test_the_round_trip_settles_on_what_the_coordinator_measures(script: Script) -> None:
    script.attach("desk", LLAMA)
    for rtt_s in [0.1, *[0.2] * 20]:
        script.happens(events.RoundTripMeasured(NodeId("desk"), Epoch(1), rtt_s))
    assert script.node("desk").rtt_s == pytest.approx(0.2, rel=0.01)


@pytest.mark.parametrize("rtt_s", [-1.0, math.nan, math.inf, 1e9])
def test_an_absurd_round_trip_is_no_measurement(script: Script, rtt_s: float) -> None:
    script.attach("desk", LLAMA)
    script.happens(events.RoundTripMeasured(NodeId("desk"), Epoch(1), 0.1))
    script.happens(events.RoundTripMeasured(NodeId("desk"), Epoch(1), rtt_s))
    assert script.node("desk").rtt_s == 0.1


def test_a_round_trip_of_an_older_epoch_is_dropped(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.attach("desk", LLAMA)
    script.happens(events.RoundTripMeasured(NodeId("desk"), Epoch(1), 5.0))
    assert script.node("desk").rtt_s == 0.0


def test_an_owner_at_work_gets_no_requests_until_they_leave(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.report("desk", owner_busy=True)
    failed = only(script.ask("r1"), FailRequest)
    assert "desk: its owner is using it" in failed.failure.message
    script.report("desk", owner_busy=False)
    assert kinds(script.ask("r2")) == ["StartAttempt"]


def test_an_owner_at_work_beside_the_coordinator_is_still_served_themselves(
    script: Script,
) -> None:
    """Their own programs ask through the coordinator; to all others the machine is closed."""
    script.attach("desk", LLAMA, on_coordinator_host=True, slots=1)
    script.report("desk", owner_busy=True)
    failed = only(script.ask("theirs"), FailRequest)
    assert "desk: its owner is using it" in failed.failure.message
    own = only(script.ask("own", from_coordinator_host=True), StartAttempt)
    assert own.connection_id == 1
    assert script.ask("next", from_coordinator_host=True) == []  # it waits for the slot
    assert kinds(script.ask("theirs too")) == ["FailRequest"]
    script.report("desk", owner_busy=False)
    assert script.ask("theirs again") == []  # it waits as well


def test_an_owner_is_not_served_by_another_busy_machine(script: Script) -> None:
    script.attach("desk", LLAMA)
    script.report("desk", owner_busy=True)
    failed = only(script.ask("own", from_coordinator_host=True), FailRequest)
    assert "desk: its owner is using it" in failed.failure.message


ABSURD = (math.nan, math.inf, -math.inf, -1.0, 1e300, 5e-324)


@pytest.mark.parametrize("absurd", ABSURD)
def test_absurd_rates_neither_win_nor_break_a_pick(script: Script, absurd: float) -> None:
    """The two machines are the same, so what the liar says must not decide."""
    honest = warm(64)
    liar = ReplicaStatus(ReplicaState.WARM, 64, 0, absurd, absurd, absurd)
    script.attach("honest", LLAMA, status=honest, cores=64)
    script.attach("liar", LLAMA, status=liar, cores=1)
    for i in range(20):
        assert only(script.ask(f"r{i}"), StartAttempt).connection_id == 1
        script.cancel(f"r{i}")


@pytest.mark.parametrize("absurd", ABSURD)
def test_a_liar_alone_still_serves(script: Script, absurd: float) -> None:
    script.attach("liar", LLAMA, status=ReplicaStatus(ReplicaState.WARM, 1, 0, absurd, absurd))
    start = only(script.ask("r1"), StartAttempt)
    assert script.ask("r2") == []  # and it waits its turn, at whatever is predicted
    script.accept(start)
    assert kinds(script.finish(start)) == ["FinishRequest", "StartAttempt"]


@pytest.mark.parametrize(("slots", "slots_taken"), [(-3, 0), (0, 0), (1, 10**12), (-1, -5)])
def test_a_node_without_a_slot_gets_nothing(script: Script, slots: int, slots_taken: int) -> None:
    script.attach("desk", LLAMA, slots=slots, slots_taken=slots_taken)
    assert of_type(script.ask("r1"), StartAttempt) == []


def test_negative_slots_taken_are_none(script: Script) -> None:
    script.attach("desk", LLAMA, slots=1, slots_taken=-5)
    assert kinds(script.ask("r1")) == ["StartAttempt"]
    assert script.ask("r2") == []
