"""The sending side of one answer: messages in order, tokens gathered as its coordinator asked."""

import asyncio

import grpc

from mesh.core.generation import Delta
from mesh.v1 import fleet_pb2 as fleet
from mesh.wire.answers import write_delta
from node_agent.gathering import Gathering

DeliverCall = grpc.aio.StreamStreamCall[fleet.DeliverUp, fleet.DeliverDown]


class Outgoing:
    """Writes to a Deliver stream: ``open`` first, ``abandon`` last."""

    def __init__(self, call: DeliverCall, gathering: Gathering) -> None:
        self._call = call
        self._gathering = gathering
        self._clock = asyncio.get_running_loop().time
        self._writing = asyncio.Lock()  # gRPC takes one message at a time
        self._opening: asyncio.Task[None] | None = None
        self._waiting = asyncio.Event()
        self._flushing: asyncio.Task[None] | None = None

    def open(self, opened: fleet.DeliverUp) -> None:
        """Begin to send the first message: the engine need not wait until it has left."""
        self._opening = asyncio.create_task(self._call.write(opened))

    async def delta(self, delta: Delta) -> None:
        """Send tokens, now or with those that follow soon."""
        self._gathering.add(delta)
        if self._gathering.wait_s(self._clock()) == 0.0:
            await self._flush()
            return
        self._waiting.set()
        if self._flushing is None:  # a slow model never needs it
            self._flushing = asyncio.create_task(self._flush_when_due())

    async def write(self, message: fleet.DeliverUp) -> None:
        """Send a message at once, behind whatever waits."""
        await self._flush()
        async with self._writing:
            await self._write(message)

    async def abandon(self) -> None:
        """End the tasks of this object, whatever still waits."""
        owned = [task for task in (self._opening, self._flushing) if task is not None]
        for task in owned:
            task.cancel()
        if owned:
            await asyncio.wait(owned)
        for task in owned:
            if not task.cancelled() and not self._call.done():
                task.result()

    async def _flush(self) -> None:
        if self._gathering.wait_s(0.0) is None:
            return
        async with self._writing:
            delta = self._gathering.take(self._clock())
            if delta is not None:  # else the other task was faster
                await self._write(fleet.DeliverUp(delta=write_delta(delta)))

    async def _write(self, message: fleet.DeliverUp) -> None:
        if self._opening is not None:
            await self._opening
            self._opening = None
        await self._call.write(message)

    async def _flush_when_due(self) -> None:
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            while (wait_s := self._gathering.wait_s(self._clock())) is not None:
                if wait_s:
                    await asyncio.sleep(wait_s)
                else:
                    await self._flush()
