"""How long a download waits for an answer, and between two tries. Pure, but for the passed die."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random

RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})  # "later", in RFC 9110 and 6585


@dataclass(frozen=True, slots=True)
class Pace:
    """The limits of one download. All durations are in seconds."""

    connect_s: float = 15.0
    read_s: float = 30.0  # no byte for so long: the connection is dead (a slow one gives some)
    tries: int = 6  # in a row without progress; with the waits between, about a minute
    tries_offline: int = 2  # where no server was ever reached: nobody waits a minute to hear that
    wait_first_s: float = 1.0
    wait_most_s: float = 30.0
    retry_after_most_s: float = 120.0  # a server that wants longer is told to the person instead
    progress_bytes: int = 1 << 20  # less than this in one try is no progress: tries stay bounded
    checkpoint_s: float = 1.0  # so much of a download is lost when the power fails
    checkpoint_bytes: int = 64 << 20

    def wait_s(self, failures: int, die: Random) -> float:
        """Return the wait after so many failures in a row: doubled, with half of it by chance.

        Chance keeps machines that were cut off together from coming back together ("equal
        jitter", M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015).
        """
        full_s = min(self.wait_most_s, self.wait_first_s * 2.0 ** min(failures - 1, 16))
        return full_s * (0.5 + die.random() / 2)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return what ``Retry-After`` asks for, in seconds: a number or a date (RFC 9110, 10.2.3)."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        return float(said[:9])
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
