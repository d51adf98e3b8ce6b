"""What is read from the store: sums by the hour, and single rows, each bounded in size and time.

A report runs in a thread, on a connection of its own that changes nothing. Totals come from the
sums, so that a summary of a million requests takes as long as one of a hundred.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from coordinator.ledger.database import reading, words_of
from coordinator.ledger.folding import OPEN
from coordinator.ledger.store import FILE, totals_since
from coordinator.ledger.tables import REQUESTS
from coordinator.ledger.totals import DAY_S, HOUR_S, HOURS_KEPT_DAYS, Totals, day_of
from mesh.errors import InvalidRequest, Overloaded

WITHIN_S = 5.0  # half of what the command line waits for
AT_A_TIME = 2  # reports; each may keep a core busy
ROWS_MAX = 1000
ROWS_USUAL = 50
STATES = ("answered", "failed", "cancelled", "lost")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RequestRow:
    """What a list of requests shows of each."""

    principal: str
    request_id: str
    state: str
    failure: str
    arrived_us: int
    total_us: int
    asked_model: str
    served_model: str
    place: str
    tier: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    usage_source: str
    cost_microusd: int
    price_version: str
    attempts: int
    why: str


_COLUMNS = [REQUESTS.c[name] for name in RequestRow.__dataclass_fields__]


@dataclass(slots=True)
class Reports:
    """Reads the store in ``folder``."""

    folder: Path
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))

    async def totals(self, since_s: float) -> tuple[Totals, int]:
        """Return the sums since the hour that ``since_s`` is in, and when that hour began.

        Of what lies further back than ``HOURS_KEPT_DAYS``, days are all that is known.

        Raises:
            Overloaded: the store cannot be read now; says why.
        """
        merged = since_s < day_of(time.time()) - HOURS_KEPT_DAYS * DAY_S
        hour_s = int(since_s - since_s % (DAY_S if merged else HOUR_S))
        return await self.read(lambda connection: totals_since(connection, hour_s)), hour_s

    async def requests(
        self, *, since_s: float = 0.0, state: str = "", limit: int = 0
    ) -> list[RequestRow]:
        """Return terminal rows, the newest first.

        Args:
            state: one of ``STATES``; "": all.
            limit: at most ``ROWS_MAX``; 0: ``ROWS_USUAL``.

        Raises:
            InvalidRequest: ``state`` is unknown.
            Overloaded: the store cannot be read now; says why.
        """
        if state and state not in STATES:
            known = ", ".join(STATES)
            raise InvalidRequest(f"state {state[:40]!r} is unknown", hint=f"use {known}")
        in_state = REQUESTS.c.state == state if state else REQUESTS.c.state != OPEN
        query = (
            select(*_COLUMNS)
            .where(in_state, REQUESTS.c.arrived_us >= int(since_s * 1_000_000))
            .order_by(REQUESTS.c.arrived_us.desc())
            .limit(min(limit or ROWS_USUAL, ROWS_MAX))
        )
        return await self.read(
            lambda connection: [RequestRow(*row) for row in connection.execute(query)]
        )

    async def read(self, report: Callable[[Connection], T]) -> T:
        """Return what ``report`` finds in the store.

        Raises:
            Overloaded: it cannot be read now; says why.
        """

        def run() -> T:
            with reading(self.folder / FILE, within_s=WITHIN_S) as connection:
                return report(connection)

        async with self._turns:
            try:
                return await asyncio.to_thread(run)
            except DBAPIError as failure:
                raise Overloaded(
                    f"the ledger cannot be read now: {words_of(failure)}",
                    hint="requests are answered meanwhile; the coordinator's log says more",
                ) from None
