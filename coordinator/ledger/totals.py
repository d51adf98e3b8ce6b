"""Sums of terminal rows, by what reports ask for: kept by the hour beside the rows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coordinator.ledger.records import Row
from mesh.core.types import Tier

HOUR_S = 3600
DAY_S = 24 * HOUR_S
HOURS_KEPT_DAYS = 35  # "since last month" by the hour; what is older counts by the day


@dataclass(frozen=True, slots=True)
class Group:
    """What is summed up together."""

    state: str  # "answered", "failed", "cancelled" or "lost"
    failure: str  # code of the error; "" if answered
    place: str  # node or upstream of the last attempt; "" without one
    model: str  # that it had
    tier: int  # that the prompts did travel; 0: unknown
    test_model: int  # 1: nobody would have paid for such an answer


@dataclass(frozen=True, slots=True)
class Sums:
    """Of the requests of a group."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0  # a part of prompt_tokens
    completion_tokens: int = 0
    cost_microusd: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost_microusd + other.cost_microusd,
        )


Totals = dict[Group, Sums]


def group_of(row: Row) -> Group:
    """Return where a terminal row belongs. A machine has a share in what it worked on."""
    return Group(
        row["state"],
        row["failure"],
        row["place"],
        row["served_model"],
        row["tier"],
        row["test_model"],
    )


def sums_of(row: Row) -> Sums:
    return Sums(
        1,
        row["prompt_tokens"],
        row["cached_tokens"],
        row["completion_tokens"],
        row["cost_microusd"],
    )


def hour_of(arrived_us: int) -> int:
    """Return the hour (Unix time, UTC) to which a request counts: that of its arrival."""
    arrived_s = arrived_us // 1_000_000
    return arrived_s - arrived_s % HOUR_S


def day_of(now_s: float) -> int:
    """Return the beginning (Unix time) of the day by which the ledger counts: UTC's."""
    return int(now_s - now_s % DAY_S)


def added(totals: Totals, more: Mapping[Group, Sums] | Iterable[tuple[Group, Sums]]) -> Totals:
    """Return ``totals`` with ``more`` in them; ``totals`` is changed."""
    for group, sums in more.items() if isinstance(more, Mapping) else more:
        totals[group] = totals[group] + sums if group in totals else sums
    return totals


@dataclass(frozen=True, slots=True)
class Share:
    """One line of a report: a place or a model, and how much of the whole it has."""

    name: str
    tier: int
    sums: Sums


def shares(totals: Mapping[Group, Sums], by: str) -> list[Share]:
    """Return answered requests by ``"place"`` or ``"model"``, the largest share first."""
    found: dict[tuple[str, int], Sums] = {}
    for group, sums in totals.items():
        if group.state == "answered":
            key = (group.place if by == "place" else group.model, group.tier)
            found[key] = found.get(key, Sums()) + sums
    return _largest_first(found)


def failures(totals: Mapping[Group, Sums]) -> list[Share]:
    """Return what was not answered by the code of its error, the most frequent first."""
    found: dict[tuple[str, int], Sums] = {}
    for group, sums in totals.items():
        if group.state != "answered":
            key = (group.failure or group.state, 0)
            found[key] = found.get(key, Sums()) + sums
    return _largest_first(found)


def of_state(totals: Mapping[Group, Sums], *states: str) -> Sums:
    """Return the sum over all groups in one of ``states``, or over all of them."""
    wanted = (sums for group, sums in totals.items() if not states or group.state in states)
    return sum(wanted, start=Sums())


def own(totals: Mapping[Group, Sums]) -> Sums:
    """Return the sum of what machines of the mesh answered, test models apart."""
    wanted = (
        sums
        for group, sums in totals.items()
        if group.state == "answered" and group.tier != Tier.CLOUD and not group.test_model
    )
    return sum(wanted, start=Sums())


def _largest_first(found: Mapping[tuple[str, int], Sums]) -> list[Share]:
    listed = [Share(name, tier, sums) for (name, tier), sums in found.items()]
    return sorted(listed, key=lambda share: (-share.sums.requests, share.name, share.tier))
