"""The way of this machine's own programs to whichever coordinator its agent has found.

It is a connection of its own, opened when somebody first asks: what programs send and receive never
stands before a report or a command. Whether a coordinator is there, the agent's sessions know; so
a program waits while one restarts, and does not wait where none has been for a while.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from types import TracebackType
from typing import Self

import grpc

from mesh import sending
from mesh.errors import MeshError
from mesh.rpc import unreachable
from mesh.v1.inference_pb2_grpc import InferenceStub
from mesh.v1.operations_pb2_grpc import OperationsStub
from node_agent.links import Links, OpenChannel, Session


@dataclass(slots=True, eq=False)
class Connection:
    """One channel, opened in the name and with the certificate of one session."""

    session: Session
    channel: grpc.aio.Channel
    inference: InferenceStub
    operations: OperationsStub
    users: int = 0


class Uplink:
    """Opens, lends and closes connections; use as ``async with``."""

    def __init__(self, links: Links, open_channel: OpenChannel) -> None:
        self._links = links
        self._open_channel = open_channel
        self._clock = asyncio.get_running_loop().time
        self._newest: Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._newest is not None:
            await self._newest.channel.close()

    @asynccontextmanager
    async def lent(
        self, until_s: float | None, deadline_s: float = inf
    ) -> AsyncIterator[Connection]:
        """Lend a connection to a coordinator.

        Args:
            until_s: wait for one until then, on the event loop's clock. None: as long as one that
                restarts is waited for, counted from when it was lost, by whomever that was noticed.
            deadline_s: in any case no longer than until then.

        Raises:
            OutOfReach: there is none.
        """
        if until_s is None:
            until_s = self._links.lost_s + sending.PATIENCE_S
        reached = await self._links.reached(min(until_s, deadline_s))
        if reached is None:
            raise sending.OutOfReach(unreachable())
        connection, former = self._connection(*reached)
        connection.users += 1
        try:
            if former is not None:
                await self._close_if_done_with(former)
            yield connection
        finally:
            connection.users -= 1
            await self._close_if_done_with(connection)

    def _connection(self, address: str, session: Session) -> tuple[Connection, Connection | None]:
        """Return the connection of this session, and the one that it takes the place of, if any."""
        known = self._newest
        if known is not None and known.session is session:
            return known, None
        try:
            channel = self._open_channel(address)
        except MeshError as failure:
            raise sending.OutOfReach(failure) from None
        opened = Connection(session, channel, InferenceStub(channel), OperationsStub(channel))
        self._newest = opened
        return opened, known

    async def _close_if_done_with(self, connection: Connection) -> None:
        if connection is not self._newest and not connection.users:
            await connection.channel.close()
