"""What would become of a request, as an operator gets it told."""

from mesh.core.foresight import Foreseen
from mesh.v1 import operations_pb2 as operations
from mesh.wire import enums
from mesh.wire.receipts import RUNGS_SHOWN_MAX, write_rung


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
