"""What would become of a request, as an operator gets it told."""

from mesh.core.foresight import Foreseen
from mesh.core.replay import Replay, Totals
from mesh.v1 import operations_pb2 as operations
from mesh.wire import enums
from mesh.wire.receipts import RUNGS_SHOWN_MAX, write_rung

MODELS_SHOWN_MAX = 64  # as many as a ladder has rungs


def write_replay(policy: str, found: Replay) -> operations.ReplayRoutesResponse:
    """Write what happened, and what would have."""
    scores = found.scores
    return operations.ReplayRoutesResponse(
        policy=policy,
        requests=found.replayed.requests,
        left_out=found.left_out,
        other_first=found.other_first,
        recorded=_totals(found.recorded),
        replayed=_totals(found.replayed),
        paid_microusd=found.paid_microusd,
        judged=len(scores),
        judged_score=sum(scores) / len(scores) if scores else 0.0,
    )


def _totals(totals: Totals) -> operations.RouteTotals:
    return operations.RouteTotals(
        expected_cost_microusd=totals.cost_microusd,
        expected_quality=totals.quality,
        cloud_share=totals.cloud_share,
        first=[
            operations.RouteShare(model_name=name, requests=count)
            for name, count in totals.first.most_common(MODELS_SHOWN_MAX)
        ],
    )


def write_route(foreseen: Foreseen, *, rules_known: int) -> operations.RouteExplanation:
    """Write the rungs, the rules that matched, and where the request would go.

    Args:
        rules_known: how many rules there are, whether they matched or not.
    """
    names = {each.model_id: each.model_name for each in foreseen.ladder}
    return operations.RouteExplanation(
        ladder=[write_rung(each) for each in foreseen.ladder[:RUNGS_SHOWN_MAX]],
        rules=[
            operations.AppliedRule(
                rule=each.rule,
                effect=each.effect,
                words=each.words,
                model_names=[names.get(model_id, model_id) for model_id in each.model_ids],
            )
            for each in foreseen.applied
        ],
        why=foreseen.why,
        refused=foreseen.refused,
        tier=enums.write(enums.TIER, foreseen.tier),
        rules_known=rules_known,
        node_name=foreseen.node_name,
    )
