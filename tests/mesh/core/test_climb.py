"""On which rung a request begins, and where it goes from there."""

from dataclasses import replace

import pytest

from mesh.core.climb import Climb, Step, climb_of
from mesh.core.policies import Order, Policy
from mesh.core.types import CloudModel, ModelId

BIG = CloudModel("big", "upstream.example")


def step(name: str, p_ok: float = 0.0, cost: float = 1.0, **more: object) -> Step:
    made = Step(ModelId(name), name, p_ok, p_ok or 0.5, cost, parameters=int(cost))
    return replace(made, **more)  # type: ignore[arg-type]


def order(climb: Climb) -> list[str]:
    return [each.name for each in climb.order]


SMALL = step("small", 0.7, 1.0)
MIDDLE = step("middle", 0.85, 10.0)
LARGE = step("large", 0.95, 100.0)
CLOUD = step("big", 0.97, 1000.0, cloud=BIG)
ALL = (LARGE, SMALL, CLOUD, MIDDLE)


def test_it_begins_with_the_cheapest_that_is_good_enough() -> None:
    climb = climb_of(ALL, Policy("own", target=0.8))
    assert order(climb) == ["middle", "large", "big", "small"]
    assert climb.why.startswith("middle is the cheapest that is good enough: P(ok) 0.85")


@pytest.mark.parametrize(
    ("target", "first"), [(0.5, "small"), (0.8, "middle"), (0.9, "large"), (0.96, "big")]
)
def test_a_higher_target_begins_higher(target: float, first: str) -> None:
    assert order(climb_of(ALL, Policy("own", target=target)))[0] == first


def test_where_none_is_good_enough_the_likeliest_begins() -> None:
    climb = climb_of((SMALL, MIDDLE, LARGE), Policy("own", target=0.99))
    assert order(climb) == ["large", "middle", "small"]
    assert "none is known to be good enough, large is the likeliest" in climb.why


def test_what_nobody_knows_is_no_cheaper_choice() -> None:
    unknown = step("unknown", 0.0, 0.1, rank=0.6)
    assert order(climb_of((unknown, LARGE), Policy("own", target=0.9)))[0] == "large"


def test_without_knowledge_the_policy_decides() -> None:
    steps = [step("small", cost=1), step("large", cost=9), step("big", cost=99, cloud=BIG)]
    assert order(climb_of(steps, Policy("own"))) == ["large", "small", "big"]
    smallest = Policy("own", models=Order.SMALLEST)
    assert order(climb_of(steps, smallest)) == ["small", "large", "big"]
    assert climb_of(steps, smallest).plain


def test_a_judged_rung_is_worth_a_try_below_the_target() -> None:
    small = replace(SMALL, judged=True)
    climb = climb_of((small, MIDDLE, LARGE), Policy("own", target=0.9))
    assert order(climb) == ["small", "large", "middle"], "then what is good enough, not a half step"
    assert "worth a try" in climb.why


@pytest.mark.parametrize(
    "small",
    [
        replace(SMALL, judged=True, p_ok=0.2, rank=0.2),  # hardly ever right
        replace(SMALL, judged=True, cost_microusd=80.0),  # as dear as what it would save
        SMALL,  # its answers cannot be judged
    ],
)
def test_a_try_that_does_not_pay_is_skipped(small: Step) -> None:
    assert order(climb_of((small, LARGE), Policy("own", target=0.9)))[0] == "large"


def test_a_policy_may_try_nothing() -> None:
    small = replace(SMALL, judged=True)
    policy = Policy("own", target=0.9, cascade=False)
    assert order(climb_of((small, LARGE), policy))[0] == "large"


def test_fast_lets_the_prediction_choose_among_the_good_ones() -> None:
    policy = Policy("own", target=0.8, models=Order.ANY)
    climb = climb_of(ALL, policy)
    assert [set(rung) for rung in climb.plan.rungs] == [{"middle", "large"}]
    assert climb.pass_by()
    assert climb.step is not None
    assert climb.step.cloud is BIG


def test_what_was_removed_is_told_and_never_tried() -> None:
    forbidden = replace(MIDDLE, removed_by="a rule", by_rule=True)
    climb = climb_of((SMALL, forbidden, LARGE), Policy("own", target=0.8))
    assert order(climb) == ["large", "small"]
    accounts = {each.model_name: each for each in climb.accounts(ModelId("large"))}
    assert accounts["middle"].removed_by == "a rule"
    assert [name for name, each in accounts.items() if each.chosen] == ["large"]


def test_a_preferred_rung_comes_before_a_cheaper_one() -> None:
    liked = replace(LARGE, preferred=True)
    assert order(climb_of((SMALL, MIDDLE, liked), Policy("own", target=0.6)))[0] == "large"


def test_a_session_stays_where_its_prompt_was_read() -> None:
    stays = replace(SMALL, stays=0.11)
    assert order(climb_of((stays, LARGE), Policy("own", target=0.8)))[0] == "small"
    assert order(climb_of((SMALL, LARGE), Policy("own", target=0.8)))[0] == "large"


def test_equals_take_turns_whichever_is_the_cheapest() -> None:
    one = CloudModel("one", "a.example", equals="pair")
    two = CloudModel("two", "b.example", equals="pair")
    steps = (SMALL, step("one", 0.95, 50.0, cloud=one), step("two", 0.95, 60.0, cloud=two), CLOUD)
    climb = climb_of(steps, Policy("own", target=0.9))
    assert order(climb)[0] == "one"
    climb.let_take_turns((BIG, two, one))
    assert climb.why.endswith("; it is the turn of its equal two")
    assert order(climb)[0] == "two"
    assert sorted(order(climb)) == ["big", "one", "small", "two"]


def test_a_plan_holds_no_worse_rung_and_none_in_the_cloud() -> None:
    climb = climb_of(ALL, Policy("own", target=0.8))
    assert list(climb.plan.rungs) == [("middle",), ("large",)]
    assert climb.pass_by()
    assert list(climb.plan.rungs) == []
    assert climb.step is not None
    assert climb.step.cloud is BIG
    assert climb.pass_by()
    assert list(climb.plan.rungs) == [("small",)], "better than nothing"
    assert not climb.pass_by()
    assert list(climb.plan.rungs) == [("middle",), ("large",)], "it begins anew"


def test_an_answer_that_was_not_good_enough_goes_up_and_is_the_last_resort() -> None:
    climb = climb_of((replace(SMALL, judged=True), MIDDLE, LARGE), Policy("own", target=0.9))
    climb.escalate(SMALL.model_id, 0.3, 0.7)
    assert climb.step is not None
    assert climb.step.name == "large"
    assert order(climb)[-1] == "small"
    read = {each.model_name: (each.confidence, each.threshold) for each in climb.accounts(None)}
    assert read["small"] == (0.3, 0.7)


def test_above_the_best_there_is_nothing() -> None:
    climb = climb_of((SMALL, LARGE), Policy("own", target=0.9))
    assert climb.above(LARGE.model_id) is None
    assert climb.above(ModelId("nothing")) is None
