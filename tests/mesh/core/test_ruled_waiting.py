"""What rules take away stays away from a request that waits, whatever comes meanwhile."""

import pytest

from mesh.core import events
from mesh.core.actions import FailRequest, StartAttempt, StartCloudAttempt
from mesh.core.conditions import Conditions
from mesh.core.model_choice import Models
from mesh.core.rules import Rules
from mesh.core.types import CloudModel, Tier
from mesh.core.verdict import Rule
from tests.mesh.core.script import Script, a_model, kinds, of_type, only

GOOD, BAD = a_model("good"), a_model("bad")
UPSTREAM = CloudModel("big", "upstream.example", frozenset())
FORBIDS = Rule(name="no", forbid=Models(("bad", "cloud")))
PINS = Rule(name="only", pin=Models(("good",)))
RULES = pytest.mark.parametrize("rule", [FORBIDS, PINS])


def ruled(*rules: Rule) -> Script:
    script = Script()
    script.happens(events.LadderConfigured(rules=Rules(rules)))
    return script


@RULES
def test_a_model_that_comes_while_a_request_waits_is_held_to_the_rules(rule: Rule) -> None:
    script = ruled(rule)
    script.attach("desk", GOOD, slots_taken=1)
    assert script.ask("r1", "auto") == []
    assert not of_type(script.attach("shelf", BAD), StartAttempt)
    assert only(script.attach("bench", GOOD), StartAttempt).model_id == GOOD.model_id


@RULES
@pytest.mark.parametrize("clouds", [(), (UPSTREAM,)])
def test_what_waits_for_machines_after_a_restart_is_held_to_the_rules(
    rule: Rule, clouds: tuple[CloudModel, ...]
) -> None:
    script = ruled(rule)
    script.happens(events.CloudOffered(clouds))
    script.happens(events.CoordinatorReturned(script.now_s + 10))
    assert script.ask("r1", "auto") == script.ask("r2", "bad") == []
    assert kinds(script.attach("shelf", BAD)) == ["AdmitNode"]
    start = only(script.attach("desk", GOOD), StartAttempt)
    assert (start.key.request_id, start.model_id) == ("r1", GOOD.model_id)
    failed = [each for _ in range(5) for each in of_type(script.after(3.0), FailRequest)]
    told = {each.key.request_id: each.failure.message for each in failed}
    assert rule.name in told["r2"]


def test_rules_look_at_what_was_asked_and_not_at_what_they_made_of_it() -> None:
    """Looked at again, a request of tier cloud is not one of tier mesh because a rule said so."""
    to_mesh = Rule(name="stay", when=Conditions(tier=(Tier.CLOUD,)), tier_max=Tier.MESH)
    no_mesh = Rule(name="never", when=Conditions(tier=(Tier.MESH,)), forbid=Models(("any",)))
    script = ruled(to_mesh, no_mesh)
    script.happens(events.CloudOffered((UPSTREAM,)))
    script.happens(events.CoordinatorReturned(script.now_s + 10))
    assert script.ask("r1", "auto", tier=Tier.CLOUD) == []
    actions = script.attach("desk", GOOD)
    assert only(actions, StartAttempt).model_id == GOOD.model_id
    assert not of_type(actions, StartCloudAttempt)


def test_models_of_one_name_stay_equals_where_a_rule_looks_at_them() -> None:
    older, newer = a_model("llama", digit="1"), a_model("llama", digit="2", parameters=200_000_000)
    script = ruled(FORBIDS)
    script.attach("desk", older, slots_taken=1)
    script.attach("shelf", newer)
    assert only(script.ask("r1", "llama"), StartAttempt).model_id == newer.model_id
    script.report("desk")
    script.attach("bench", older)
    assert only(script.ask("r2", "llama"), StartAttempt).model_id == older.model_id
