"""What the store takes in a second, what it adds to an answer, and how long reports take.

The ledger runs as it does in a coordinator: the event loop tells it of requests, and its thread
moves them into a new SQLite file. What it adds is the time in which the loop of a busy coordinator
comes to its next step, with the ledger told and without, in turn.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import text

from bench.result import Figures, percentile
from coordinator.ledger.database import writing
from coordinator.ledger.ledger import Ledger
from coordinator.ledger.reports import Reports
from coordinator.ledger.store import FILE
from mesh.core.receipt import AttemptAccount, Candidate, Receipt
from mesh.core.types import (
    AttemptId,
    ModelId,
    NodeId,
    Policy,
    Request,
    RequestKey,
    Tier,
    Usage,
)

SETTLED = 20_000
SETTLED_SHORT = 2_000
BURST = 200  # requests between two turns of the loop: more than a coordinator ends at once
STEPS = 5_000
STEPS_SHORT = 1_000
STEP_S = 0.002  # 500 requests a second
REPORTED = 1_000_000
REPORTS = 20
DAYS = 90

MODEL, NODE = ModelId("sha256:" + "a" * 64), NodeId("n" * 32)


async def measure(short: bool) -> Figures:
    """Measure all three, each in a folder of its own."""
    with TemporaryDirectory(prefix="deskmesh-bench-") as name:
        folder = Path(name)
        settles = await _settles_per_s(folder / "settles", SETTLED_SHORT if short else SETTLED)
        added = await _added_ms_p99(folder / "added", STEPS_SHORT if short else STEPS)
        report = await _report_ms(folder / "report")
    return {
        "sqlite_settles_per_s": settles,
        "postgresql_settles_per_s": None,  # the store knows SQLite alone, yet
        "added_ms_p99": added,
        "report_ms_1m": report,
    }


async def _settles_per_s(folder: Path, count: int) -> float:
    """Return requests a second, from their arrival to their terminal row in the file."""
    ledger = Ledger(folder, keep_days=DAYS)
    async with ledger.running():
        print(f"settling {count} requests", flush=True)
        began_s = time.perf_counter()
        for number in range(count):
            _tell(ledger, number)
            if number % BURST == 0:
                await asyncio.sleep(0)
        while ledger.rows_waiting:  # noqa: ASYNC110 - its thread sets no event of ours
            await asyncio.sleep(0.01)
        return count / (time.perf_counter() - began_s)


async def _added_ms_p99(folder: Path, steps: int) -> float:
    """Return by how much later the loop is done with a step that also tells the ledger."""
    ledger = Ledger(folder, keep_days=DAYS)
    told: list[float] = []
    alone: list[float] = []
    async with ledger.running():
        print(
            f"{steps} requests, {1 / STEP_S:.0f} a second, with the ledger and without", flush=True
        )
        for turn in range(10):
            for number in range(steps // 10):
                told.append(await _step_ms(partial(_tell, ledger, turn * steps + number)))
            while ledger.rows_waiting:  # noqa: ASYNC110 - its thread sets no event of ours
                await asyncio.sleep(0.01)
            for _ in range(steps // 10):
                alone.append(await _step_ms(lambda: None))
    return percentile(told, 99) - percentile(alone, 99)


async def _step_ms(step: Callable[[], None]) -> float:
    """Take a step when its time has come; return how long after that moment it is done."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[float] = loop.create_future()
    due_s = loop.time() + STEP_S

    def take() -> None:
        step()
        done.set_result((loop.time() - due_s) * 1000)

    loop.call_at(due_s, take)
    return await done


async def _report_ms(folder: Path) -> float:
    """Return the median time of the slowest kind of report over a million rows."""
    ledger = Ledger(folder, keep_days=DAYS)
    async with ledger.running():
        _tell(ledger, 0)
    print(f"reporting on {REPORTED:,} requests", flush=True)
    _fill(folder)
    reports = Reports(folder)
    since_s = time.time() - 30 * 86_400
    kinds: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: reports.totals(0.0),
        lambda: reports.totals(since_s),
        lambda: reports.requests(limit=50),
        lambda: reports.requests(since_s=since_s, state="failed", limit=1000),
    )
    return max([percentile([await _timed_ms(kind) for _ in range(REPORTS)], 50) for kind in kinds])


async def _timed_ms(report: Callable[[], Awaitable[object]]) -> float:
    began_s = time.perf_counter()
    await report()
    return (time.perf_counter() - began_s) * 1000


def _fill(folder: Path) -> None:
    """Copy the one row until there are a million, over 90 days, and add them up by the hour."""
    spread_us = DAYS * 86_400 * 1_000_000 // REPORTED
    engine = writing(folder / FILE)
    with engine.begin() as connection:
        names = [row.name for row in connection.execute(text("PRAGMA table_info(requests)"))]
        new = {
            "id": "n + 1",
            "arrived_us": f"arrived_us - n * {spread_us}",
            "request_id": "'r' || n",
            "state": "CASE n % 50 WHEN 0 THEN 'failed' ELSE 'answered' END",
            "place": "'desk-' || (n % 20)",
        }
        columns = ", ".join(new.get(name, name) for name in names)
        connection.execute(
            text(
                "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers "
                f"WHERE n < {REPORTED - 1}) INSERT INTO requests SELECT {columns} FROM numbers, "
                "(SELECT * FROM requests LIMIT 1)"
            )
        )
        connection.execute(
            text(
                "INSERT OR REPLACE INTO rollups SELECT arrived_us / 3600000000 * 3600, state, "
                "failure, place, served_model, tier, count(*), sum(prompt_tokens), "
                "sum(cached_tokens), sum(completion_tokens), sum(cost_microusd) FROM requests "
                "GROUP BY 1, 2, 3, 4, 5, 6"
            )
        )
    engine.dispose()


def _tell(ledger: Ledger, number: int) -> None:
    """Let one request come and be answered, as the relay tells it."""
    key = RequestKey("a" * 64, f"{number:032x}")
    request = Request(key, "auto", Tier.MESH, Policy.BALANCED, 2000, 512, deadline_s=0.0)
    ledger.request_arrived(request)
    ledger.request_ended(request, _receipt(request), None)


def _receipt(request: Request) -> Receipt:
    attempt = AttemptAccount(
        attempt_id=AttemptId(1),
        node_id=NODE,
        node_name="desk",
        model_id=MODEL,
        model_name="qwen2.5-1.5b",
        outcome="answered",
        reason="",
        predicted_first_token_s=0.1,
        first_token_s=0.1,
        duration_s=2.0,
        usage=Usage(500, 200, 100),
        numerics="n" * 64,
        tier=Tier.MESH,
    )
    candidates = tuple(
        Candidate(NODE, f"desk-{each}", MODEL, "qwen2.5-1.5b", 0.1, 2.0, 0.3, free=True)
        for each in range(4)
    )
    return Receipt(
        key=request.key,
        asked_model="auto",
        tier=Tier.MESH,
        policy=request.policy,
        attempts=(attempt,),
        candidates=candidates,
        ruled_out=(),
        why="predicted to answer first of 4",
        queued_s=0.0,
        first_token_s=0.1,
        total_s=2.0,
        tokens_per_s=50.0,
        test_model=False,
    )
