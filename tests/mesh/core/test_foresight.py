"""What would become of a request is what becomes of it."""

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from mesh.core import events
from mesh.core.actions import Action, FailRequest, StartAttempt, StartCloudAttempt
from mesh.core.asked import Assessment, Origin
from mesh.core.foresight import Foreseen, foresee
from mesh.core.model_choice import Models
from mesh.core.policies import Policy
from mesh.core.rules import Rules
from mesh.core.types import Capability, ModelId, Request, RequestKey, Tier
from mesh.core.verdict import Rule
from tests.mesh.core.entries import GPT
from tests.mesh.core.script import Script, a_model, of_type, warm

SMALL = a_model("small", parameters=1_000_000)
LARGE = a_model("large", parameters=100_000_000)
KNOWN = Assessment(p_ok={"small": 0.9, "large": 0.95}, trusted=frozenset({"small", "large"}))


@pytest.fixture
def script() -> Script:
    made = Script()
    made.attach("desk", SMALL)
    made.attach("shelf", LARGE)
    made.happens(events.CloudOffered((GPT,)))
    return made


def ruled(script: Script, *rules: Rule) -> None:
    script.happens(events.LadderConfigured(rules=Rules(rules)))


def a_request(script: Script, **more: Any) -> Request:
    given: dict[str, Any] = {
        "key": RequestKey("ann", "r1"),
        "model": "auto",
        "tier": Tier.MESH,
        "policy": Policy.BALANCED,
        "prompt_bytes": 400,
        "max_tokens": 100,
        "deadline_s": script.now_s + 60.0,
        **more,
    }
    return Request(**given)


def foreseen(script: Script, request: Request) -> Foreseen:
    return foresee(request, script.fleet.requests.choosing, Random(0), script.now_s)


REFUSED = ModelId("refused")


def began(actions: Iterable[Action]) -> str:
    """The model that a request began on."""
    for start in of_type(actions, StartAttempt):
        return start.model_id
    for in_cloud in of_type(actions, StartCloudAttempt):
        return in_cloud.model.model_id
    return REFUSED if of_type(actions, FailRequest) else "waits"


def forbids(text: str) -> Rule:
    return Rule(name=f"no {text}", forbid=Models((text,)))


REQUESTS: list[dict[str, Any]] = [
    {},
    {"model": "small"},
    {"model": "nobody-has-this"},
    {"model": "cloud"},
    {"model": "cloud", "tier": Tier.CLOUD},
    {"model": "gpt-4o", "tier": Tier.CLOUD},
    {"policy": Policy.FRUGAL},
    {"policy": Policy.FAST},
    {"policy": Policy.PRIVATE, "tier": Tier.CLOUD},
    {"assessment": KNOWN},
    {"assessment": KNOWN, "policy": Policy.BEST},
    {"needs": frozenset({Capability.TOOLS})},
    {"needs": frozenset({Capability.TOOLS}), "tier": Tier.CLOUD},
    {"needs": frozenset({Capability.VISION}), "tier": Tier.CLOUD},
    {"needs": frozenset({Capability.GRAMMAR}), "tier": Tier.CLOUD},
    {"prompt_bytes": 10_000_000},
    {"prompt_bytes": 10_000_000, "tier": Tier.CLOUD},
    {"cost_microusd_max": 1, "tier": Tier.CLOUD},
    {"tier": Tier.DEVICE},
]
RULES: list[list[Rule]] = [
    [],
    [forbids("large")],
    [forbids("local")],
    [forbids("cloud")],
    [forbids("any")],
    [Rule(name="first", prefer=Models(("cloud", "small")))],
    [Rule(name="only", pin=Models(("small",)))],
    [Rule(name="here", tier_max=Tier.MESH)],
    [Rule(name="at home", tier_max=Tier.DEVICE)],
]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("given", REQUESTS)
def test_a_request_goes_where_it_was_foreseen(
    script: Script, given: dict[str, Any], rules: list[Rule]
) -> None:
    ruled(script, *rules)
    request = a_request(script, **given)
    told = foreseen(script, request)
    became = began(script.happens(events.RequestArrived(request)))
    (chosen,) = [each.model_id for each in told.ladder if each.chosen] or [REFUSED]
    assert became == chosen
    assert bool(told.refused) == (not told.node_name)


@pytest.mark.parametrize("rules", RULES)
def test_to_foresee_changes_nothing(script: Script, rules: list[Rule]) -> None:
    ruled(script, *rules)
    before = repr(script.fleet), script.fleet.requests.total
    foreseen(script, a_request(script))
    assert (repr(script.fleet), script.fleet.requests.total) == before


def test_each_rung_says_what_it_costs_and_who_took_it_away(script: Script) -> None:
    ruled(script, forbids("cloud"))
    told = foreseen(script, a_request(script, tier=Tier.CLOUD, assessment=KNOWN))
    rungs = {each.model_name: each for each in told.ladder}
    assert list(rungs)[-1] == "gpt-4o"
    assert rungs["gpt-4o"].removed_by == "rule 'no cloud' forbids cloud"
    assert rungs["gpt-4o"].expected_cost_microusd > rungs["large"].expected_cost_microusd
    assert (rungs["small"].p_ok, rungs["small"].chosen) == (0.9, True)
    assert [each.rule for each in told.applied] == ["no cloud"]


def test_energy_costs_what_the_operator_says(script: Script) -> None:
    request = a_request(script, prompt_bytes=400_000, max_tokens=100_000)
    costs = []
    for usd_per_kwh in (0.3, 30.0):
        script.happens(events.LadderConfigured(usd_per_kwh=usd_per_kwh))
        costs.append(foreseen(script, request).ladder[0].expected_cost_microusd)
    assert costs[1] == pytest.approx(100 * costs[0], rel=0.3)
    assert costs[0] > 0


def test_a_rule_that_no_origin_meets_is_not_told(script: Script) -> None:
    from mesh.core.conditions import Conditions

    ruled(script, Rule(name="ops", when=Conditions(team=("ops",)), forbid=Models(("large",))))
    assert foreseen(script, a_request(script)).applied == ()
    ours = a_request(script, origin=Origin(team="Ops"))
    assert [each.model_ids for each in foreseen(script, ours).applied] == [(LARGE.model_id,)]


def test_a_tier_that_rules_shorten_is_told(script: Script) -> None:
    ruled(script, Rule(name="here", tier_max=Tier.MESH))
    assert foreseen(script, a_request(script, tier=Tier.CLOUD)).tier is Tier.MESH


def test_where_it_would_wait_it_says_so(script: Script) -> None:
    script.report("desk", (SMALL, warm(1, slots_taken=1)))
    script.report("shelf", (LARGE, warm(1, slots_taken=1)))
    told = foreseen(script, a_request(script))
    assert told.why.startswith("it would wait")
    assert told.node_name
    assert not told.refused


def test_a_mesh_of_nobody_refuses(script: Script) -> None:
    told = foreseen(Script(), a_request(script))
    assert (told.ladder, told.node_name) == ((), "")
    assert told.refused
