"""How long to wait before a coordinator is dialled again. Pure: the randomness is passed in."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles from ``first_s`` to ``most_s``; each wait is drawn from the upper half of its span.

    The draw keeps a hundred nodes that lost one coordinator from dialling it in step ("equal
    jitter", Brooker, "Exponential Backoff and Jitter", 2015).
    """

    first_s: float
    most_s: float

    def wait_s(self, failures: int, rng: Random) -> float:
        """Return the wait after so many failures in a row, at least 1."""
        doublings = min(failures - 1, 32)  # 2**32 times any first wait is above any limit
        span_s = min(self.most_s, self.first_s * 2.0**doublings)
        return span_s * rng.uniform(0.5, 1.0)


# Out of reach: it may be back at any moment, and 100 nodes shall be back 10 s after it is.
UNREACHABLE = Backoff(first_s=0.2, most_s=2.0)
# It answered, and does not want us: only a person can change that.
REFUSED = Backoff(first_s=5.0, most_s=60.0)
# Only mDNS named it, and nobody of ours ever answered there: 64 of them are nine dials a second.
DOUBTFUL = Backoff(first_s=0.2, most_s=10.0)
