"""The control streams of attached nodes, as effects see them: something to put messages into."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from coordinator.pings import Pings
from mesh.core.types import Epoch, Failure, FailureCode, NodeId
from mesh.v1 import fleet_pb2 as fleet

# Commands are small and few (a start and perhaps a cancel for each attempt); a node that lets
# this many pile up has not read for a while, and 4,096 of up to 64 KiB are all we hold for it.
OUTBOX_MAX = 4096

NO_EPOCH = Epoch(0)  # not admitted yet; the fleet counts from 1


@dataclass(slots=True)
class NodeConnection:
    """One Attach stream. ``epoch`` is set when the fleet admits the node."""

    connection_id: int
    node_id: NodeId
    epoch: Epoch = NO_EPOCH
    closed: Failure | None = None
    pings: Pings = field(default_factory=Pings)
    _outbox: deque[fleet.CoordinatorMessage] = field(default_factory=deque)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, message: fleet.CoordinatorMessage) -> None:
        if self.closed is not None:
            return  # nobody will write it
        if len(self._outbox) >= OUTBOX_MAX:
            self.close(Failure(FailureCode.NODE_LOST, "the node does not read its commands"))
            return
        self._outbox.append(message)
        self._changed.set()

    def close(self, failure: Failure) -> None:
        """End the stream with this status; messages not yet written are dropped."""
        if self.closed is None:
            self.closed = failure
        self._outbox.clear()
        self._changed.set()
        self._closing.set()

    async def wait_closed(self) -> None:
        await self._closing.wait()

    async def next(self) -> fleet.CoordinatorMessage | None:
        """Return the next message to write, or None once the connection is closed."""
        while not self._outbox and self.closed is None:
            self._changed.clear()
            await self._changed.wait()
        return None if self.closed is not None else self._outbox.popleft()
