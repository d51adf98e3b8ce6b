"""Requests that a test makes up, told to a ledger as the relay tells them; and the store, read."""

import asyncio
import itertools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coordinator.ledger.ledger import Ledger
from mesh.core.receipt import AttemptAccount, Candidate, Receipt, RuledOut
from mesh.core.types import (
    AttemptId,
    Failure,
    FailureCode,
    ModelId,
    NodeId,
    Policy,
    Request,
    RequestKey,
    Tier,
    Usage,
)

WITHIN_S = 10.0  # far longer than anything here takes; a test that hangs fails
NOON_S = 1_700_000_000 // 86_400 * 86_400 + 43_200  # a noon, so that no test runs over midnight

_numbers = itertools.count(1)


class Clock:
    """Unix time that moves only when told to."""

    def __init__(self, now_s: float = NOON_S) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def a_request(request_id: str = "", **fields: Any) -> Request:
    key = RequestKey("ann", request_id or f"r{next(_numbers)}")
    given = {
        "model": "auto",
        "tier": Tier.MESH,
        "policy": Policy.BALANCED,
        "prompt_bytes": 100,
        "max_tokens": 16,
        "deadline_s": 0.0,
        **fields,
    }
    return Request(key=key, **given)


def an_attempt(outcome: str = "answered", **fields: Any) -> AttemptAccount:
    given = {
        "attempt_id": AttemptId(next(_numbers)),
        "node_id": NodeId("n1"),
        "node_name": "desk",
        "model_id": ModelId("sha256:a"),
        "model_name": "qwen",
        "reason": "",
        "predicted_first_token_s": 0.1,
        "first_token_s": 0.2,
        "duration_s": 1.0,
        "usage": Usage(10, 4, 5),
        "numerics": "n",
        "tier": Tier.MESH,
        **fields,
    }
    return AttemptAccount(outcome=outcome, **given)


def a_receipt(request: Request, *attempts: AttemptAccount, **fields: Any) -> Receipt:
    given = {
        "tier": max((each.tier for each in attempts), default=request.tier),
        "candidates": (a_candidate(),),
        "ruled_out": (RuledOut(NodeId("n2"), "laptop", "has no such model"),),
        "why": "the only one",
        "queued_s": 0.01,
        "first_token_s": 0.25,
        "total_s": 1.25,
        "tokens_per_s": 20.0,
        "test_model": False,
        "cost_microusd": sum(each.cost_microusd for each in attempts),
        "price_version": next((e.price_version for e in attempts if e.price_version), ""),
        **fields,
    }
    return Receipt(
        key=request.key,
        asked_model=request.model,
        policy=request.policy,
        attempts=attempts,
        **given,
    )


def a_candidate() -> Candidate:
    model = ModelId("sha256:a")
    return Candidate(NodeId("n1"), "desk", model, "qwen", 0.1, 0.5, 0.3, free=True)


def answer(ledger: Ledger, request: Request | None = None, **fields: Any) -> Request:
    """Let a request come and be answered."""
    asked = request or a_request()
    ledger.request_arrived(asked)
    ledger.request_ended(asked, a_receipt(asked, an_attempt(), **fields), None)
    return asked


def fail(ledger: Ledger, code: FailureCode = FailureCode.NO_CAPABLE_NODE) -> Request:
    """Let a request come and fail before anybody tries it."""
    asked = a_request()
    ledger.request_arrived(asked)
    ledger.request_ended(asked, a_receipt(asked), Failure(code, "no"))
    return asked


def rows(folder: Path, query: str = "SELECT * FROM requests ORDER BY id") -> list[dict[str, Any]]:
    """Read the store as it lies on the disk."""
    connection = sqlite3.connect(folder / "ledger.db" if folder.exists() else ":memory:")
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query)]
    finally:
        connection.close()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def bytes_of(folder: Path) -> bytes:
    """Return everything that lies in the folder."""
    return b"".join(path.read_bytes() for path in files(folder))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def states(folder: Path) -> dict[str, int]:
    """Return how many rows there are in each state; none where there is no store yet."""
    if not rows(folder, "SELECT name FROM sqlite_master WHERE name = 'requests'"):
        return {}
    counted = rows(folder, "SELECT state, count(*) AS rows FROM requests GROUP BY state")
    return {row["state"]: row["rows"] for row in counted}


async def until(fact: Callable[[], object]) -> None:
    """Wait for a fact about the writer's thread, which tells nobody when it comes about."""
    async with asyncio.timeout(WITHIN_S):
        while not fact():  # noqa: ASYNC110 - a thread of its own, which sets no event of ours
            await asyncio.sleep(0.005)


async def settled(ledger: Ledger) -> None:
    """Wait until every record is in the store."""
    await until(lambda: not ledger.rows_waiting)
