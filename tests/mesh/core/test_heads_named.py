"""A scorer's head is of one model's weights, and machines call their weights as they like."""

import pytest

from mesh.core import events
from mesh.core.actions import FailRequest, StartAttempt
from mesh.core.asked import Assessment
from mesh.core.policies import Policy
from mesh.core.receipt import RungAccount
from mesh.core.types import CloudModel, ModelId, Tier
from tests.mesh.core.script import Script, a_model, only

SMALL = a_model("small", parameters=1_000_000)
LARGE = a_model("large", parameters=100_000_000)
NAMESAKE = a_model("small", parameters=1_000_000, digit="f")
BIG = CloudModel("big", "upstream.example")
POLICY = Policy("own", target=0.9)


def assessed(**p_ok: float) -> Assessment:
    return Assessment(p_ok=p_ok, trusted=frozenset(p_ok))


@pytest.fixture
def script() -> Script:
    made = Script()
    made.attach("desk", SMALL)
    made.attach("shelf", LARGE)
    return made


def answers(
    script: Script, assessment: Assessment, tier: Tier = Tier.MESH
) -> tuple[ModelId, list[RungAccount]]:
    """Ask; return whose answer is begun, and the rungs."""
    asked = script.ask("r1", "auto", policy=POLICY, assessment=assessment, tier=tier)
    chosen = only(asked, StartAttempt).model_id
    return chosen, list(only(script.cancel("r1"), FailRequest).receipt.ladder)


def test_a_head_is_believed_of_the_one_that_goes_by_its_name(script: Script) -> None:
    chosen, _ = answers(script, assessed(small=0.93, large=0.95))
    assert chosen == SMALL.model_id


def test_weights_that_take_a_known_models_name_are_not_believed_to_be_it(script: Script) -> None:
    """Nor are the others: nobody can tell which of them was learned of."""
    script.attach("stranger", NAMESAKE)
    chosen, rungs = answers(script, assessed(small=0.93, large=0.95))
    assert chosen == LARGE.model_id
    assert [each.p_ok for each in rungs if each.model_name == "small"] == [0.0, 0.0]


def test_weights_that_take_an_upstreams_name_are_not_believed_to_be_it(script: Script) -> None:
    script.happens(events.CloudOffered((BIG,)))
    script.attach("stranger", a_model("big", parameters=1_000_000))
    _, rungs = answers(script, assessed(small=0.93, big=0.97), Tier.CLOUD)
    told = {each.model_id: each.p_ok for each in rungs if each.model_name == "big"}
    assert told.pop(BIG.model_id) == 0.97, "its operator named it"
    assert list(told.values()) == [0.0]


def test_a_head_named_by_the_identity_is_believed_whatever_others_are_called(
    script: Script,
) -> None:
    script.attach("stranger", NAMESAKE)
    assessment = assessed(**{SMALL.model_id: 0.93, "small": 0.1, "large": 0.95})
    chosen, _ = answers(script, assessment)
    assert chosen == SMALL.model_id
