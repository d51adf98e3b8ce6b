"""Which models may answer, in which order."""

import pytest

from mesh.core.ladder import ladder
from mesh.core.types import Policy, Request, Tier
from tests.mesh.core.script import Script, a_model, key

SMALL = a_model("small", "chat", parameters=100)
MIDDLE = a_model("middle", parameters=10_000)
LARGE = a_model("large", "chat", parameters=1_000_000)
BENCH = a_model("test-tiny", parameters=10, test=True)


def rungs(script: Script, model: str, policy: Policy = Policy.BALANCED) -> list[set[str]]:
    request = Request(key("r1"), model, Tier.MESH, policy, 100, 100, deadline_s=1.0)
    names = {each.model_id: each.name for each in (SMALL, MIDDLE, LARGE, BENCH)}
    found = ladder(request, script.fleet.directory)
    return [{names[model_id] for model_id in rung.model_ids} for rung in found]


@pytest.fixture
def mesh(script: Script) -> Script:
    script.attach("desk", MIDDLE, LARGE, BENCH)
    script.attach("shelf", SMALL, BENCH)
    return script


def test_a_named_model_is_the_only_rung(mesh: Script) -> None:
    assert rungs(mesh, "middle") == [{"middle"}]
    assert rungs(mesh, MIDDLE.model_id) == [{"middle"}]


def test_an_alias_of_several_models_is_one_rung_of_all(mesh: Script) -> None:
    assert rungs(mesh, "chat") == [{"small", "large"}]


def test_an_unknown_name_has_no_rung(mesh: Script) -> None:
    assert rungs(mesh, "nothing") == []


def test_a_test_model_may_be_asked_for_by_name(mesh: Script) -> None:
    assert rungs(mesh, "test-tiny") == [{"test-tiny"}]


@pytest.mark.parametrize("auto", ["auto", ""])
@pytest.mark.parametrize("policy", [Policy.BALANCED, Policy.BEST, Policy.PRIVATE])
def test_auto_climbs_down_from_the_largest(mesh: Script, auto: str, policy: Policy) -> None:
    assert rungs(mesh, auto, policy) == [{"large"}, {"middle"}, {"small"}]


def test_frugal_climbs_up_from_the_smallest(mesh: Script) -> None:
    assert rungs(mesh, "auto", Policy.FRUGAL) == [{"small"}, {"middle"}, {"large"}]


def test_fast_has_all_models_on_one_rung(mesh: Script) -> None:
    assert rungs(mesh, "auto", Policy.FAST) == [{"small", "middle", "large"}]


def test_test_models_are_rungs_only_while_no_real_model_is_there(script: Script) -> None:
    script.attach("desk", BENCH)
    assert rungs(script, "auto") == [{"test-tiny"}]
    script.attach("shelf", SMALL)
    assert rungs(script, "auto") == [{"small"}]
    script.attach("shelf", BENCH)
    assert rungs(script, "auto") == [{"test-tiny"}]


def test_a_mesh_without_models_has_no_rungs(script: Script) -> None:
    script.attach("desk")
    assert rungs(script, "auto") == []
