"""The clients whose requests are open: each has a bounded transcript that it reads at its pace."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mesh.core.types import Failure, Request
from mesh.v1 import inference_pb2 as inference

# What a client may lag behind. At 40 messages a second (tokens are batched for 25 ms) that is more
# than a minute of not reading, at about 200 bytes each; and a node that sends huge texts fills
# megabytes, not our memory.
TRANSCRIPT_MAX = 4096
TRANSCRIPT_BYTES_MAX = 4 * 1024 * 1024


@dataclass(slots=True)
class ClientStream:
    """One open request: what was asked, and what is still to be written to the client."""

    features: Request
    request: inference.GenerateRequest
    on_overflow: Callable[[], None]  # called once, when the client lags too far behind
    told: inference.GenerateRequest | None = None  # what the machine got that answers it now
    failure: Failure | None = None
    ended: bool = False
    too_slow: bool = False
    _transcript_bytes: int = 0
    _transcript: deque[inference.GenerateEvent] = field(default_factory=deque)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, event: inference.GenerateEvent) -> None:
        size_bytes = event.ByteSize()
        full = self._transcript_bytes + size_bytes > TRANSCRIPT_BYTES_MAX
        if self.too_slow:
            return
        if full or len(self._transcript) >= TRANSCRIPT_MAX:
            self.too_slow = True
            self._transcript.clear()
            self.on_overflow()
        else:
            self._transcript.append(event)
            self._transcript_bytes += size_bytes
        self._changed.set()

    def finish(self, event: inference.GenerateEvent, failure: Failure | None = None) -> None:
        """Put the last event; with a failure, its status follows."""
        self._transcript.append(event)
        self.ended, self.failure = True, failure
        self._changed.set()

    async def next(self) -> inference.GenerateEvent | None:
        """Return the next event to write, or None once all is written or the client lags."""
        while not self._transcript and not self.too_slow:
            if self.ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        if self.too_slow:
            return None
        event = self._transcript.popleft()
        self._transcript_bytes -= event.ByteSize()
        return event
