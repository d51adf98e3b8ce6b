"""What the page's watchers note of requests, and what they must not."""

from dataclasses import replace

import pytest

from coordinator.ledger.records import closed_row
from coordinator.ledger.today import Today
from coordinator.pages.account import OTHERS, PLACES_SHOWN_MAX, Baseline, of_day
from coordinator.pages.flow import KEPT_MAX, Flow
from mesh.core.actions import SendStarted
from mesh.core.receipt import AttemptAccount, Candidate, Receipt
from mesh.core.types import (
    AttemptId,
    Failure,
    FailureCode,
    ModelId,
    NodeId,
    Policy,
    Request,
    RequestKey,
    Tier,
    Usage,
)

SECRET = "what somebody asked"
CHOSEN = Candidate(NodeId("n"), "desk", ModelId("m"), "qwen", 0.1, 1.0, 1.0, free=True)


def asked(number: int, model: str = "auto") -> Request:
    key = RequestKey("client:somebody", str(number))
    return Request(key, model, Tier.MESH, Policy.BALANCED, 10, 10, 100.0)


def receipt(
    request: Request,
    *,
    place: str = "desk",
    tier: Tier = Tier.MESH,
    test: bool = False,
    why: str = "",
) -> Receipt:
    attempt = AttemptAccount(
        AttemptId(1), NodeId("n"), place, ModelId("m"), "qwen", "answered", SECRET, 0.1, 0.2, 1.0,
        Usage(prompt_tokens=100, completion_tokens=10), "", tier, 7 if tier is Tier.CLOUD else 0,
    )  # fmt: skip
    return Receipt(
        request.key, request.model, tier, Policy.BALANCED, (attempt,), (CHOSEN,), (), why,
        0.0, 0.2, 1.0, 10.0, test, attempt.cost_microusd,
    )  # fmt: skip


def test_a_request_is_followed_from_its_arrival_to_its_end() -> None:
    flow, request = Flow(lambda: 50.0), asked(1)
    flow.request_arrived(request)
    assert [each.state for each in flow.newest(5)] == ["waiting"]
    flow.request_started(SendStarted(request.key, AttemptId(1), CHOSEN, Tier.MESH, "near", None))
    [passing] = flow.newest(5)
    assert (passing.state, passing.machine, passing.model) == ("running", "desk", "qwen")
    flow.request_ended(request, receipt(request, why="near"), None)
    assert (passing.state, passing.tokens, passing.why) == ("answered", 10, "near")
    assert flow.first_token_s == 0.2


def test_requests_that_never_end_fill_no_memory() -> None:
    flow = Flow(lambda: 50.0)
    for number in range(3 * KEPT_MAX):
        flow.request_arrived(asked(number))
    assert len(flow.newest(10 * KEPT_MAX)) == len(flow._open) == KEPT_MAX
    flow.request_ended(asked(0), receipt(asked(0)), None)  # one that nobody follows any more


@pytest.mark.parametrize("why", [f"cloud: desk failed: {SECRET}", ""])
def test_nothing_that_a_machine_said_of_a_prompt_is_shown(why: str) -> None:
    flow, request = Flow(lambda: 50.0), asked(1)
    failure = Failure(FailureCode.INTERNAL_ERROR, SECRET, SECRET)
    flow.request_arrived(request)
    flow.request_started(SendStarted(request.key, AttemptId(1), CHOSEN, Tier.CLOUD, why, None))
    assert SECRET not in repr(flow)
    flow.request_ended(request, receipt(request, why=why), failure if not why else None)
    assert SECRET not in repr(flow)


def test_answers_are_counted_by_where_they_came_from_and_test_models_save_nothing() -> None:
    counted, now_s = Today(began_s=0), 50.0
    baseline = Baseline("gpt", lambda usage: usage.prompt_tokens + usage.completion_tokens)
    one = asked(1)
    for each in (receipt(one), receipt(one, tier=Tier.CLOUD, place="gpt"), receipt(one, test=True)):
        counted.count(closed_row(one, each, None, arrived_us=1), now_s)
    left = Failure(FailureCode.CANCELLED, "left")
    counted.count(closed_row(one, receipt(one), left, arrived_us=1), now_s)
    account = of_day(counted, baseline)
    assert (account.requests, account.answered, account.cost_microusd) == (4, 3, 7)
    assert [(share.name, share.requests) for share in account.tiers] == [
        ("device", 0),
        ("mesh", 2),
        ("cloud", 1),
    ]
    assert account.saved_microusd == 110, "one real answer of the mesh's own"
    assert account.failures == (("cancelled", 1),)


def test_many_places_are_summed_up_so_that_nothing_is_missing() -> None:
    counted, one = Today(began_s=0), asked(1)
    for number in range(20):
        row = closed_row(one, receipt(one, place=f"desk-{number}"), None, arrived_us=1)
        counted.count(row, 50.0)
    account = of_day(counted, None)
    assert len(account.places) == PLACES_SHOWN_MAX
    assert account.places[-1].name == OTHERS
    assert sum(share.requests for share in account.places) == account.answered == 20
    assert account.saved_microusd is None


def test_a_model_name_of_a_client_is_cut_and_made_printable() -> None:
    flow = Flow(lambda: 50.0)
    flow.request_arrived(replace(asked(1), model="\x1b[31m" + "x" * 5000))
    [passing] = flow.newest(1)
    assert passing.asked.isprintable()
    assert len(passing.asked) <= 64
