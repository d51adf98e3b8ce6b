"""When a rule applies."""

from dataclasses import replace
from typing import Any

import pytest

from mesh.core.asked import Assessment, Origin
from mesh.core.conditions import Conditions, checks_of
from mesh.core.facts import Facts, facts_of
from mesh.core.types import Capability, Policy, Request, RequestKey, Tier

FACTS = Facts(
    tier=Tier.MESH,
    key="client:ab12cd",
    key_name="ci-bot",
    team="ops",
    task="ticket-7",
    tags=frozenset({"batch", "night"}),
    initiator="agent",
    domain="security",
    model="qwen2.5-7b",
    tools=True,
    prompt_bytes=1000,
    words_matched=frozenset({"the rule"}),
    minute_of_week=600,  # Monday, 10:00
    budget_microusd=10_000_000,
    budget_left_microusd=1_000_000,
)
NOBODY = Facts()


def holds(facts: Facts = FACTS, /, **when: Any) -> bool:
    return all(check(facts) for check in checks_of(Conditions(**when), "the rule"))


@pytest.mark.parametrize(
    ("key", "value", "other"),
    [
        ("tier", (Tier.DEVICE, Tier.MESH), (Tier.CLOUD,)),
        ("key", ("client:*",), ("operator:*", "client:ab12")),
        ("key", ("ci-bot",), ("ci",)),
        ("team", ("dev", "Ops"), ("dev",)),
        ("team", ("o*",), ("*x",)),
        ("task", ("ticket-*",), ("bug-*",)),
        ("tags", ("night",), ("day",)),
        ("tags", ("bat*",), ("cat*",)),
        ("initiator", ("agent", "event"), ("human",)),
        ("domain", ("security",), ("networking",)),
        ("model", ("qwen*",), ("auto",)),
        ("tools", True, False),
        ("prompt_bytes_min", 1000, 1001),
        ("prompt_bytes_max", 1000, 999),
        ("hours", ("09:00-17:00",), ("22:00-06:00",)),
        ("weekdays", ("mon-fri",), ("sat", "sun")),
        ("budget_left_below", 0.11, 0.1),
        ("budget_left_below_microusd", 1_000_001, 1_000_000),
    ],
)
def test_each_condition_holds_or_does_not(key: str, value: object, other: object) -> None:
    assert holds(FACTS, **{key: value})
    assert not holds(FACTS, **{key: other})


def test_words_hold_where_the_edge_found_them() -> None:
    assert holds(words=("x",))
    assert not holds(NOBODY, words=("x",))


def test_all_conditions_must_hold() -> None:
    assert holds(team=("ops",), initiator=("agent",))
    assert not holds(team=("ops",), initiator=("human",))


def test_no_condition_holds_for_everybody() -> None:
    assert holds()
    assert holds(NOBODY)


@pytest.mark.parametrize("key", ["team", "task", "key", "domain", "tags", "initiator"])
def test_a_name_that_nobody_told_is_like_no_pattern(key: str) -> None:
    assert not holds(NOBODY, **{key: ("*",)})


def test_an_empty_name_asks_for_those_who_told_none() -> None:
    assert holds(NOBODY, team=("",))
    assert not holds(team=("",))


def test_without_a_budget_or_a_clock_nothing_is_short_or_late() -> None:
    assert not holds(NOBODY, budget_left_below=1.0)
    assert not holds(NOBODY, budget_left_below_microusd=1)
    assert not holds(NOBODY, hours=("00:00-24:00",))
    assert not holds(replace(FACTS, budget_left_microusd=None), budget_left_below=1.0)


def test_a_budget_of_nothing_is_used_up() -> None:
    assert holds(replace(FACTS, budget_microusd=0, budget_left_microusd=0), budget_left_below=0.1)


def test_facts_are_a_requests_with_names_in_lower_case() -> None:
    request = Request(
        RequestKey("Client:AB", "r1"),
        "Qwen",
        Tier.CLOUD,
        Policy.BALANCED,
        123,
        10,
        1.0,
        needs=frozenset({Capability.TOOLS}),
        from_coordinator_host=True,
        origin=Origin("human", "Ops", "T-1", ("Night",)),
        assessment=Assessment(
            domain="Law",
            words_matched=frozenset({"a"}),
            minute_of_week=5,
            budget_microusd=9,
            budget_left_microusd=4,
        ),
    )
    assert facts_of(request, key_name="CI") == Facts(
        tier=Tier.CLOUD,
        key="client:ab",
        key_name="ci",
        team="ops",
        task="t-1",
        tags=frozenset({"night"}),
        initiator="human",
        domain="law",
        model="qwen",
        tools=True,
        prompt_bytes=123,
        on_coordinator_host=True,
        words_matched=frozenset({"a"}),
        minute_of_week=5,
        budget_microusd=9,
        budget_left_microusd=4,
    )
