"""Where requests were answered, and what that cost and saved: of today, or since the start.

``Account`` is what the page shows. ``SinceStart`` counts for itself, from what ``Relay`` tells its
watchers; ``of_day`` takes it from a ledger, which remembers more than one process does.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from mesh.core.actions import SendStarted
from mesh.core.receipt import Receipt
from mesh.core.types import Failure, Request, Tier, Usage

PLACES_SHOWN_MAX = 6  # the largest; the others are summed up
FAILURES_SHOWN_MAX = 4
PLACES_MAX = 4096  # counted by name, as many as a mesh has nodes; others are summed up
OTHERS = "others"
TIERS = (Tier.DEVICE, Tier.MESH, Tier.CLOUD)


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the whole one place, or all places of one tier, have."""

    name: str
    tier: Tier | None  # None: of several
    requests: int
    tokens: int
    cost_microusd: int


@dataclass(frozen=True, slots=True)
class Account:
    """What was asked in one stretch of time, and where it was answered."""

    period: str  # "Today", "Since start"
    requests: int  # that have ended
    answered: int
    cost_microusd: int
    tiers: tuple[Share, ...]  # one each, in order
    places: tuple[Share, ...]  # the largest first, the last one may be ``OTHERS``
    failures: tuple[tuple[str, int], ...]  # by the code of the error, the most frequent first
    saved_microusd: int | None = None  # None: nothing to compare with
    saved_against: str = ""  # the model whose price is compared with


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the mesh's own answers would have cost elsewhere."""

    model: str
    cost_microusd: Callable[[Usage], int]


class LedgerSums(Protocol):
    """Of the requests of a ``LedgerShare``."""

    @property
    def requests(self) -> int: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...
    @property
    def cost_microusd(self) -> int: ...


class LedgerShare(Protocol):
    """One line of a ledger's report."""

    @property
    def name(self) -> str: ...
    @property
    def tier(self) -> int: ...
    @property
    def sums(self) -> LedgerSums: ...


class LedgerDay(Protocol):
    """A ledger's totals of one day."""

    @property
    def requests(self) -> int: ...
    @property
    def answered(self) -> int: ...
    @property
    def cost_microusd(self) -> int: ...
    def places(self) -> Sequence[LedgerShare]: ...
    def failures(self) -> Sequence[LedgerShare]: ...


def of_day(day: LedgerDay) -> Account:
    """Return what a ledger counted today."""
    places = [
        Share(
            each.name,
            _tier(each.tier),
            each.sums.requests,
            each.sums.prompt_tokens + each.sums.completion_tokens,
            each.sums.cost_microusd,
        )
        for each in day.places()
    ]
    failures = [(each.name, each.sums.requests) for each in day.failures()]
    return Account(
        "Today",
        day.requests,
        day.answered,
        day.cost_microusd,
        _tiers(places),
        _largest(places),
        tuple(failures[:FAILURES_SHOWN_MAX]),
    )


@dataclass(slots=True)
class SinceStart:
    """Counts requests as they end. A ``Watcher``."""

    baseline: Baseline | None = None
    _answered: dict[tuple[str, Tier], list[int]] = field(default_factory=dict)
    _failed: dict[str, int] = field(default_factory=dict)  # bounded: codes are an enumeration
    _cost_microusd: int = 0
    _own_prompt_tokens: int = 0  # answered by machines of the mesh, test models apart
    _own_completion_tokens: int = 0

    def request_arrived(self, request: Request) -> None:
        """It counts when it ends."""

    def request_started(self, started: SendStarted) -> None:
        """It counts when it ends."""

    def request_ended(self, request: Request, receipt: Receipt, failure: Failure | None) -> None:
        self._cost_microusd += receipt.cost_microusd
        if failure is not None:
            self._failed[failure.code] = self._failed.get(failure.code, 0) + 1
            return
        usages = [attempt.usage for attempt in receipt.attempts]
        prompt_tokens = sum(usage.prompt_tokens for usage in usages)
        completion_tokens = sum(usage.completion_tokens for usage in usages)
        sums = self._place(receipt)
        sums[0] += 1
        sums[1] += prompt_tokens + completion_tokens
        sums[2] += receipt.cost_microusd
        if receipt.tier is not Tier.CLOUD and not receipt.test_model:
            self._own_prompt_tokens += prompt_tokens
            self._own_completion_tokens += completion_tokens

    def account(self) -> Account:
        places = [Share(name, tier, *sums) for (name, tier), sums in self._answered.items()]
        answered = sum(share.requests for share in places)
        failures = sorted(self._failed.items(), key=lambda each: (-each[1], each[0]))
        return Account(
            "Since start",
            answered + sum(self._failed.values()),
            answered,
            self._cost_microusd,
            _tiers(places),
            _largest(places),
            tuple(failures[:FAILURES_SHOWN_MAX]),
            self._saved_microusd(),
            self.baseline.model if self.baseline else "",
        )

    def _place(self, receipt: Receipt) -> list[int]:
        key = (receipt.attempts[-1].node_name, receipt.tier)
        if key not in self._answered and len(self._answered) >= PLACES_MAX:
            key = (OTHERS, receipt.tier)
        return self._answered.setdefault(key, [0, 0, 0])

    def _saved_microusd(self) -> int | None:
        """Return what machines of the mesh answered, by the baseline's price.

        What the cloud answered saved nothing, and a test model's answers would not have been paid
        for. Energy is not in it: nobody measures it yet.
        """
        if self.baseline is None:
            return None
        usage = Usage(
            prompt_tokens=self._own_prompt_tokens, completion_tokens=self._own_completion_tokens
        )
        return self.baseline.cost_microusd(usage)


def _tiers(places: Iterable[Share]) -> tuple[Share, ...]:
    every = list(places)
    return tuple(
        _summed(tier.name.lower(), tier, (each for each in every if each.tier is tier))
        for tier in TIERS
    )


def _largest(places: Iterable[Share]) -> tuple[Share, ...]:
    ordered = sorted(places, key=lambda each: (each.name == OTHERS, -each.requests, each.name))
    if len(ordered) <= PLACES_SHOWN_MAX:
        return tuple(ordered)
    shown, others = ordered[: PLACES_SHOWN_MAX - 1], islice(ordered, PLACES_SHOWN_MAX - 1, None)
    return (*shown, _summed(OTHERS, None, others))


def _summed(name: str, tier: Tier | None, shares: Iterable[Share]) -> Share:
    requests = tokens = cost_microusd = 0
    for share in shares:
        requests += share.requests
        tokens += share.tokens
        cost_microusd += share.cost_microusd
    return Share(name, tier, requests, tokens, cost_microusd)


def _tier(number: int) -> Tier:
    """An unknown tier counts to the mesh: whatever was answered was answered here."""
    return Tier(number) if number in (1, 2, 3) else Tier.MESH
