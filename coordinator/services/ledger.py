"""The calls of ``Operations`` that read the ledger."""

import math

from coordinator.ledger.ledger import Ledger
from coordinator.ledger.reports import Reports, RequestRow
from coordinator.ledger.totals import Share, Totals, failures, of_state, shares
from mesh.errors import InvalidRequest, Overloaded
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations

SHARES_MAX = 100  # of places and of models, each: what a person reads, and far below a message


class LedgerReports:
    """Answers of the ledger, as messages."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._reports = Reports(ledger.folder)

    async def summary(self, request: operations.LedgerSummaryRequest) -> operations.LedgerSummary:
        """Return the totals since a moment, or today's; today's also where the store is in trouble.

        Raises:
            InvalidRequest: the moment is none.
            Overloaded: the store cannot be read now, and more than today was asked for.
        """
        since_s = moment(request.since_s)
        today = self._ledger.today
        try:
            totals, began_s = await self._reports.totals(since_s or today.began_s)
        except Overloaded:
            if since_s and since_s < today.began_s:
                raise
            totals, began_s = today.totals, today.began_s
        return self._written(totals, began_s)

    async def requests(
        self, request: operations.LedgerRequestsRequest
    ) -> operations.LedgerRequestsResponse:
        """Return rows, the newest first.

        Raises:
            InvalidRequest: the moment or the state is none.
            Overloaded: the store cannot be read now.
        """
        rows = await self._reports.requests(
            since_s=moment(request.since_s), state=request.state, limit=request.limit
        )
        return operations.LedgerRequestsResponse(requests=[_request(row) for row in rows])

    def _written(self, totals: Totals, began_s: int) -> operations.LedgerSummary:
        every = of_state(totals)
        return operations.LedgerSummary(
            since_s=began_s,
            requests=every.requests,
            answered=of_state(totals, "answered").requests,
            failed=of_state(totals, "failed").requests,
            cancelled=of_state(totals, "cancelled").requests,
            lost=of_state(totals, "lost").requests,
            prompt_tokens=every.prompt_tokens,
            completion_tokens=every.completion_tokens,
            cost_microusd=every.cost_microusd,
            places=[_share(each) for each in shares(totals, "place")[:SHARES_MAX]],
            models=[_share(each) for each in shares(totals, "model")[:SHARES_MAX]],
            failures=[_share(each) for each in failures(totals)[:SHARES_MAX]],
            rows_waiting=self._ledger.rows_waiting,
            trouble=self._ledger.trouble,
            records_lost=self._ledger.records_lost,
        )


def moment(since_s: float) -> float:
    if not math.isfinite(since_s) or not 0 <= since_s < 1e11:  # some 3,000 years
        raise InvalidRequest("since_s is no Unix time", hint="use seconds since 1970")
    return since_s


def _share(share: Share) -> operations.LedgerShare:
    return operations.LedgerShare(
        name=share.name,
        tier=_tier(share.tier),
        requests=share.sums.requests,
        prompt_tokens=share.sums.prompt_tokens,
        completion_tokens=share.sums.completion_tokens,
        cost_microusd=share.sums.cost_microusd,
    )


def _request(row: RequestRow) -> operations.LedgerRequest:
    return operations.LedgerRequest(
        principal=row.principal,
        request_id=row.request_id,
        state=row.state,
        failure=row.failure,
        arrived_at_s=row.arrived_us / 1_000_000,
        total_s=row.total_us / 1_000_000,
        asked_model=row.asked_model,
        served_model=row.served_model,
        place=row.place,
        tier=_tier(row.tier),
        usage=inference.Usage(
            prompt_tokens=row.prompt_tokens,
            cached_tokens=row.cached_tokens,
            completion_tokens=row.completion_tokens,
            reasoning_tokens=row.reasoning_tokens,
            estimated=row.usage_source == "coordinator",
        ),
        cost_microusd=row.cost_microusd,
        attempts=row.attempts,
        why=row.why,
        price_version=row.price_version,
    )


def _tier(number: int) -> str:
    """Name a tier: the store keeps the numbers of the wire, which never change their meaning."""
    name: str = inference.Tier.Name(number)
    return name
