"""How long an attempt may give nothing before it counts as stuck, though its machine beats.

An engine can hang while the agent beside it is well, and then nobody else notices. Twice and three
times what was predicted is a busy machine; four times is one that does not come back (measured on
machines that were given other work in the middle of an answer).
"""

from mesh.core.node import Replica
from mesh.core.progress import Attempt

PATIENCE_MIN_S = 2.0  # batches, a long prompt of another's and a busy core take less together
FACTOR = 4.0  # of the predicted time
LATE_FACTOR = 1.5  # of the predicted first token: one in ten is later (measured on our machines)
LATE_MIN_S = 0.5  # sooner, a second machine has hardly begun when the first one answers
# A prior may be wrong by an order of magnitude, and a machine that is only slow is to be used.
UNMEASURED_FACTOR = 5.0


def patience_s(attempt: Attempt, replica: Replica | None) -> float:
    """Return how many seconds may pass since the attempt was last heard.

    Args:
        replica: where it runs; None: unknown, so that there is nothing to expect.
    """
    if attempt.first_token_s is None:
        expected_s = attempt.candidate.first_token_s
        if replica is not None and not replica.status.prefill_tokens_per_s > 0:
            expected_s *= UNMEASURED_FACTOR
    else:
        expected_s = replica.speed.decode_s if replica is not None else 0.0
    return max(PATIENCE_MIN_S, FACTOR * expected_s)


def late_s(attempt: Attempt) -> float:
    """Return when the attempt is late, on the fleet's clock."""
    return attempt.heard_s + max(LATE_MIN_S, LATE_FACTOR * attempt.candidate.first_token_s)
