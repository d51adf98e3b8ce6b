"""One session with each coordinator of the mesh: found, dialled, kept, and dialled again.

A machine that lends attaches; one that only uses the mesh visits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Protocol

import grpc

from mesh.core.types import NodeId
from mesh.errors import InvalidRequest, MeshError
from mesh.identity.address import split_address
from mesh.v1 import fleet_pb2 as fleet
from node_agent.addresses import NOBODY, Address, AddressBook, Origin
from node_agent.attach import LEAVE_WITHIN_S, Attach, Myself
from node_agent.endings import BROKEN_STREAM, MAYBE_REPLACED, REFUSALS
from node_agent.shelf import Shelf
from node_agent.visit import Visit

TOLD_MAX = 16  # addresses that we take from one welcome: as many as a membership holds

# Two addresses may lead to one coordinator, and the later attach ends the earlier one, whose end
# may reach us before the welcome of the later: then nobody was lost, and nothing need be told.
REPLACED_WITHIN_S = 0.25

# A busy node may have no moment without an answer: after so long it takes no new ones, to have one.
IDLE_WITHIN_S = 600.0

# A system that has said it sleeps does so within seconds, or was kept from it.
SILENT_S_MAX = 30.0

log = logging.getLogger("node")


class OpenChannel(Protocol):
    """Opens a channel to an address, as whoever this machine is at that moment."""

    def __call__(self, address: str) -> grpc.aio.Channel:
        """Raises MeshError if this machine has no valid identity."""
        ...


Session = Attach | Visit


class Links:
    """Every connection to coordinators. ``run`` owns their tasks."""

    def __init__(
        self,
        open_channel: OpenChannel,
        myself: Myself,
        shelf: Shelf,
        rng: Random,
        *,
        lends: bool = True,
    ) -> None:
        self._lends = lends
        self._open_channel = open_channel
        self._myself = myself
        self._shelf = shelf
        self._book = AddressBook(rng)
        self._held: dict[Address, asyncio.Task[None]] = {}
        self._attached: dict[Address, Session] = {}  # those welcomed
        self._changed = asyncio.Event()
        self._stopping = False
        self._silent_until_s = 0.0  # on this machine's clock: it is about to sleep
        self._clock = asyncio.get_running_loop().time
        self.lost_s = self._clock()  # since when nobody is in reach; of no meaning while one is

    @property
    def attached(self) -> frozenset[NodeId]:
        """The coordinators that we are attached to."""
        return frozenset(address.coordinator_id for address in self._attached)

    @property
    def _silent_s(self) -> float:
        """For how long nobody is to be dialled."""
        return self._silent_until_s - self._clock()

    def targets(self) -> list[str]:
        """Every address that is known."""
        return self._book.targets()

    def add(self, target: str, origin: Origin, coordinator_id: NodeId = NOBODY) -> None:
        """Note an address to dial; soon, unless it leads to a coordinator that we have."""
        if self._book.add(target, origin, coordinator_id):
            self._changed.set()

    async def run(self) -> None:
        """Dial what is due, for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                wait_s = None
                if self._silent_s > 0:
                    wait_s = self._silent_s
                elif not self._stopping:
                    for address in self._book.dial(self.attached, self._clock()):
                        held = tasks.create_task(self._hold(address), name=address.target)
                        self._held[address] = held
                    wait_s = self._book.wait_s(self.attached, self._clock())
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._changed.wait()

    def reachable(self) -> str | None:
        """Return the address of a coordinator that we are attached to, if any."""
        return next((address.target for address in self._attached), None)

    async def reached(self, until_s: float) -> tuple[str, Session] | None:
        """Return the address of a coordinator in reach, and the session that we have with it.

        If there is none, wait for one until then, on the event loop's clock.
        """
        try:
            async with asyncio.timeout_at(until_s):
                while not self._attached:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return None
        address, session = next(iter(self._attached.items()))
        return address.target, session

    async def reconnect(self) -> None:
        """Attach anew everywhere, each as soon as no answer is under way on it.

        Called when this machine is somebody else, or somebody again: whoever did not have it as it
        was is dialled at once.
        """
        self._book.hurry()
        self._changed.set()
        sessions = list(self._attached.items())
        await asyncio.gather(*(self._renew(address, session) for address, session in sessions))

    async def _renew(self, address: Address, session: Session) -> None:
        try:
            try:
                async with asyncio.timeout(IDLE_WITHIN_S):
                    await _idle(session)
            except TimeoutError:
                await session.drain("its certificate was renewed, so it attaches anew")
                await _idle(session)
        except BROKEN_STREAM:
            return
        if self._attached.get(address) is session:
            self._held[address].cancel()

    async def sleep(self) -> None:
        """Say everywhere that this machine goes to sleep, and dial nobody until ``wake``.

        If it does not sleep after all, that lasts for ``SILENT_S_MAX``: this clock stands still
        while it does.
        """
        self._silent_until_s = self._clock() + SILENT_S_MAX
        await self._leave(fleet.Leaving.WHY_SLEEP)

    def wake(self) -> None:
        """Dial everybody at once."""
        self._silent_until_s = 0.0
        self._book.hurry()
        self._changed.set()

    async def stop(self, *, drain_s: float) -> None:
        """Let running answers finish for ``drain_s`` at most, then say goodbye everywhere."""
        self._stopping = True
        running = sum(session.answering for session in self._attached.values())
        if running:
            log.info("stopping: %d answers may finish within %g s", running, drain_s)
            await self._each(lambda session: session.drain("its owner stops it"))
            with suppress(TimeoutError):
                async with asyncio.timeout(drain_s):
                    await self._each(lambda session: session.finish())
        await self._leave(fleet.Leaving.WHY_SHUTDOWN)

    async def _leave(self, why: fleet.Leaving.Why) -> None:
        """Say goodbye everywhere, and wait until that is heard, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_WITHIN_S):
                await self._each(lambda session: session.leave(why))
                while self._attached:
                    self._changed.clear()
                    await self._changed.wait()

    async def _hold(self, address: Address) -> None:
        """Attach at one address, and stay until that ends."""
        refused = False
        try:
            ended = await self._attach(address)
            was_attached = self._parted(address)
            if isinstance(ended, MAYBE_REPLACED) and was_attached:
                await asyncio.sleep(REPLACED_WITHIN_S)
            replaced = was_attached and address.coordinator_id in self.attached
            refused = isinstance(ended, REFUSALS) and not replaced
            if not (self._stopping or replaced or self._silent_s > 0):
                _tell(address, ended, was_attached=was_attached)
        finally:
            self._parted(address)
            del self._held[address]
            self._book.released(address, self._clock(), refused=refused)
            self._changed.set()

    async def _attach(self, address: Address) -> MeshError:
        try:
            channel = self._open_channel(address.target)
        except MeshError as failure:
            return failure

        def welcomed(welcome: fleet.Welcome) -> None:
            self._welcomed(address, session, welcome)

        session: Session
        async with channel:
            if self._lends:
                session = Attach(channel, self._myself, self._shelf, welcomed)
            else:
                session = Visit(channel, welcomed)
            return await session.run()

    def _parted(self, address: Address) -> bool:
        """Note that a session is no more, and return whether there was one."""
        was_attached = self._attached.pop(address, None) is not None
        if was_attached and not self._attached:
            self.lost_s = self._clock()
        return was_attached

    def _welcomed(self, address: Address, session: Session, welcome: fleet.Welcome) -> None:
        coordinator_id = NodeId(welcome.coordinator_id)
        rivals = self._book.welcomed(address, coordinator_id)
        self._attached[address] = session
        what = "attached to" if self._lends else "reached"
        log.info("%s coordinator %s at %s", what, coordinator_id, address.target)
        for rival in rivals:
            if rival not in self._attached:  # a slower dial of the same would end this one
                self._held[rival].cancel()
        for target in welcome.coordinators[:TOLD_MAX]:
            if _is_address(target):
                self.add(target, Origin.JOINED)
        self._changed.set()

    async def _each(self, act: Callable[[Session], Awaitable[None]]) -> None:
        """Do something with every session; one that breaks meanwhile has ended anyway."""
        acts = [act(session) for session in self._attached.values()]
        for result in await asyncio.gather(*acts, return_exceptions=True):
            if isinstance(result, BaseException) and not isinstance(result, BROKEN_STREAM):
                raise result


async def _idle(session: Session) -> None:
    """Wait until no answer is under way on it."""
    while session.answering:
        await session.finish()


def _tell(address: Address, ended: MeshError, *, was_attached: bool) -> None:
    """Say why an attach ended or a dial failed, once for each change of state."""
    if was_attached:
        log.warning("lost coordinator %s: %s", address.coordinator_id, ended)
    elif address.doubtful:
        log.debug("no coordinator at %s, which mDNS named: %s", address.target, ended)
    elif ended.message != address.trouble:
        address.trouble = ended.message
        log.warning("no coordinator at %s: %s; trying on", address.target, ended)


def _is_address(target: str) -> bool:
    try:
        split_address(target)
    except InvalidRequest:
        return False
    return True
