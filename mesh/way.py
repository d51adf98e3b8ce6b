"""One channel of a program to whoever answers it, as ``mesh.sending`` borrows it for each try."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from mesh import sending
from mesh.errors import MeshError, NodeLost
from mesh.rpc import unreachable
from mesh.v1.inference_pb2_grpc import InferenceStub


class Way:
    """A channel, and whether somebody has answered on it: worth waiting for if it breaks."""

    def __init__(self, channel: grpc.aio.Channel, nobody: NodeLost | None = None) -> None:
        """``nobody`` tells that there is no answer; without it, that no coordinator is there."""
        self._channel = channel
        self._stub = InferenceStub(channel)
        self._nobody = nobody or unreachable()
        self.answers = channel.get_state() is grpc.ChannelConnectivity.READY  # a moment ago

    @asynccontextmanager
    async def reach(self, until_s: float | None, deadline_s: float) -> AsyncIterator[InferenceStub]:
        """See ``sending.Reach``."""
        if until_s is not None:
            if not self.answers:  # nobody ever did, so nobody restarts
                raise sending.OutOfReach(self._nobody)
            try:
                async with asyncio.timeout_at(min(until_s, deadline_s)):
                    await self._channel.channel_ready()
            except TimeoutError:
                raise sending.OutOfReach(self._nobody) from None
        yield self._stub

    def gone(self, failure: sending.OutOfReach) -> MeshError:
        """It was waited for. The next call will not wait, until somebody has answered again."""
        self.answers = False
        return failure.why
