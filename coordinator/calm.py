"""How calm this coordinator is, and so how long nodes gather tokens before they send them.

A relay in Python carries some 4,000 to 7,000 messages a second and core, and a 40-byte message
costs as much as one of 4 KB. So what saves work under load is fewer, larger messages: 25 ms while
calm, which nobody sees, up to 100 ms when the loop lags or many streams are open.
"""

import asyncio
from collections.abc import Callable

CALM_INTERVAL_MS = 25
BUSY_INTERVAL_MS = 100
BATCH_TOKENS_MAX = 16

SAMPLE_EVERY_S = 0.25
LAG_WEIGHT = 0.3  # of a new sample in the moving average: about a second of memory
LAG_BUSY_S = 0.020  # a loop that is late by this much is busy; 25 ms batches are then too small
# A relayed message costs 230 us with mTLS (measured; 180 of them are gRPC's write to the client).
STREAMS_CALM = 32  # at 30 tokens/s each these are 960 messages/s: a quarter of a core
STREAMS_BUSY = 192  # more than a core, unless batched


class Calm:
    """Watches the event loop's lateness while ``watch`` runs."""

    def __init__(self, streams: Callable[[], int]) -> None:
        """``streams`` returns how many answers are under way."""
        self._streams = streams
        self.lag_s = 0.0

    async def watch(self) -> None:
        """Ends only by cancellation."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + SAMPLE_EVERY_S
            await asyncio.sleep(SAMPLE_EVERY_S)
            late_s = max(0.0, loop.time() - due_s)
            self.lag_s += LAG_WEIGHT * (late_s - self.lag_s)

    @property
    def batch_interval_ms(self) -> int:
        """For an attempt that starts now."""
        return interval_ms(self._streams(), self.lag_s)


def interval_ms(streams: int, lag_s: float) -> int:
    """Stretch from calm to busy with whichever of the two is further on its way."""
    by_streams = (streams - STREAMS_CALM) / (STREAMS_BUSY - STREAMS_CALM)
    share = min(1.0, max(0.0, by_streams, lag_s / LAG_BUSY_S - 0.25))
    return round(CALM_INTERVAL_MS + share * (BUSY_INTERVAL_MS - CALM_INTERVAL_MS))
