"""A session of a machine that only uses the mesh: it is connected, and nobody sends it work.

It tells whether a coordinator is in reach, as ``Attach`` does for a machine that lends.
"""

import asyncio
from collections.abc import Callable

import grpc

from mesh.errors import MeshError, NodeLost
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import operations_pb2 as operations
from mesh.v1 import operations_pb2_grpc as operations_grpc
from node_agent.attach import WELCOME_WITHIN_S
from node_agent.endings import BROKEN_STREAM, why_ended


class Visit:
    """One connection, from the coordinator's name to its end. ``run`` is its whole life."""

    answering = 0  # nothing is asked of this machine

    def __init__(
        self, channel: grpc.aio.Channel, on_welcome: Callable[[fleet.Welcome], None]
    ) -> None:
        self._channel = channel
        self._stub = operations_grpc.OperationsStub(channel)
        self._on_welcome = on_welcome
        self._leaving = asyncio.Event()

    async def run(self) -> MeshError:
        """Stay until the connection breaks or ``leave``; return why it ended. See ``Attach``."""
        try:
            view = await self._stub.GetMesh(operations.GetMeshRequest(), timeout=WELCOME_WITHIN_S)
        except BROKEN_STREAM as failure:
            return why_ended(failure)
        there = view.coordinator
        self._on_welcome(
            fleet.Welcome(coordinator_id=there.coordinator_id, coordinators=there.addresses)
        )
        breaking = asyncio.ensure_future(self._broken())
        leaving = asyncio.ensure_future(self._leaving.wait())
        try:
            await asyncio.wait((breaking, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            breaking.cancel()
            leaving.cancel()
        return NodeLost("the connection has ended")

    async def finish(self) -> None:
        """See ``Attach``."""

    async def drain(self, reason: str) -> None:
        """See ``Attach``."""

    async def leave(self, why: fleet.Leaving.Why) -> None:
        """Let ``run`` return."""
        self._leaving.set()

    async def _broken(self) -> None:
        """Wait until the connection is no more; its keepalive notices a silent end within 13 s."""
        state = self._channel.get_state()
        while state is grpc.ChannelConnectivity.READY:
            await self._channel.wait_for_state_change(state)
            state = self._channel.get_state()
