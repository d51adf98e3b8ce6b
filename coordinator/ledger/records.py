"""What the journal says of a request: one record when it is opened, one when it is closed.

Each carries the columns of its row, so that moving it into the store is no translation. Words that
a node said are left out: they may hold what its model's template said of a prompt.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from coordinator.ledger.ladders import write_ladder
from mesh.core.receipt import AttemptAccount, Receipt
from mesh.core.types import CLOUD_NODE, Failure, FailureCode, Request, RequestKey

# Columns, by name; values are int or str. What a record of another version lacks or has beyond
# those of the tables is filled or dropped where it is applied.
Row = dict[str, Any]

CANDIDATES_KEPT_MAX = 8  # who else could have answered; the whole list is on the client's receipt
RULED_OUT_KEPT_MAX = 8
WORDS_MAX = 500  # of a sentence of ours, as in every error
RECORD_BYTES_MAX = 60 * 1024  # twenty times the largest usual one; the reader's chunk holds it

_encode = json.JSONEncoder(separators=(",", ":")).encode  # ASCII: no line break, no surrogate


@dataclass(frozen=True, slots=True)
class Opened:
    """A request entered the fleet."""

    row: Row


@dataclass(frozen=True, slots=True)
class Closed:
    """A request ended. Complete by itself: it needs no ``Opened`` before it."""

    row: Row
    attempts: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Somebody said how good an answer was; in place of what was said before in this way."""

    row: Row


@dataclass(frozen=True, slots=True)
class Became:
    """Somebody said what became of a task."""

    row: Row


Record = Opened | Closed | Labelled | Became


def opened_row(request: Request, arrived_us: int) -> Row:
    """Return the features that routing sees, and who asked when (Unix time)."""
    return {
        "arrived_us": arrived_us,
        "principal": request.key.principal,
        "request_id": request.key.request_id,
        "asked_model": request.model,
        "tier_allowed": int(request.tier),
        "policy": str(request.policy),
        "session": request.session,
        "prompt_bytes": request.prompt_bytes,
        "max_tokens": request.max_tokens,
        "needs": ",".join(sorted(request.needs)),
        "on_coordinator_host": int(request.from_coordinator_host),
        "initiator": request.origin.initiator,
        "team": request.origin.team,
        "task": request.origin.task,
        "tags": ",".join(request.origin.tags),
        "task_class": request.assessment.task_class,
        "domain": request.assessment.domain,
    }


def closed_row(
    request: Request, receipt: Receipt, failure: Failure | None, *, arrived_us: int
) -> Row:
    """Return the terminal row of a request."""
    last = receipt.attempts[-1] if receipt.attempts else None
    return {
        **opened_row(request, arrived_us),
        "state": state_of(failure),
        "failure": "" if failure is None else str(failure.code),
        "served_model": last.model_name if last else "",
        "served_model_id": last.model_id if last else "",
        "place": last.node_name if last else "",
        "place_id": last.node_id if last else "",
        "tier": int(receipt.tier),
        "prompt_tokens": last.usage.prompt_tokens if last else 0,
        "cached_tokens": last.usage.cached_tokens if last else 0,
        "completion_tokens": last.usage.completion_tokens if last else 0,
        "reasoning_tokens": last.usage.reasoning_tokens if last else 0,
        "usage_source": _usage_source(last) if last else "",
        "attempts": len(receipt.attempts),
        "queued_us": _us(receipt.queued_s),
        "first_token_us": _us(receipt.first_token_s),
        "total_us": _us(receipt.total_s),
        "cost_microusd": receipt.cost_microusd,
        "price_version": receipt.price_version[:WORDS_MAX],
        "test_model": int(receipt.test_model),
        "why": ours(receipt.why, receipt),
        "receipt": _encode(_rest_of(receipt)),
        "ladder": write_ladder(receipt.ladder),
    }


def attempt_rows(receipt: Receipt) -> list[Row]:
    """Return one row for each attempt of a request, in their order."""
    return [_attempt_row(attempt, number) for number, attempt in enumerate(receipt.attempts)]


def state_of(failure: Failure | None) -> str:
    if failure is None:
        return "answered"
    return "cancelled" if failure.code is FailureCode.CANCELLED else "failed"


def key_of(row: Row) -> tuple[int, RequestKey]:
    """A request's identity in the ledger: an id may be used again once its request has ended."""
    return row["arrived_us"], RequestKey(row["principal"], row["request_id"])


def write_opened(row: Row) -> bytes:
    return _encode({"opened": row}).encode()


def write_closed(row: Row, attempts: list[Row]) -> bytes:
    """Write a closed record, without its receipt's particulars if it would be too large."""
    written = _encode({"closed": row, "attempts": attempts}).encode()
    if len(written) <= RECORD_BYTES_MAX:
        return written
    slim = {**row, "receipt": "", "ladder": "", "why": "", "session": "", "tags": ""}
    return _encode({"closed": slim, "attempts": attempts[-1:]}).encode()


def write_labelled(row: Row) -> bytes:
    return _encode({"labelled": row}).encode()


def write_became(row: Row) -> bytes:
    return _encode({"became": row}).encode()


def read_record(line: bytes) -> Record | None:
    """Return the record that was written as ``line``; None for one that a later version wrote.

    Raises:
        ValueError: it is not what this or a later version writes.
    """
    read = json.loads(line)
    try:
        if "closed" in read:
            key_of(read["closed"])
            return Closed(read["closed"], list(read["attempts"]))
        if "opened" in read:
            key_of(read["opened"])
            return Opened(read["opened"])
        if "labelled" in read:
            key_of(read["labelled"])
            return Labelled(read["labelled"])
        if "became" in read:
            return Became({**read["became"], "task": str(read["became"]["task"])})
    except (TypeError, KeyError):
        raise ValueError("the record has not the form of a record") from None
    return None


def _attempt_row(attempt: AttemptAccount, number: int) -> Row:
    return {
        "number": number,
        "attempt_id": attempt.attempt_id,
        "place": attempt.node_name,
        "place_id": attempt.node_id,
        "model": attempt.model_name,
        "model_id": attempt.model_id,
        "outcome": attempt.outcome,
        "tier": int(attempt.tier),
        "prompt_tokens": attempt.usage.prompt_tokens,
        "cached_tokens": attempt.usage.cached_tokens,
        "completion_tokens": attempt.usage.completion_tokens,
        "reasoning_tokens": attempt.usage.reasoning_tokens,
        "usage_source": _usage_source(attempt),
        "predicted_first_token_us": _us(attempt.predicted_first_token_s),
        "first_token_us": _us(attempt.first_token_s),
        "duration_us": _us(attempt.duration_s),
        "numerics": attempt.numerics[:WORDS_MAX],
        "cost_microusd": attempt.cost_microusd,
        "price_version": attempt.price_version[:WORDS_MAX],
    }


def _usage_source(attempt: AttemptAccount) -> str:
    """Who counted: whoever answered, or this coordinator where nobody told it."""
    if attempt.outcome != "answered" or attempt.usage.estimated:
        return "coordinator"
    return "upstream" if attempt.node_id == CLOUD_NODE else "node"


def _rest_of(receipt: Receipt) -> Row:
    """What of a receipt has no column."""
    return {
        "tokens_per_s": round(receipt.tokens_per_s, 3),
        "candidates": [
            {
                "place": each.node_name,
                "model": each.model_name,
                "first_token_s": round(each.first_token_s, 6),
                "completion_s": round(each.completion_s, 6),
                "cost": round(each.cost, 6),
            }
            for each in receipt.candidates[:CANDIDATES_KEPT_MAX]
        ],
        "ruled_out": [
            {"place": each.node_name, "reason": ours(each.reason, receipt)}
            for each in receipt.ruled_out[:RULED_OUT_KEPT_MAX]
        ],
        "notes": [ours(note, receipt) for note in receipt.notes[:RULED_OUT_KEPT_MAX]],
    }


def ours(text: str, receipt: Receipt) -> str:
    """Return a sentence of ours, with the code instead of the words that a node failed with."""
    for reason, outcome in _told_by_nodes(receipt.attempts):
        text = text.replace(reason, outcome)
    return text[:WORDS_MAX]


def _told_by_nodes(attempts: Iterable[AttemptAccount]) -> Iterable[tuple[str, str]]:
    told = {attempt.reason: attempt.outcome for attempt in attempts if attempt.reason}
    return sorted(told.items(), key=lambda pair: -len(pair[0]))  # a part of another comes later


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)
