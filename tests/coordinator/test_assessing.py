"""What routing is told of a prompt for an operator's rules, and of the hour."""

import time
from array import array

from coordinator.assessing import Assessing, Budget, judging_heads
from mesh.core.asked import NOT_ASSESSED, Assessment
from mesh.core.calibration import ConfidenceHead
from mesh.core.features import BUCKETS, SURFACE_NAMES, prompt_features
from mesh.core.rules import Rules
from mesh.core.scorer import Head, Scorer, judges
from mesh.rules_file import read_rules
from mesh.training.recognising import domains_of
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


def a_scorer(*models: str) -> Scorer:
    """One that has learned to recognise sums, and has a head for each of ``models``."""
    learned = [("sums", prompt_features(f"What is {n} plus {n + 7}?")) for n in range(60)]
    blank = array("b", bytes(BUCKETS))
    nothing = (0.0,) * len(SURFACE_NAMES)
    head = Head(500, 0.0, nothing, nothing, nothing, blank, blank, 0.0, 0.0, {})
    return Scorer(dict.fromkeys(models, head), domains=domains_of(learned))


def test_a_scorer_says_how_likely_each_model_is_right() -> None:
    assessed = Assessing(Rules(), scorer=a_scorer("small")).assess(
        saying("What is 5 plus 12?"), NOT_ASSESSED
    )
    assert dict(assessed.p_ok) == {"small": 0.5}
    assert assessed.trusted == {"small"}
    assert (assessed.domain, assessed.task_class) == ("sums", "sums")


def test_a_prompt_of_no_known_kind_has_no_class() -> None:
    assessed = Assessing(Rules(), scorer=a_scorer("small")).assess(
        saying("Write a poem about the sea at night"), NOT_ASSESSED
    )
    assert (assessed.domain, assessed.task_class) == ("", "")
    assert assessed.foreign, "nothing was learned of prompts like this one"


def test_the_callers_word_on_the_domain_counts() -> None:
    assessed = Assessing(Rules(), scorer=a_scorer("small")).assess(
        saying("What is 5 plus 12?"), Assessment(domain="law")
    )
    assert (assessed.domain, assessed.task_class) == ("law", "law")


def test_the_newest_question_is_what_is_scored() -> None:
    scorer = a_scorer("small")
    request = saying("Write a poem about the sea at night", "What is 5 plus 12?")
    request.messages.add(role=inference.ROLE_ASSISTANT).parts.add(text="Hm")
    assert Assessing(Rules(), scorer=scorer).assess(request, NOT_ASSESSED).domain == "sums"


def test_a_request_that_names_its_model_is_not_scored() -> None:
    request = saying("What is 5 plus 12?")
    request.model = "small"
    assessed = Assessing(Rules(), scorer=a_scorer("small")).assess(request, NOT_ASSESSED)
    assert assessed is NOT_ASSESSED


def test_heads_of_all_kinds_of_prompts_judge_none() -> None:
    head = ConfidenceHead((), (), (), 0.0, 500)
    scorer = Scorer({}, confidence={judges("small"): head, judges("small", "sums"): head})
    assert judging_heads(scorer) == {("small", "sums"): head}


def test_results_since_the_last_answer_say_what_became_of_its_calls() -> None:
    request = saying("Is the host up?")
    request.model = "auto"
    assessing = Assessing(Rules(), scorer=a_scorer("small"))
    assert assessing.assess(request, NOT_ASSESSED).calls_worked is None
    request.messages.add(role=inference.ROLE_ASSISTANT)
    for result in ("Error: no route to host", "64 bytes from 10.0.0.7"):
        request.messages.add(role=inference.ROLE_TOOL).parts.add(text=result)
    assert assessing.assess(request, NOT_ASSESSED).calls_worked == 0.5
    request.messages.add(role=inference.ROLE_ASSISTANT).parts.add(text="It is.")
    request.messages.add(role=inference.ROLE_USER).parts.add(text="Thanks")
    assert assessing.assess(request, NOT_ASSESSED).calls_worked is None
