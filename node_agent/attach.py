"""One control stream to one coordinator: reports go up, small commands come down.

The stream begins with ``hello``, which makes the node routable, and its answer ``welcome``, which
gives the epoch. From then on one task reads and one reports; whatever either learns of the
stream's end is the end of both, and of every attempt that began on it.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from mesh.core.types import AttemptId, Load, Machine, ModelId, NodeId, Refusal, ReplicaStatus
from mesh.errors import DeadlineExceeded, InternalError, MeshError, NodeLost
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import fleet_pb2_grpc as fleet_grpc
from mesh.wire import enums
from mesh.wire.models import MODELS_MAX, write_offer
from mesh.wire.nodes import write_machine, write_report
from node_agent.attempts import Attempts
from node_agent.endings import BROKEN_STREAM, why_ended
from node_agent.reports import Change, ReportSchedule
from node_agent.shelf import Shelf

PROTOCOL_MIN = PROTOCOL_MAX = 1  # versions of Attach and Deliver that this agent speaks
WELCOME_WITHIN_S = 5.0  # dialling, TLS and hello; on a LAN it takes milliseconds
BEAT_S_MIN, BEAT_S_MAX = 0.05, 60.0  # a coordinator may not make us send without a pause
LEAVE_WITHIN_S = 1.0  # a goodbye is worth no longer wait

AttachCall = grpc.aio.StreamStreamCall[fleet.NodeMessage, fleet.CoordinatorMessage]

log = logging.getLogger("node")


@dataclass(slots=True)
class Myself:
    """What a node says of itself, the same to every coordinator."""

    node_id: NodeId
    machine: Machine  # as the next attach will tell it
    load: Callable[[], Load]  # of this moment


class Attach:
    """One stream, from hello to its end. ``run`` is its whole life."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        myself: Myself,
        shelf: Shelf,
        on_welcome: Callable[[fleet.Welcome], None],
    ) -> None:
        stub = fleet_grpc.FleetStub(channel)
        self._call: AttachCall = stub.Attach()
        self._myself = myself
        self._shelf = shelf
        self._on_welcome = on_welcome
        self._clock = asyncio.get_running_loop().time
        self._writing = asyncio.Lock()  # gRPC takes one message at a time
        self._changed = asyncio.Event()
        self._schedule: ReportSchedule | None = None  # None until welcome
        self._stale = False  # something changed between hello and welcome
        self._epoch = 0
        self.attempts = Attempts(shelf, stub.Deliver, self._refuse)

    async def run(self) -> MeshError:
        """Attach, serve until the stream ends, and return why it did.

        An error of ``endings.REFUSALS`` says that the coordinator does not want us; any other
        one, that it cannot be reached, or no longer.
        """
        self._shelf.watchers.add(self)
        try:
            schedule = await self._greet()
            async with asyncio.TaskGroup() as tasks:
                reporting = tasks.create_task(self._report(schedule), name="reports")
                why = await self._obey_all()
                reporting.cancel()
            return why
        except MeshError as failure:
            return failure
        except BROKEN_STREAM as failure:
            return why_ended(failure)
        finally:
            self._shelf.watchers.discard(self)
            await self.attempts.end()
            self._call.cancel()

    @property
    def answering(self) -> int:
        """How many attempts are under way."""
        return len(self.attempts)

    async def finish(self) -> None:
        """Wait for those attempts, and no others."""
        await self.attempts.finish()

    async def drain(self, reason: str) -> None:
        """Take no new attempts, and say so; those under way may finish."""
        self.attempts.draining = True
        await self._send(fleet.NodeMessage(drain=fleet.DrainRequested(reason=reason)))

    async def leave(self, why: fleet.Leaving.Why) -> None:
        """Say goodbye; ``run`` returns when the coordinator has heard it."""
        await self._send(fleet.NodeMessage(leaving=fleet.Leaving(why=why)))
        async with self._writing:
            await self._call.done_writing()

    # -- what the shelf tells ----------------------------------------------------------------------

    def replica_changed(self, ordinal: int, change: Change) -> None:
        """See ``Watcher``."""
        if self._schedule is None:
            self._stale = True
            return
        self._schedule.replica_changed(ordinal, change, self._clock())
        self._changed.set()

    def inventory_changed(self) -> None:
        """See ``Watcher``."""
        if self._schedule is None:
            self._stale = True
            return
        self._schedule.inventory_changed(self._clock())
        self._changed.set()

    # -- up ----------------------------------------------------------------------------------------

    async def _greet(self) -> ReportSchedule:
        """Say hello and take the welcome."""
        try:
            async with asyncio.timeout(WELCOME_WITHIN_S):
                self._stale = False
                statuses = self._shelf.statuses()
                await self._call.write(fleet.NodeMessage(hello=self._hello(statuses)))
                message = await self._call.read()
        except TimeoutError:
            raise DeadlineExceeded(f"no welcome within {WELCOME_WITHIN_S:g} s") from None
        if not isinstance(message, fleet.CoordinatorMessage) or not message.HasField("welcome"):
            raise InternalError("the coordinator did not welcome us", hint="update deskmesh there")
        welcome = message.welcome
        self._epoch = welcome.epoch
        beat_every_s = min(max(welcome.beat_every_ms / 1000, BEAT_S_MIN), BEAT_S_MAX)
        schedule = ReportSchedule(beat_every_s=beat_every_s, now_s=self._clock())
        schedule.told(statuses)
        self._schedule = schedule
        if self._stale:
            self.inventory_changed()
        self._on_welcome(welcome)
        self.attempts.stand_by()
        return schedule

    def _hello(self, statuses: list[tuple[int, ReplicaStatus]]) -> fleet.Hello:
        report = write_report(epoch=0, sequence=0, load=self._myself.load(), statuses=statuses)
        return fleet.Hello(
            node_id=self._myself.node_id,
            machine=write_machine(self._myself.machine),
            protocol_min=PROTOCOL_MIN,
            protocol_max=PROTOCOL_MAX,
            offers=self._offers(),
            report=report,
        )

    def _offers(self) -> list[fleet.ModelOffer]:
        return [write_offer(*each) for each in self._shelf.offers()[:MODELS_MAX]]

    async def _report(self, schedule: ReportSchedule) -> None:
        """Write reports as they fall due, until the stream breaks."""
        try:
            while True:
                self._changed.clear()
                try:
                    async with asyncio.timeout(schedule.wait_s(self._clock())):
                        await self._changed.wait()
                except TimeoutError:
                    await self._report_now(schedule)
        except BROKEN_STREAM:
            return  # the reader of the stream learns why

    async def _report_now(self, schedule: ReportSchedule) -> None:
        due = schedule.take(self._clock(), self._shelf.models_offered)
        if due is None:
            return
        if due.inventory:
            inventory = fleet.InventoryChanged(offers=self._offers())
            await self._send(fleet.NodeMessage(inventory=inventory))
        statuses = self._shelf.statuses(due.replicas)
        schedule.told(statuses)
        report = write_report(
            epoch=self._epoch,
            sequence=due.sequence,
            load=self._myself.load(),
            statuses=statuses,
        )
        await self._send(fleet.NodeMessage(report=report))

    async def _send(self, message: fleet.NodeMessage) -> None:
        async with self._writing:
            await self._call.write(message)

    # -- down --------------------------------------------------------------------------------------

    async def _obey_all(self) -> MeshError:
        """Carry out commands until the stream ends; return why it did."""
        try:
            while isinstance(message := await self._call.read(), fleet.CoordinatorMessage):
                await self._obey(message)
        except BROKEN_STREAM as failure:
            return why_ended(failure)
        return NodeLost("the coordinator ended the connection")

    async def _obey(self, message: fleet.CoordinatorMessage) -> None:
        match message.WhichOneof("message"):  # the most urgent first
            case "start":
                await self._begin(message.start)
            case "ping":
                pong = fleet.Pong(nonce=message.ping.nonce)
                await self._send(fleet.NodeMessage(pong=pong))
            case "cancel":
                if message.cancel.epoch == self._epoch:
                    self.attempts.cancel(AttemptId(message.cancel.attempt_id))
            case "drain":
                self.attempts.draining = not message.drain.resume
            case "load":
                self._shelf.preload(ModelId(message.load.model_id))
            case "unload":
                self._shelf.unload(ModelId(message.unload.model_id))
            case _:
                pass  # of a newer protocol

    async def _begin(self, start: fleet.StartAttempt) -> None:
        if start.epoch != self._epoch:
            return
        refusal = self.attempts.begin(start)
        if refusal is not None:
            await self._refuse(AttemptId(start.attempt_id), refusal)

    async def _refuse(self, attempt_id: AttemptId, refusal: Refusal) -> None:
        refused = fleet.AttemptRefused(
            epoch=self._epoch,
            attempt_id=attempt_id,
            reason=enums.write(enums.REFUSAL, refusal),
        )
        await self._send(fleet.NodeMessage(refused=refused))
