"""What routing is told of a prompt for an operator's rules, and of the hour."""

import time

from coordinator.assessing import Assessing, Budget
from mesh.core.asked import NOT_ASSESSED, Assessment
from mesh.core.rules import Rules
from mesh.rules_file import read_rules
from mesh.v1 import inference_pb2 as inference

RULES = read_rules(
    '[[rules]]\nname = "secrets"\nwhen.words = "password"\nforbid = "cloud"\n', "rules.toml"
)
MONDAY = time.struct_time((2026, 1, 5, 10, 30, 59, 0, 5, 0))


def saying(*texts: str) -> inference.GenerateRequest:
    parts = [[inference.Part(text=text)] for text in texts]
    return inference.GenerateRequest(
        messages=[inference.Message(role=inference.ROLE_USER, parts=each) for each in parts]
    )


def test_rules_whose_words_a_prompt_has_are_named() -> None:
    assessing = Assessing(RULES)
    assert assessing.assess(saying("hello", "my password"), NOT_ASSESSED).words_matched == {
        "secrets"
    }
    assert not assessing.assess(saying("hello"), NOT_ASSESSED).words_matched


def test_two_messages_are_no_one_word() -> None:
    assessed = Assessing(RULES).assess(saying("pass", "word"), NOT_ASSESSED)
    assert not assessed.words_matched


def test_the_hour_and_the_budget_are_told() -> None:
    text = '[[rules]]\nname = "thrift"\nunless.budget_left_below = 0.5\nforbid = "cloud"\n'
    rules = read_rules(text, "rules.toml")
    assessing = Assessing(rules, local_time=lambda: MONDAY, budget=lambda: Budget(10, 3))
    known = Assessment(domain="law")
    assert assessing.assess(saying("hello"), known) == Assessment(
        domain="law", minute_of_week=630, budget_microusd=10, budget_left_microusd=3
    )


def test_a_budget_that_no_rule_looks_at_is_not_summed_up() -> None:
    asked = []
    assessing = Assessing(RULES, budget=lambda: asked.append(1))
    assert assessing.assess(saying("hello"), NOT_ASSESSED).budget_microusd is None
    assert asked == []


def test_without_rules_nothing_is_looked_at() -> None:
    known = Assessment(domain="law")
    assert Assessing(Rules()).assess(saying("password"), known) is known
