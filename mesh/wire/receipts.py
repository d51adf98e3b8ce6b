"""Receipts and failures, as the client gets them."""

from math import ceil

from mesh.core.receipt import AttemptAccount, Candidate, Receipt, RungAccount
from mesh.core.types import Failure
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from mesh.wire.answers import error_of, write_usage

CANDIDATES_SHOWN_MAX = 128  # as many as a pick looks at, free ones and full ones
RUNGS_SHOWN_MAX = 64  # as many as a ladder weighs
RETRY_AFTER_S_MAX = 86_400.0  # longer is no answer to "when?"
RULED_OUT_SHOWN_MAX = 256  # keeps a refusal in a large mesh below a gRPC message's limits


def write_receipt(receipt: Receipt, coordinator_id: str) -> inference.Receipt:
    """Write the account of a request; energy and savings join when the ledger does."""
    first = receipt.candidates[0] if receipt.candidates else None
    return inference.Receipt(
        request_id=receipt.key.request_id,
        coordinator=coordinator_id,
        asked_model=receipt.asked_model,
        tier=enums.write(enums.TIER, receipt.tier),
        policy=receipt.policy.name,
        ladder=[write_rung(each) for each in receipt.ladder[:RUNGS_SHOWN_MAX]],
        attempts=[_attempt(attempt) for attempt in receipt.attempts],
        candidates=[_candidate(each) for each in receipt.candidates[:CANDIDATES_SHOWN_MAX]],
        ruled_out=[
            inference.RuledOut(node_id=r.node_id, node_name=r.node_name, reason=r.reason)
            for r in receipt.ruled_out[:RULED_OUT_SHOWN_MAX]
        ],
        why=receipt.why,
        queued_s=receipt.queued_s,
        predicted_first_token_s=first.first_token_s if first else 0.0,
        first_token_s=receipt.first_token_s,
        first_visible_token_s=receipt.first_visible_token_s or receipt.first_token_s,
        total_s=receipt.total_s,
        tokens_per_s=receipt.tokens_per_s,
        cost_microusd=receipt.cost_microusd,
        price_version=receipt.price_version,
        test_model=receipt.test_model,
        numerics_changed_at_token=receipt.numerics_changed_at_token,
        notes=receipt.notes,
    )


def write_failed(
    failure: Failure, receipt: Receipt, coordinator_id: str
) -> inference.GenerationFailed:
    error = error_of(failure)
    return inference.GenerationFailed(
        code=failure.code,
        message=failure.message,
        hint=failure.hint,
        retryable=error.retryable,
        retry_after_ms=_milliseconds(failure.retry_after_s),
        receipt=write_receipt(receipt, coordinator_id),
    )


def _milliseconds(seconds: float) -> int:
    return ceil(1000 * seconds) if 0 < seconds < RETRY_AFTER_S_MAX else 0


def write_rung(rung: RungAccount) -> inference.Rung:
    return inference.Rung(
        model_id=rung.model_id,
        model_name=rung.model_name,
        p_ok=rung.p_ok,
        confidence=rung.confidence,
        threshold=rung.threshold,
        expected_cost_microusd=rung.expected_cost_microusd,
        removed_by=rung.removed_by,
        chosen=rung.chosen,
        standing=rung.standing,
    )


def _attempt(attempt: AttemptAccount) -> inference.Attempt:
    return inference.Attempt(
        attempt_id=attempt.attempt_id,
        node_id=attempt.node_id,
        node_name=attempt.node_name,
        model_id=attempt.model_id,
        model_name=attempt.model_name,
        outcome=attempt.outcome,
        reason=attempt.reason,
        predicted_first_token_s=attempt.predicted_first_token_s,
        first_token_s=attempt.first_token_s,
        duration_s=attempt.duration_s,
        usage=write_usage(attempt.usage),
        numerics=attempt.numerics,
        cost_microusd=attempt.cost_microusd,
        hedge=attempt.hedge,
        accepted_s=attempt.accepted_s,
        tier=enums.write(enums.TIER, attempt.tier),
        engine=attempt.engine,
    )


def _candidate(candidate: Candidate) -> inference.CandidateView:
    return inference.CandidateView(
        node_id=candidate.node_id,
        node_name=candidate.node_name,
        model_id=candidate.model_id,
        model_name=candidate.model_name,
        predicted_first_token_s=candidate.first_token_s,
        predicted_completion_s=candidate.completion_s,
        cost=candidate.cost,
        reason=candidate.reason,
    )
