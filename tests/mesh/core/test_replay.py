"""Recorded requests are decided anew under another policy, and both sides told in one measure."""

import pytest

from mesh.core.policies import Policy
from mesh.core.receipt import Basis, RungAccount
from mesh.core.replay import Recorded, replay
from mesh.core.types import ModelId, Tier

STRICT, LAX = Policy("strict", target=0.9, cascade=False), Policy("lax", target=0.6, cascade=False)
TRYING = Policy("trying", target=0.9, risk=0.1)
PRIVATE = Policy("own", target=0.96, cascade=False, cloud=False)


def rung(name: str, p_ok: float, cost: float, **more: object) -> RungAccount:
    told = {
        key: more.pop(key)
        for key in ("chosen", "removed_by", "confidence", "threshold")
        if key in more
    }
    basis = Basis(guess=p_ok, rank=p_ok, cost_microusd=cost, **more)  # type: ignore[arg-type]
    return RungAccount(ModelId(name), name, p_ok=p_ok, basis=basis, **told)  # type: ignore[arg-type]


SMALL, LARGE = rung("small", 0.7, 1.0), rung("large", 0.95, 100.0, chosen=True)
BIG = rung("big", 0.97, 1000.0, in_cloud=True)
ONE = Recorded((SMALL, LARGE, BIG), Tier.CLOUD, paid_microusd=90, score=1.0)


def test_the_policy_of_then_gives_what_happened() -> None:
    found = replay([ONE] * 3, STRICT)
    assert found.recorded == found.replayed
    assert (found.recorded.requests, found.recorded.cost_microusd) == (3, 300.0)
    assert found.recorded.quality == pytest.approx(0.95)
    assert (found.other_first, found.paid_microusd, found.scores) == (0, 270, [1.0] * 3)


def test_a_lower_target_is_cheaper_and_worse() -> None:
    found = replay([ONE], LAX)
    assert found.replayed.first == {"small": 1}
    assert found.other_first == 1
    assert found.replayed.cost_microusd == 1.0
    assert found.replayed.quality == pytest.approx(0.7)


def test_a_judged_try_costs_the_next_rung_as_often_as_it_fails() -> None:
    judged = rung("small", 0.7, 1.0, judged=True)
    found = replay([Recorded((judged, LARGE), Tier.MESH)], TRYING)
    assert found.replayed.cost_microusd == pytest.approx(1.0 + 0.3 * 100.0)
    assert found.replayed.quality == pytest.approx(0.7 * 0.9 + 0.3 * 0.95)


def test_what_was_tried_and_given_up_counts_as_it_happened() -> None:
    tried = rung("small", 0.7, 1.0, judged=True, confidence=0.3, threshold=0.6)
    found = replay([Recorded((tried, LARGE), Tier.MESH)], STRICT)
    assert found.recorded.cost_microusd == 101.0
    assert found.recorded.first == {"small": 1}


def test_the_cloud_is_reached_only_where_tier_and_policy_allow() -> None:
    best = Policy("own", target=0.96, cascade=False)
    assert replay([ONE], best).replayed.cloud_share == 1.0
    assert replay([ONE], PRIVATE).replayed.cloud_share == 0.0
    kept = rung("big", 0.97, 1000.0, in_cloud=True, removed_by="the prompt may not leave its mesh")
    assert replay([Recorded((LARGE, kept), Tier.MESH)], best).replayed.cloud_share == 0.0
    by_policy = rung("big", 0.97, 1000.0, in_cloud=True, removed_by="policy private keeps ...")
    assert replay([Recorded((LARGE, by_policy), Tier.CLOUD)], best).replayed.cloud_share == 1.0
    by_rule = rung("big", 0.97, 1000.0, in_cloud=True, removed_by="policy of ours", by_rule=True)
    assert replay([Recorded((LARGE, by_rule), Tier.CLOUD)], best).replayed.cloud_share == 0.0


def test_what_nothing_may_answer_is_left_out_and_counted() -> None:
    alone = rung("big", 0.97, 1000.0, in_cloud=True, chosen=True)
    found = replay([Recorded((alone,), Tier.CLOUD), ONE], PRIVATE)
    assert (found.left_out, found.replayed.requests, found.recorded.requests) == (1, 1, 1)
