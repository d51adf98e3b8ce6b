"""How bad a share may really be, when only so many were counted: Clopper and Pearson's bound."""

from math import exp, lgamma, log, log1p

HALVINGS = 60  # of [0, 1]: exact to the last bit that matters
TERMS_MAX = 300  # of the continued fraction; it converges within sqrt(trials) or so
ENOUGH = 1e-14


def share_at_most(events: int, trials: int, *, confidence: float) -> float:
    """Return the share that the true one exceeds with a chance of at most ``1 - confidence``.

    Source: Clopper and Pearson, Biometrika 26 (1934): the quantile ``confidence`` of
    Beta(events + 1, trials - events).

    Raises:
        ValueError: more events than trials, or a confidence that is none.
    """
    if not 0 <= events <= trials or not 0 < confidence < 1:
        raise ValueError("need 0 <= events <= trials and 0 < confidence < 1")
    if events == trials:
        return 1.0  # also where nothing was tried: nothing is known
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        if beta_below(middle, events + 1.0, float(trials - events)) < confidence:
            low = middle
        else:
            high = middle
    return high


def beta_below(x: float, a: float, b: float) -> float:
    """Return the chance that a Beta(a, b) variable is at most ``x``.

    Source: the continued fraction of DLMF 8.17.22, evaluated by Lentz's method.
    """
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast on the other side only
        return 1.0 - beta_below(1.0 - x, b, a)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    return front * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d or tiny)
    value = d
    for m in range(1, TERMS_MAX):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / ((1.0 + numerator * d) or tiny)
            c = (1.0 + numerator / c) or tiny
            value *= c * d
        if abs(c * d - 1.0) < ENOUGH:
            break
    return value
