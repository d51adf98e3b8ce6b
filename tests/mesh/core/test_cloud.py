"""What leaves the mesh: only what may, only where no machine can or where it was asked for."""

import pytest

from mesh.core import events
from mesh.core.actions import (
    Action,
    FailRequest,
    FinishRequest,
    SendStarted,
    StartAttempt,
    StartCloudAttempt,
    StopCloudAttempt,
)
from mesh.core.limits import FleetLimits
from mesh.core.types import (
    CLOUD_NODE,
    Capability,
    CloudModel,
    Epoch,
    Failure,
    FailureCode,
    ModelId,
    Policy,
    Refusal,
    Tier,
    Usage,
)
from tests.mesh.core.script import LLAMA, RESET, Script, a_model, key, kinds, only

BIG = CloudModel("big", "upstream.example", frozenset({Capability.TOOLS}))


@pytest.fixture
def script() -> Script:
    return with_cloud(Script())


def with_cloud(script: Script) -> Script:
    assert script.happens(events.CloudOffered((BIG,))) == []
    return script


def failure_of(actions: list[Action]) -> Failure:
    return only(actions, FailRequest).failure


def answered(script: Script, start: StartCloudAttempt) -> FinishRequest:
    attempt_id = start.attempt_id
    script.happens(events.AttemptCharged(attempt_id, 900, "prices 1"))
    script.happens(events.AttemptStarted(attempt_id, 100, "", "started"))
    script.happens(events.AttemptProgressed(attempt_id, 0, 1, "hello"))
    usage = Usage(prompt_tokens=90, completion_tokens=7)
    finished = events.AttemptFinished(attempt_id, usage, "finished", 40, "prices 1")
    return only(script.happens(finished), FinishRequest)


# -- where a request goes --------------------------------------------------------------------------


def test_a_request_that_may_leave_does_where_no_machine_is(script: Script) -> None:
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD, within_s=9), StartCloudAttempt)
    assert (start.key, start.model, start.tier, start.remaining_s) == (
        key("r1"),
        BIG,
        Tier.CLOUD,
        9.0,
    )


@pytest.mark.parametrize("tier", [Tier.DEVICE, Tier.MESH])
@pytest.mark.parametrize("model", ["auto", "big", "cloud", "cloud:big", "llama", ""])
def test_no_other_tier_ever_leaves(script: Script, tier: Tier, model: str) -> None:
    assert kinds(script.ask("r1", model, tier=tier)) == ["FailRequest"]
    script.attach("desk", LLAMA)
    start = script.begin("r2", "auto")
    assert kinds(script.fail(start)) == ["FailRequest"]


def test_a_machine_that_can_is_asked_first(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartAttempt)
    receipt = only(script.finish(script.accept(start)), FinishRequest).receipt
    assert receipt.tier is Tier.MESH, "as far as the prompt did travel"
    assert (receipt.cost_microusd, receipt.price_version) == (0, "")


def test_a_busy_machine_is_waited_for(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    assert script.ask("r1", "auto", tier=Tier.CLOUD) == []


def test_a_full_line_sends_to_the_cloud() -> None:
    script = with_cloud(Script(FleetLimits(waiting_max=1)))
    script.attach("desk", LLAMA, slots_taken=1)
    assert script.ask("r1", "auto", tier=Tier.CLOUD) == []
    start = only(script.ask("r2", "auto", tier=Tier.CLOUD), StartCloudAttempt)
    assert "1 requests wait already" in answered(script, start).receipt.why
    assert failure_of(script.ask("r3", "auto")).code is FailureCode.OVERLOADED


def test_a_request_that_waits_for_machines_that_all_go_is_sent_then(script: Script) -> None:
    script.attach("desk", LLAMA, slots_taken=1)
    script.ask("r1", "auto", tier=Tier.CLOUD)
    script.lose("desk")
    assert only(script.after(3), StartCloudAttempt).key == key("r1")


def test_a_failed_machine_sends_to_the_cloud_before_the_first_token(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.accept(only(script.ask("r1", "auto", tier=Tier.CLOUD), StartAttempt))
    receipt = answered(script, only(script.fail(start), StartCloudAttempt)).receipt
    assert [(each.node_name, each.tier) for each in receipt.attempts] == [
        ("desk", Tier.MESH),
        ("upstream.example", Tier.CLOUD),
    ]
    assert receipt.why == "cloud: desk failed: connection reset"


def test_a_failed_machine_sends_nothing_after_the_first_token(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = script.accept(only(script.ask("r1", "auto", tier=Tier.CLOUD), StartAttempt))
    script.progress(start, 0, 2)
    assert failure_of(script.fail(start)).code is FailureCode.ANSWER_LOST


def test_machines_that_will_not_begin_send_to_the_cloud_in_the_end() -> None:
    script = with_cloud(Script(FleetLimits(attempts_max=2)))
    script.attach("desk", LLAMA)
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartAttempt)
    script.attach("shelf", LLAMA)
    start = only(script.refuse(start, Refusal.NO_MEMORY), StartAttempt)
    assert only(script.refuse(start, Refusal.NO_MEMORY), StartCloudAttempt).key == key("r1")


# -- what is asked for by name ---------------------------------------------------------------------


def test_a_model_of_the_mesh_is_never_substituted(script: Script) -> None:
    script.attach("desk", LLAMA)
    assert failure_of(script.ask("r1", "nothing", tier=Tier.CLOUD)).code is (
        FailureCode.MODEL_NOT_FOUND
    )
    start = script.accept(only(script.ask("r2", tier=Tier.CLOUD), StartAttempt))
    assert failure_of(script.fail(start)).code is FailureCode.NODE_LOST


@pytest.mark.parametrize("name", ["cloud", "big", "cloud:big"])
def test_the_cloud_is_asked_by_name_though_a_machine_could(script: Script, name: str) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1", name, tier=Tier.CLOUD), StartCloudAttempt)
    receipt = answered(script, start).receipt
    assert receipt.why == f"{name} was asked for"
    assert receipt.tier is Tier.CLOUD


@pytest.mark.parametrize("name", ["cloud", "big", "cloud:big"])
@pytest.mark.parametrize("tier", [Tier.DEVICE, Tier.MESH])
def test_naming_the_cloud_does_not_widen_the_tier(script: Script, name: str, tier: Tier) -> None:
    failure = failure_of(script.ask("r1", name, tier=tier))
    assert failure.code is FailureCode.FORBIDDEN
    assert f"may not leave its {tier.name.lower()}" in failure.message
    assert "tier cloud" in failure.hint


def test_a_name_that_the_mesh_has_as_well_stands_for_the_meshs(script: Script) -> None:
    script.attach("desk", a_model("big"))
    assert kinds(script.ask("r1", "big", tier=Tier.MESH)) == ["StartAttempt"]
    assert kinds(script.ask("r2", "cloud:big", tier=Tier.CLOUD)) == ["StartCloudAttempt"]


def test_a_machine_cannot_take_what_says_cloud(script: Script) -> None:
    script.attach("desk", a_model("cloud"))
    assert kinds(script.ask("r1", "cloud", tier=Tier.CLOUD)) == ["StartCloudAttempt"]


def test_needs_that_the_cloud_lacks_are_named(script: Script) -> None:
    needs = [Capability.TOOLS, Capability.VISION]
    failure = failure_of(script.ask("r1", "cloud", tier=Tier.CLOUD, needs=needs))
    assert (failure.code, failure.message) == (
        FailureCode.UNSUPPORTED,
        "big in the cloud lacks vision",
    )
    failure = failure_of(script.ask("r2", "auto", tier=Tier.CLOUD, needs=needs))
    assert failure.code is FailureCode.NO_CAPABLE_NODE
    assert only(script.ask("r3", "auto", tier=Tier.CLOUD, needs=needs[:1]), StartCloudAttempt)


def test_policy_private_leaves_by_name_only(script: Script) -> None:
    fallen = script.ask("r1", "auto", tier=Tier.CLOUD, policy=Policy.PRIVATE)
    assert failure_of(fallen).code is FailureCode.NO_CAPABLE_NODE
    named = script.ask("r2", "cloud", tier=Tier.CLOUD, policy=Policy.PRIVATE)
    assert kinds(named) == ["StartCloudAttempt"]


def test_without_a_cloud_its_name_says_that_there_is_none() -> None:
    script = Script()
    script.attach("desk", LLAMA)
    failure = failure_of(script.ask("r", "cloud", tier=Tier.CLOUD))
    assert failure.code is FailureCode.MODEL_NOT_FOUND
    assert failure.message == "there is no cloud model here"


def test_a_cloud_that_is_taken_back_gets_nothing_new(script: Script) -> None:
    script.happens(events.CloudOffered(()))
    assert kinds(script.ask("r1", "auto", tier=Tier.CLOUD)) == ["FailRequest"]


# -- how an attempt in the cloud ends --------------------------------------------------------------


def test_its_answer_is_on_the_receipt_with_its_cost(script: Script) -> None:
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartCloudAttempt)
    started = events.AttemptStarted(start.attempt_id, 100, "", "started")
    sent = only(script.happens(started), SendStarted)
    assert (sent.tier, sent.candidate.node_id) == (Tier.CLOUD, CLOUD_NODE)
    script.happens(events.AttemptProgressed(start.attempt_id, 0, 1, "hello"))
    usage = Usage(90, 10, 7, 3)
    finished = events.AttemptFinished(start.attempt_id, usage, "finished", 40, "prices 1")
    receipt = only(script.happens(finished), FinishRequest).receipt
    (attempt,) = receipt.attempts
    assert (attempt.node_id, attempt.node_name) == (CLOUD_NODE, "upstream.example")
    assert (attempt.model_id, attempt.model_name) == (ModelId("cloud:big"), "big")
    assert (attempt.tier, attempt.usage) == (Tier.CLOUD, usage)
    assert (attempt.cost_microusd, receipt.cost_microusd) == (40, 40)
    assert receipt.price_version == "prices 1"
    assert receipt.tier is Tier.CLOUD


def test_a_failed_cloud_says_what_the_mesh_lacked_too(script: Script) -> None:
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartCloudAttempt)
    failed = events.AttemptFailed(start.attempt_id, RESET, 12, "prices 1")
    ended = only(script.happens(failed), FailRequest)
    assert ended.failure.code is FailureCode.NODE_LOST
    assert ended.failure.message == (
        "no machine is attached to this mesh; the cloud could not: connection reset"
    )
    assert (ended.receipt.cost_microusd, ended.receipt.price_version) == (12, "prices 1")


def test_what_the_gate_forbids_is_the_meshs_failure(script: Script) -> None:
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartCloudAttempt)
    forbidden = Failure(FailureCode.FORBIDDEN, "the day's money is spent", "wait")
    failure = failure_of(script.happens(events.AttemptFailed(start.attempt_id, forbidden)))
    assert failure.code is FailureCode.NO_CAPABLE_NODE
    assert failure.message.endswith("; the cloud may not: the day's money is spent")
    assert failure.hint == "wait"


def test_the_cloud_is_asked_once_for_a_request(script: Script) -> None:
    start = only(script.ask("r1", "cloud", tier=Tier.CLOUD), StartCloudAttempt)
    failure = failure_of(script.happens(events.AttemptFailed(start.attempt_id, RESET)))
    assert failure.message == "upstream.example failed: connection reset"


def test_a_cloud_that_fails_mid_answer_is_told_and_never_spliced(script: Script) -> None:
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartCloudAttempt)
    script.happens(events.AttemptStarted(start.attempt_id, 100, "", "started"))
    script.happens(events.AttemptProgressed(start.attempt_id, 0, 1, "hello"))
    script.attach("desk", LLAMA)
    failure = failure_of(script.happens(events.AttemptFailed(start.attempt_id, RESET)))
    assert failure.code is FailureCode.ANSWER_LOST
    assert failure.message == "upstream.example failed mid-answer: connection reset"


def test_a_machine_that_came_meanwhile_takes_over_from_a_failed_cloud(script: Script) -> None:
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartCloudAttempt)
    script.attach("desk", LLAMA)
    failed = events.AttemptFailed(start.attempt_id, RESET, 12, "prices 1")
    again = script.accept(only(script.happens(failed), StartAttempt))
    receipt = only(script.finish(again), FinishRequest).receipt
    assert [each.outcome for each in receipt.attempts] == ["node_lost", "answered"]
    assert (receipt.cost_microusd, receipt.price_version) == (12, "prices 1")
    assert receipt.tier is Tier.CLOUD, "the prompt did go there"


def test_a_client_that_leaves_stops_the_cloud_and_pays_what_it_began(script: Script) -> None:
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartCloudAttempt)
    script.happens(events.AttemptCharged(start.attempt_id, 900, "prices 1"))
    actions = script.cancel("r1")
    assert only(actions, StopCloudAttempt).attempt_id == start.attempt_id
    receipt = only(actions, FailRequest).receipt
    assert (receipt.cost_microusd, receipt.price_version) == (900, "prices 1")
    assert receipt.attempts[0].usage.estimated
    assert script.happens(events.AttemptFailed(start.attempt_id, RESET)) == []


def test_a_client_that_leaves_before_the_prompt_went_pays_nothing(script: Script) -> None:
    script.ask("r1", "auto", tier=Tier.CLOUD)
    assert only(script.cancel("r1"), FailRequest).receipt.cost_microusd == 0


def test_the_deadline_stops_the_cloud(script: Script) -> None:
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD, within_s=5), StartCloudAttempt)
    actions = script.after(5)
    assert kinds(actions) == ["StopCloudAttempt", "FailRequest"]
    assert only(actions, StopCloudAttempt).attempt_id == start.attempt_id
    assert failure_of(actions).code is FailureCode.DEADLINE_EXCEEDED
    assert "upstream.example was answering" in failure_of(actions).message


def test_a_cloud_that_repeats_tokens_is_stopped(script: Script) -> None:
    start = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartCloudAttempt)
    script.happens(events.AttemptStarted(start.attempt_id, 100, "", "started"))
    script.happens(events.AttemptProgressed(start.attempt_id, 0, 1, "a"))
    actions = script.happens(events.AttemptProgressed(start.attempt_id, 0, 1, "a"))
    assert kinds(actions) == ["StopCloudAttempt", "FailRequest"]


def test_a_node_cannot_deliver_for_the_cloud(script: Script) -> None:
    script.attach("desk", LLAMA)
    start = only(script.ask("r1", "cloud", tier=Tier.CLOUD), StartCloudAttempt)
    for epoch in (script.node("desk").epoch, 0):
        stolen = events.DeliveryOpened(start.attempt_id, Epoch(epoch), 1)
        assert kinds(script.happens(stolen)) == ["RejectDelivery"]


def test_after_a_restart_what_may_leave_does_not_wait_for_machines(script: Script) -> None:
    script.happens(events.CoordinatorReturned(script.now_s + 10))
    script.happens(events.CloudOffered((BIG,)))
    only(script.ask("r1", model="auto", tier=Tier.CLOUD), StartCloudAttempt)
    assert script.ask("r2", model="auto", tier=Tier.MESH) == []


# -- several models --------------------------------------------------------------------------------

LONG = CloudModel("long", "elsewhere.example", frozenset({Capability.TOOLS}))


def fails(script: Script, start: StartCloudAttempt, code: FailureCode) -> list[Action]:
    return script.happens(events.AttemptFailed(start.attempt_id, Failure(code, "no")))


@pytest.mark.parametrize("name", ["auto", "cloud"])
@pytest.mark.parametrize(
    "code",
    [
        FailureCode.NODE_LOST,
        FailureCode.OVERLOADED,
        FailureCode.CONTEXT_OVERFLOW,
        FailureCode.MODEL_NOT_FOUND,
        FailureCode.FORBIDDEN,
        FailureCode.UNSUPPORTED,
    ],
)
def test_what_one_cloud_model_cannot_the_next_is_asked(name: str, code: FailureCode) -> None:
    script = Script()
    script.happens(events.CloudOffered((BIG, LONG)))
    first = only(script.ask("r1", name, tier=Tier.CLOUD), StartCloudAttempt)
    second = only(fails(script, first, code), StartCloudAttempt)
    assert (first.model, second.model) == (BIG, LONG)
    assert kinds(fails(script, second, code)) == ["FailRequest"]


@pytest.mark.parametrize("name", ["auto", "cloud"])
@pytest.mark.parametrize("code", [FailureCode.CONTENT_REFUSED, FailureCode.INVALID_REQUEST])
def test_what_no_model_should_be_asked_is_asked_of_one(name: str, code: FailureCode) -> None:
    script = Script()
    script.happens(events.CloudOffered((BIG, LONG)))
    start = only(script.ask("r1", name, tier=Tier.CLOUD), StartCloudAttempt)
    assert failure_of(fails(script, start, code)).code is code


def test_a_policy_is_not_for_a_machine_to_have() -> None:
    """Only an upstream has one: a node that says so has a bug, and another one may answer."""
    script = Script()
    script.attach("desk", LLAMA)
    start = script.accept(only(script.ask("r1", "auto"), StartAttempt))
    told = failure_of(script.fail(start, Failure(FailureCode.CONTENT_REFUSED, "no")))
    assert told.code is FailureCode.INTERNAL_ERROR


def test_the_next_upstream_is_told_what_the_request_has_cost_already() -> None:
    script = Script()
    other = CloudModel("other", "another.example", frozenset())
    script.happens(events.CloudOffered((BIG, other)))
    first = only(script.ask("r1", "auto", tier=Tier.CLOUD), StartCloudAttempt)
    assert first.spent_microusd == 0
    failure = Failure(FailureCode.CONTEXT_OVERFLOW, "too long")
    failed = events.AttemptFailed(first.attempt_id, failure, 70, "prices 1")
    assert only(script.happens(failed), StartCloudAttempt).spent_microusd == 70


@pytest.mark.parametrize("away", [False, True])
def test_policy_private_is_not_left_by_a_name_that_a_machine_may_have(away: bool) -> None:
    script = with_cloud(Script())
    script.attach("desk", LLAMA if away else a_model("big"), slots_taken=1)
    private = {"tier": Tier.CLOUD, "policy": Policy.PRIVATE}
    asked = [*script.ask("r1", "big", within_s=0.5, **private), *script.after(1)]  # type: ignore[arg-type]
    assert kinds(asked) == ["FailRequest"]
    named = script.ask("r2", "cloud:big", **private)  # type: ignore[arg-type]
    assert kinds(named) == ["StartCloudAttempt"]
    assert only(script.ask("r3", "big", tier=Tier.CLOUD), StartCloudAttempt) if away else True
