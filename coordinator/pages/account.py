"""Where today's requests were answered, and what that cost and saved, as the page shows it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from coordinator.ledger.today import Today
from mesh.core.types import Tier, Usage

PLACES_SHOWN_MAX = 6  # the largest; the others are summed up
FAILURES_SHOWN_MAX = 4
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
    """What was asked today (UTC's day), and where it was answered."""

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


def of_day(day: Today, baseline: Baseline | None) -> Account:
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
        day.requests,
        day.answered,
        day.cost_microusd,
        _tiers(places),
        _largest(places),
        tuple(failures[:FAILURES_SHOWN_MAX]),
        saved_microusd(baseline, day.own.prompt_tokens, day.own.completion_tokens),
        baseline.model if baseline else "",
    )


def saved_microusd(
    baseline: Baseline | None, prompt_tokens: int, completion_tokens: int
) -> int | None:
    """Return what the mesh's own answers would have cost, by the baseline's price.

    What the cloud answered saved nothing, and a test model's answers would not have been paid for.
    Energy is not in it: nobody measures it yet.
    """
    if baseline is None:
        return None
    return baseline.cost_microusd(
        Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    )


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
