"""A cheaper model is tried, and its answer is shown only if the model was sure enough of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mesh.core import events
from mesh.core.actions import (
    Action,
    CancelAttempt,
    FailRequest,
    FinishRequest,
    SendDelta,
    SendStarted,
    StartAttempt,
    StartCloudAttempt,
)
from mesh.core.asked import Assessment
from mesh.core.calibration import INPUTS, LABELS_MIN, ConfidenceHead
from mesh.core.policies import Policy
from mesh.core.signs import TokenSign
from mesh.core.types import Capability, CloudModel, Tier, Usage
from tests.mesh.core.script import RESET, Script, a_model, kinds, of_type, only, warm

SMALL = a_model("small", parameters=1_000_000)
LARGE = a_model("large", parameters=100_000_000)
BIG = CloudModel("big", "upstream.example", frozenset({Capability.TOOLS}))
POLICY = Policy("own", target=0.9, hold_tokens=6)
SURE, UNSURE, HOPELESS = 0.9, 0.5, 0.2
ASSESSED = Assessment(
    task_class="sums",
    p_ok={"small": 0.7, "large": 0.95, "big": 0.97},
    trusted=frozenset({"small", "large", "big"}),
)


def a_head(threshold: float = 0.7, labels: int = LABELS_MIN) -> ConfidenceHead:
    """Whose P(ok) is the least chance of an answer's tokens."""
    count = len(INPUTS)
    return ConfidenceHead(
        means=(0.0,) * count,
        scales=(1.0,) * count,
        weights=tuple(float(name == "chance_quantile_0") for name in INPUTS),
        bias=0.0,
        labels=labels,
        thresholds={0.1: threshold},
    )


@pytest.fixture
def script() -> Script:
    made = Script()
    made.attach("desk", SMALL)
    made.attach("shelf", LARGE)
    configure(made, a_head())
    return made


def configure(script: Script, head: ConfidenceHead, task_class: str = "sums") -> None:
    script.happens(events.LadderConfigured(heads={("small", task_class): head}))


def ask(script: Script, request_id: str = "r1", **more: object) -> list[Action]:
    given = {"policy": POLICY, "assessment": ASSESSED, **more}
    return script.ask(request_id, "auto", **given)  # type: ignore[arg-type]


def begun(script: Script, **more: object) -> StartAttempt:
    start = only(ask(script, "r1", **more), StartAttempt)
    assert start.model_id == SMALL.model_id
    assert start.signs
    script.open(start)
    assert script.say_started(start) == [], "the client hears nothing of a try"
    return start


def says(
    script: Script,
    start: StartAttempt,
    chances: Sequence[float],
    offset: int = 0,
    *,
    calls: int = 0,
    broken_calls: int = 0,
) -> list[Action]:
    signs = tuple(TokenSign((each, 1 - each)) for each in chances)
    payload = f"tokens from {offset}"
    count = len(chances)
    return script.happens(
        events.AttemptProgressed(
            start.attempt_id, offset, count, payload, signs, calls, broken_calls
        )
    )


def test_a_sure_answer_is_shown_once_the_hold_is_over(script: Script) -> None:
    start = begun(script)
    assert says(script, start, [SURE] * 3) == []
    actions = says(script, start, [SURE] * 3, 3)
    assert kinds(actions) == ["SendStarted", "SendDelta", "SendDelta"]
    assert only(actions, SendStarted).candidate.model_name == "small"
    assert [each.payload for each in of_type(actions, SendDelta)] == [
        "tokens from 0",
        "tokens from 3",
    ]
    assert kinds(says(script, start, [HOPELESS], 6)) == ["SendDelta"], "what is shown is shown"
    receipt = only(script.finish(start, 7), FinishRequest).receipt
    rungs = {each.model_name: each for each in receipt.ladder}
    assert rungs["small"].chosen
    assert (rungs["small"].p_ok, rungs["small"].threshold) == (0.7, 0.7)
    assert rungs["small"].confidence == pytest.approx(0.9)


def test_a_short_answer_is_judged_whole(script: Script) -> None:
    start = begun(script)
    assert says(script, start, [SURE] * 2) == []
    actions = script.finish(start, 2)
    assert kinds(actions) == ["SendStarted", "SendDelta", "FinishRequest"]


def test_an_unsure_answer_is_never_seen_and_the_next_rung_answers(script: Script) -> None:
    start = begun(script)
    says(script, start, [UNSURE] * 3)
    actions = says(script, start, [SURE] * 3, 3)
    assert kinds(actions) == ["CancelAttempt", "StartAttempt"]
    assert only(actions, CancelAttempt).attempt_id == start.attempt_id
    again = script.accept(only(actions, StartAttempt))
    assert again.model_id == LARGE.model_id
    assert not again.signs, "nobody would do better"
    assert kinds(script.progress(again, 0, 2)) == ["SendDelta"]
    receipt = only(script.finish(again, 2), FinishRequest).receipt
    assert [(each.model_name, each.outcome) for each in receipt.attempts] == [
        ("small", "escalated"),
        ("large", "answered"),
    ]
    assert receipt.attempts[0].reason == "confidence 0.50, at least 0.70 was wanted"
    rungs = {each.model_name: each for each in receipt.ladder}
    assert (rungs["small"].chosen, rungs["large"].chosen) == (False, True)
    assert rungs["small"].confidence == pytest.approx(0.5)


def test_a_short_unsure_answer_goes_up_at_its_end(script: Script) -> None:
    start = begun(script)
    says(script, start, [UNSURE])
    actions = script.finish(start, 1)
    assert kinds(actions) == ["StartAttempt"]
    assert only(actions, StartAttempt).model_id == LARGE.model_id


def test_a_hopeless_answer_goes_up_after_its_first_tokens(script: Script) -> None:
    start = begun(script)
    assert kinds(says(script, start, [HOPELESS] * 4)) == ["CancelAttempt", "StartAttempt"]


def test_the_caller_may_hold_longer(script: Script) -> None:
    start = begun(script, hold_tokens=8)
    assert says(script, start, [SURE] * 6) == []
    assert kinds(says(script, start, [SURE] * 2, 6))[0] == "SendStarted"


def test_a_node_that_tells_no_signs_is_not_believed(script: Script) -> None:
    start = begun(script)
    assert script.progress(start, 0, 3) == []
    assert kinds(script.progress(start, 3, 3)) == ["CancelAttempt", "StartAttempt"]


@pytest.mark.parametrize(
    ("head", "task_class"),
    [(a_head(labels=LABELS_MIN - 1), "sums"), (a_head(), "logs")],
)
def test_what_cannot_be_judged_is_not_tried(
    script: Script, head: ConfidenceHead, task_class: str
) -> None:
    configure(script, head, task_class)
    start = only(ask(script), StartAttempt)
    assert (start.model_id, start.signs) == (LARGE.model_id, False)


def test_a_smaller_risk_than_was_fitted_is_not_promised(script: Script) -> None:
    careful = Policy("careful", target=0.9, risk=0.01)
    assert only(ask(script, policy=careful), StartAttempt).model_id == LARGE.model_id


def test_what_is_good_enough_is_judged_as_well(script: Script) -> None:
    easy = Policy("easy", target=0.6, hold_tokens=6)
    start = only(ask(script, policy=easy), StartAttempt)
    assert (start.model_id, start.signs) == (SMALL.model_id, True)


def test_a_failed_machine_begins_the_hold_anew(script: Script) -> None:
    script.attach("bench", SMALL)
    start = begun(script)
    says(script, start, [UNSURE] * 3)
    again = only(script.fail(start), StartAttempt)
    assert again.model_id == SMALL.model_id
    script.open(again)
    script.say_started(again)
    says(script, again, [SURE] * 3)
    actions = says(script, again, [SURE] * 3, 3)
    assert kinds(actions) == ["SendStarted", "SendDelta", "SendDelta"]
    assert only(script.finish(again, 6), FinishRequest)


def test_an_answer_that_comes_is_not_hedged_while_it_is_held(script: Script) -> None:
    start = begun(script)
    script.attach("bench", SMALL)
    says(script, start, [SURE] * 2)
    assert script.after(1.0) == []


def test_a_hedge_takes_over_a_held_answer(script: Script) -> None:
    start = begun(script)
    script.attach("bench", SMALL)
    second = only(script.after(1.0), StartAttempt)
    assert second.signs
    script.open(second)
    script.say_started(second)
    actions = says(script, second, [SURE] * 3)
    assert [each.attempt_id for each in of_type(actions, CancelAttempt)] == [start.attempt_id]
    assert not of_type(actions, SendStarted), "it is not judged yet"
    assert kinds(says(script, second, [SURE] * 3, 3)) == ["SendStarted", "SendDelta", "SendDelta"]


def test_where_the_rungs_above_fail_the_small_one_answers_after_all(script: Script) -> None:
    start = begun(script)
    again = script.accept(only(says(script, start, [HOPELESS] * 4), StartAttempt))
    last = only(script.fail(again), StartAttempt)
    assert (last.model_id, last.signs) == (SMALL.model_id, False)
    script.accept(last)
    assert kinds(script.progress(last, 0, 2)) == ["SendDelta"]


def test_an_escalated_request_waits_for_the_better_model(script: Script) -> None:
    script.report("shelf", (LARGE, warm(1, 1)))
    start = begun(script)
    assert kinds(says(script, start, [HOPELESS] * 4)) == ["CancelAttempt"]
    assert script.fleet.requests.waiting == 1


def test_the_cloud_is_the_next_rung_where_the_prompt_may_leave(script: Script) -> None:
    script.lose("shelf")
    script.happens(events.CloudOffered((BIG,)))
    start = begun(script, tier=Tier.CLOUD)
    cloud = only(says(script, start, [HOPELESS] * 4), StartCloudAttempt)
    assert cloud.model is BIG
    script.happens(events.AttemptStarted(cloud.attempt_id, 100, "", "started"))
    script.happens(events.AttemptProgressed(cloud.attempt_id, 0, 1, "hello"))
    finished = events.AttemptFinished(cloud.attempt_id, Usage(90, 0, 7), "finished", 40, "prices")
    receipt = only(script.happens(finished), FinishRequest).receipt
    assert [each.outcome for each in receipt.attempts] == ["escalated", "answered"]
    assert receipt.cost_microusd == 40


def test_without_a_better_rung_an_answer_is_shown_as_it_comes(script: Script) -> None:
    script.lose("shelf")
    start = only(ask(script), StartAttempt)
    assert (start.model_id, start.signs) == (SMALL.model_id, False)


def test_a_cloud_that_fails_leaves_the_answer_to_the_mesh(script: Script) -> None:
    script.lose("shelf")
    script.happens(events.CloudOffered((BIG,)))
    start = begun(script, tier=Tier.CLOUD)
    cloud = only(says(script, start, [HOPELESS] * 4), StartCloudAttempt)
    last = only(script.happens(events.AttemptFailed(cloud.attempt_id, RESET)), StartAttempt)
    assert (last.model_id, last.signs) == (SMALL.model_id, False)


def test_a_foreign_prompt_goes_to_the_best_that_may_answer(script: Script) -> None:
    """What was learned of models says nothing of prompts unlike any that it was learned from."""
    foreign = replace(ASSESSED, task_class="", foreign=True)
    start = only(ask(script, assessment=foreign), StartAttempt)
    assert (start.model_id, start.signs) == (LARGE.model_id, False)
    script.happens(events.CloudOffered((BIG,)))
    cloud = only(ask(script, "r2", assessment=foreign, tier=Tier.CLOUD), StartCloudAttempt)
    assert cloud.model is BIG
    receipt = only(script.cancel("r2"), FailRequest).receipt
    assert receipt.why.startswith("no prompt like this one was learned from")


def test_a_tool_call_is_judged_by_its_form(script: Script) -> None:
    script.attach("desk", SMALL, capabilities=[Capability.TOOLS])
    script.attach("shelf", LARGE, capabilities=[Capability.TOOLS])
    start = begun(script, needs=[Capability.TOOLS])
    assert says(script, start, [UNSURE] * 9) == [], "a call may yet come"
    assert says(script, start, [UNSURE], 9, calls=1) == []
    assert kinds(script.finish(start, 10)) == [
        "SendStarted",
        "SendDelta",
        "SendDelta",
        "FinishRequest",
    ]


def test_a_broken_tool_call_goes_up_at_once(script: Script) -> None:
    script.attach("desk", SMALL, capabilities=[Capability.TOOLS])
    script.attach("shelf", LARGE, capabilities=[Capability.TOOLS])
    start = begun(script, needs=[Capability.TOOLS])
    actions = says(script, start, [SURE] * 2, calls=1, broken_calls=1)
    again = only(actions, StartAttempt)
    assert again.model_id == LARGE.model_id
    script.accept(again)
    receipt = only(script.finish(again), FinishRequest).receipt
    assert receipt.attempts[0].reason == "a tool call did not fit its tool"


def test_where_nobody_is_left_it_fails_once(script: Script) -> None:
    for name in ("desk", "shelf"):
        script.leave(name, asleep=True)
    script.happens(events.CloudOffered((BIG,)))
    assert kinds(ask(script)) == ["FailRequest"]
    cloud = only(ask(script, "r2", tier=Tier.CLOUD), StartCloudAttempt)
    failed = events.AttemptFailed(cloud.attempt_id, RESET)
    assert kinds(script.happens(failed)) == ["FailRequest"]


def test_a_client_that_leaves_ends_a_held_answer(script: Script) -> None:
    start = begun(script)
    says(script, start, [SURE] * 2)
    assert kinds(script.cancel("r1")) == ["CancelAttempt", "FailRequest"]


def test_the_deadline_ends_a_held_answer(script: Script) -> None:
    start = begun(script, within_s=5.0)
    says(script, start, [SURE] * 2)
    assert only(script.after(5), FailRequest)


def test_times_tell_the_first_token_from_the_first_that_was_shown(script: Script) -> None:
    start = begun(script)
    script.now_s += 1
    says(script, start, [SURE] * 3)
    script.now_s += 1
    says(script, start, [SURE] * 3, 3)
    receipt = only(script.finish(start, 6), FinishRequest).receipt
    assert (receipt.first_token_s, receipt.first_visible_token_s) == (1.0, 2.0)


def with_tools() -> Script:
    made = Script()
    made.attach("desk", SMALL, capabilities=[Capability.TOOLS])
    made.attach("shelf", LARGE, capabilities=[Capability.TOOLS])
    configure(made, a_head())
    return made


def learned(script: Script) -> float:
    """How many labels of the small model count."""
    return script.fleet.requests.choosing.outcomes.labels(SMALL.model_id)


def test_a_judged_answer_teaches_a_little_whichever_way_it_went(script: Script) -> None:
    start = begun(script)
    says(script, start, [SURE] * 6)
    script.finish(start, 6)
    accepted = learned(script)
    assert 0 < accepted < 1
    again = only(ask(script, "r2"), StartAttempt)
    script.open(again)
    script.say_started(again)
    says(script, again, [UNSURE] * 6)
    assert learned(script) == pytest.approx(2 * accepted, rel=0.01)


def test_a_broken_call_is_wrong_whoever_looks() -> None:
    script = with_tools()
    start = begun(script, needs=[Capability.TOOLS])
    says(script, start, [SURE] * 2, broken_calls=1)
    assert learned(script) == pytest.approx(1.0)


def test_a_call_that_fits_its_tool_proves_nothing() -> None:
    script = with_tools()
    start = begun(script, needs=[Capability.TOOLS])
    says(script, start, [UNSURE] * 2, calls=1)
    script.finish(start, 2)
    assert learned(script) == 0.0


def test_a_prompt_goes_to_no_cloud_model_that_it_cannot_fit(script: Script) -> None:
    narrow = CloudModel("narrow", "upstream.example", context_tokens=100)
    script.happens(events.CloudOffered((narrow, BIG)))
    start = begun(script, tier=Tier.CLOUD, prompt_bytes=4000)
    script.open(start)
    receipt = only(script.cancel("r1"), FailRequest).receipt
    removed = {each.model_name: each.removed_by for each in receipt.ladder if each.removed_by}
    assert removed == {"narrow": "the prompt is far longer than its context of 100"}
