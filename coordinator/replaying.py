"""Decides recorded traffic anew under another policy, for whoever thinks of another."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from coordinator.ledger.judged import EndedRow, climbed_since
from coordinator.ledger.ladders import read_ladder
from coordinator.ledger.reports import Reports
from mesh.core.policies import Policy, in_words
from mesh.core.replay import Recorded, Replay, replay
from mesh.core.types import Tier
from mesh.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Replaying:
    """Reads the ledger, and asks the ladder again."""

    reports: Reports
    policies: Mapping[str, Policy]

    async def replay(self, policy: str, since_s: float) -> Replay:
        """Decide the answered requests since a moment (Unix time) anew.

        Raises:
            InvalidRequest: there is no such policy.
            Overloaded: the ledger cannot be read now.
        """
        chosen = self.policies.get(policy)
        if chosen is None:
            known = in_words(policy[:40], self.policies)
            raise InvalidRequest(f"policy {policy[:40]!r} is unknown", hint=known)
        since_us = int(since_s * 1_000_000)
        rows = await self.reports.read(lambda connection: climbed_since(connection, since_us))
        return await asyncio.to_thread(_decided, rows, chosen)


def _decided(rows: list[tuple[EndedRow, float | None]], policy: Policy) -> Replay:
    return replay((_recorded(row, score) for row, score in rows), policy)


def _recorded(row: EndedRow, score: float | None) -> Recorded:
    return Recorded(read_ladder(row.ladder), Tier(row.tier_allowed), row.cost_microusd, score)
