"""What a pick looked at, as it was then: enough to tell later why the others were not chosen.

A pick has some 100 us. It keeps the few numbers that it has worked out anyway; words are made of
them when somebody asks (``mesh.core.explaining``), which is for one request in thousands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mesh.core.cost import Demand
from mesh.core.node import Replica
from mesh.core.types import ModelId, NodeId, Policy

NEAR_EQUAL = 1.05  # costs within 5 % are ties: predictions are no better than that

# The cost first, then predicted seconds to the first token, and for each of the answer.
Scored = tuple[float, Replica, float, float]
Waiting = tuple[float, float, Replica, float, float]  # after the cost, seconds until it has a slot


@dataclass(frozen=True, slots=True)
class Look:
    """The replicas that a pick weighed. Holds nothing of the prompt."""

    policy: Policy
    models: tuple[ModelId, ...]  # whose holders it looked at
    why: str  # it looked at these
    demands: Mapping[ModelId, Demand]
    free: Sequence[Scored]  # the chosen one first, then by cost
    full: Sequence[Waiting]  # all their slots were taken
    placed: bool  # False: nobody was chosen, and the request waits
    avoid: Mapping[NodeId, str]  # nodes that failed or refused it before, with the reason

    def __len__(self) -> int:
        return len(self.free) + len(self.full)

    def completion_s(self, replica: Replica, first_token_s: float, decode_s: float) -> float:
        return first_token_s + self.demands[replica.model_id].output_tokens * decode_s
