"""How sure a model was of its answer, read from its sampler's candidates.

The mean log-probability of an answer can tell less than a coin (Gupta et al., ICLR 2024,
arXiv:2404.10136: long answers drown the few shaky tokens). So the shaky tokens are looked at:
quantiles, the lead of what was said over the best other candidate, and the share of weak tokens.
"""

from collections.abc import Sequence
from math import log, log1p

from mesh.core.signs import TokenSign

WEAK_BELOW = 0.5  # a token whose best candidate has less than half of the weight
SHAKY_BELOW = 0.9
QUANTILES = (0.0, 0.05, 0.1, 0.25, 0.5)
CHANCE_MIN = 1e-6  # keeps logarithms finite

CONFIDENCE_NAMES = (
    *(f"chance_quantile_{quantile:g}" for quantile in QUANTILES),
    "lead_quantile_0.05",
    "lead_quantile_0.1",
    "lead_quantile_0.5",
    "weak_share",
    "shaky_share",
    "first_chance",
    "last_chance",
    "spread_quantile_0.9",
    "length",
)


def confidence_features(tokens: Sequence[TokenSign]) -> tuple[float, ...]:
    """Return the features of an answer, in the order of ``CONFIDENCE_NAMES``; each about 0 to 10.

    Chances and leads are logits, so that 0.99 and 0.999 differ. An empty answer has the features of
    one that nobody could be less sure of.
    """
    if not tokens:
        return _of([0.0], [0.0], [log(2.0)])
    chances = [_chance(token) for token in tokens]
    leads = [_lead(token) for token in tokens]
    return _of(chances, leads, [_entropy_nats(token.top) for token in tokens])


def _of(chances: list[float], leads: list[float], spreads: list[float]) -> tuple[float, ...]:
    count = len(chances)
    low, near, wide = sorted(chances), sorted(leads), sorted(spreads)
    return (
        *(_logit(quantile(low, q)) for q in QUANTILES),
        *(_logit(quantile(near, q)) for q in (0.05, 0.1, 0.5)),
        sum(chance < WEAK_BELOW for chance in chances) / count,
        sum(chance < SHAKY_BELOW for chance in chances) / count,
        _logit(chances[0]),
        _logit(chances[-1]),
        quantile(wide, 0.9),
        log1p(count),
    )


def quantile(ascending: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of ``ascending`` lies, between neighbours by line."""
    place = share * (len(ascending) - 1)
    below = int(place)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (ascending[above] - ascending[below]) * (place - below)


def _chance(token: TokenSign) -> float:
    """Of the token that was said: drawn by chance, it need not be the likeliest."""
    return token.top[token.rank] if token.rank < len(token.top) else 0.0


def _lead(token: TokenSign) -> float:
    """Of the token that was said over the best other one; below 0 where another was likelier."""
    others = [share for rank, share in enumerate(token.top) if rank != token.rank]
    return _chance(token) - max(others, default=0.0)


def _entropy_nats(top: tuple[float, ...]) -> float:
    return -sum(chance * log(chance) for chance in top if chance > 0.0)


def _logit(chance: float) -> float:
    held = min(1.0 - CHANCE_MIN, max(CHANCE_MIN, chance))
    return log(held / (1.0 - held))
