"""The sending side of one answer: messages in order, tokens gathered as the coordinator asked.

One task writes, so the engine's next token is never behind a write, and what it says while a
message is on its way is there when the next one may go.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import grpc

from mesh.core.generation import Delta
from mesh.v1 import fleet_pb2 as fleet
from mesh.wire.answers import DELTA_CHARACTERS_MAX, write_delta
from node_agent.gathering import Gathering

# A coordinator always drains, so more than this waits only while the network is stuck: 256 tokens
# are seconds of an answer and a few kilobytes. Beyond them the engine waits.
TOKENS_WAITING_MAX = 256

DeliverCall = grpc.aio.StreamStreamCall[fleet.DeliverUp, fleet.DeliverDown]


class Outgoing:
    """Writes to a Deliver stream: ``open`` first, ``close`` last, and ``stop`` in any case."""

    def __init__(self, call: DeliverCall, gathering: Gathering) -> None:
        self._call = call
        self._gathering = gathering
        self._clock = asyncio.get_running_loop().time
        self._ready: deque[fleet.DeliverUp] = deque()  # to be written now; few, see ``delta``
        self._closing = False
        self._more = asyncio.Event()
        self._drained = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None

    def open(self, opened: fleet.DeliverUp) -> None:
        """Begin to send, this message first. ``stop`` must follow in any case."""
        self._ready.append(opened)
        self._sending = asyncio.create_task(self._send())
        self._sending.add_done_callback(self._sent)

    def put(self, message: fleet.DeliverUp) -> None:
        """Send a message at once, behind whatever waits."""
        self._collect()
        self._ready.append(message)
        self._more.set()

    async def delta(self, delta: Delta) -> None:
        """Send tokens, now or with those that follow soon."""
        self._gathering.add(delta)
        self._more.set()
        if self._gathering.wait_s(self._clock()) == 0.0:
            await asyncio.sleep(0)  # an engine that has more at hand would not let it go first
        assert self._sending is not None, "open comes first"
        while self._gathering.tokens > TOKENS_WAITING_MAX and not self._sending.done():
            self._drained.clear()
            await self._drained.wait()

    async def close(self, last: fleet.DeliverUp) -> None:
        """Send the last message, and return when all have left.

        Raises:
            One of ``endings.BROKEN_STREAM``: the stream has ended before.
        """
        self._closing = True
        self.put(last)
        assert self._sending is not None, "open comes first"
        await self._sending

    def stop(self) -> None:
        """Send no more, whatever still waits."""
        if self._sending is not None:
            self._sending.cancel()

    async def _send(self) -> None:
        while not self._closing or self._ready:
            await self._until_due()
            while self._ready:
                await self._call.write(self._ready.popleft())
            self._drained.set()

    async def _until_due(self) -> None:
        while not self._ready:
            wait_s = self._gathering.wait_s(self._clock())
            if wait_s == 0.0:
                self._collect()
                return
            self._more.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._more.wait()

    def _collect(self) -> None:
        """Make one message of the tokens that wait, whether they are due or not."""
        delta = self._gathering.take(self._clock())
        if delta is not None:
            for piece in pieces_of(delta):
                self._ready.append(fleet.DeliverUp(delta=write_delta(piece)))

    def _sent(self, sending: asyncio.Task[None]) -> None:
        """A broken stream is no news: ``close`` raises it, and the stream's end tells the same."""
        if not sending.cancelled():
            sending.exception()
        self._drained.set()


def pieces_of(delta: Delta) -> Iterator[Delta]:
    """Yield it in as many parts as its text needs: what turns out to be no call comes at once."""
    text, most = delta.text, DELTA_CHARACTERS_MAX - len(delta.reasoning)
    if len(text) <= most:
        yield delta
        return
    yield replace(delta, text=text[:most])
    after = delta.token_offset + delta.tokens
    for at in range(most, len(text), DELTA_CHARACTERS_MAX):
        yield Delta(after, (), text[at : at + DELTA_CHARACTERS_MAX])
