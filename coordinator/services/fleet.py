"""``Fleet``: nodes attach and deliver, by streams that they open."""

import asyncio
import logging
import time
from contextlib import suppress

import grpc

from coordinator.access import Caller, Context, MeshAccess, host_of
from coordinator.connections import NodeConnection
from coordinator.deliveries import Delivery
from coordinator.effects import PROTOCOL, Relay
from coordinator.loop import FleetLoop
from mesh.core import events
from mesh.core.types import AttemptId, Failure, FailureCode, NodeId, Offer
from mesh.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    MeshError,
    Superseded,
    Unsupported,
)
from mesh.rpc import abort
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import fleet_pb2_grpc as fleet_grpc
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from mesh.wire.answer_bounds import AnswerBounds, bounds_of
from mesh.wire.answers import (
    error_of,
    read_attempt_failed,
    read_delta,
    read_finished,
    read_started,
    take_signs,
    tokens_of,
    write_usage,
)
from mesh.wire.commands import body_follows
from mesh.wire.models import read_offers
from mesh.wire.nodes import read_load, read_machine, read_statuses
from mesh.wire.text import printable
from mesh.wire.tool_calls import broken

log = logging.getLogger(__name__)

HELLO_WITHIN_S = 10.0  # a stream that says nothing holds nothing
READY_MAX = 4  # silent Deliver streams of one node, which spare it the opening when it is told
# Of what a node says on its control stream. 1,024 models with names, tasks and examples of usual
# length have 1 MB.
NODE_MESSAGE_BYTES_MAX = 2 * 1024 * 1024
# Whoever says much is read so much later again that he takes a tenth of our time, and the others
# have the rest. Counted in our own work: where the machine is busy, nobody is slower for it.
PAUSE_SHARE = 9
PAUSED_FROM_S = 0.002  # a usual report takes a tenth of that
PAUSE_S_MAX = 2.5  # less than what makes it suspect


class FleetService(fleet_grpc.FleetServicer):
    """Serves nodes on the mTLS port."""

    def __init__(self, loop: FleetLoop, relay: Relay, access: MeshAccess) -> None:
        self._loop = loop
        self._relay = relay
        self._access = access
        self._ready: dict[NodeId, int] = {}  # silent Deliver streams, by node

    # -- Attach ------------------------------------------------------------------------------------

    async def Attach(self, _messages: object, context: Context) -> None:
        """Hold one node's control stream until either side ends it."""
        try:
            caller = self._access.admit("Fleet/Attach", context)
            hello = await self._hello(context, caller)
            self._access.admit("Fleet/Attach", context)  # again: it may have been revoked meanwhile
            offers = read_offers(hello.offers)
            attached = self._attached(hello, offers, caller, context)
        except MeshError as failure:
            await abort(context, failure)
        connection = NodeConnection(attached.connection_id, caller.node_id)
        self._relay.connections[connection.connection_id] = connection
        failed: MeshError | None = None
        try:
            self._loop.post(attached)
            reading = asyncio.create_task(self._read_node(context, connection, offers))
            try:
                await self._write_node(context, connection, reading)
            finally:
                reading.cancel()
        except MeshError as failure:
            failed = failure
        finally:
            ended = failed.message if failed else "its connection ended"
            self._relay.forget_connection(connection)
            lost = events.ConnectionLost(connection.connection_id, connection.node_id, ended)
            self._loop.post(lost)
        if failed is not None:  # last: a status waits behind whatever the node does not read
            await abort(context, failed)

    async def _hello(self, context: Context, caller: Caller) -> fleet.Hello:
        message = await _first(context)
        if not isinstance(message, fleet.NodeMessage) or not message.HasField("hello"):
            raise InvalidRequest("the first message of Attach must be hello")
        _check_size(message)
        hello = message.hello
        if hello.node_id != caller.node_id:
            raise Forbidden(
                "the node calls itself by another id than its certificate's",
                hint="join again with a new code",
            )
        if not hello.protocol_min <= PROTOCOL <= hello.protocol_max:
            raise Unsupported(
                f"this coordinator speaks protocol {PROTOCOL}, the node "
                f"{hello.protocol_min} to {hello.protocol_max}",
                hint="update deskmesh on the older of the two",
            )
        return hello

    def _attached(
        self, hello: fleet.Hello, offers: dict[int, Offer], caller: Caller, context: Context
    ) -> events.NodeAttached:
        return events.NodeAttached(
            connection_id=next(self._relay.ids),
            node_id=caller.node_id,
            machine=read_machine(hello.machine),
            offers=tuple(offers.values()),
            statuses=read_statuses(hello.report.replicas, offers),
            load=read_load(hello.report),
            on_coordinator_host=caller.on_this_host,
            address=host_of(context),
        )

    async def _write_node(
        self, context: Context, connection: NodeConnection, reading: "asyncio.Task[None]"
    ) -> None:
        """Write commands until the node hangs up or we close, also while a write is stuck."""
        writing = asyncio.create_task(self._write_all(context, connection))
        closing = asyncio.create_task(connection.wait_closed())
        try:
            await asyncio.wait((reading, writing, closing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            writing.cancel()
            closing.cancel()
        if reading.done():
            reading.result()  # raises what the node did wrong
        elif connection.closed is not None:
            raise error_of(connection.closed)

    async def _write_all(self, context: Context, connection: NodeConnection) -> None:
        with suppress(grpc.aio.InternalError):  # the node went while we wrote
            while (message := await connection.next()) is not None:
                await context.write(message)

    async def _read_node(
        self, context: Context, connection: NodeConnection, offers: dict[int, Offer]
    ) -> None:
        while isinstance(message := await context.read(), fleet.NodeMessage):
            began_s = time.thread_time()
            _check_size(message)
            self._heard(message, connection, offers)
            took_s = time.thread_time() - began_s
            if took_s > PAUSED_FROM_S:
                await asyncio.sleep(min(PAUSE_S_MAX, PAUSE_SHARE * took_s))

    def _heard(
        self, message: fleet.NodeMessage, connection: NodeConnection, offers: dict[int, Offer]
    ) -> None:
        match message.WhichOneof("message"):
            case "report":
                self._reported(message.report, connection, offers)
            case "pong":
                self._ponged(message.pong.nonce, connection)
            case "refused":
                refusal = enums.read(enums.REFUSAL, message.refused.reason, "refused.reason")
                attempt_id = AttemptId(message.refused.attempt_id)
                refused = events.AttemptRefused(attempt_id, connection.epoch, refusal)
                self._loop.post(refused)
            case "inventory":
                offers.clear()
                offers.update(read_offers(message.inventory.offers))
                listed = tuple(offers.values())
                self._loop.post(
                    events.InventoryReported(connection.node_id, connection.epoch, listed)
                )
            case "leaving":
                asleep = message.leaving.why == fleet.Leaving.WHY_SLEEP
                left = events.NodeLeft(connection.node_id, connection.epoch, asleep)
                self._loop.post(left)
            case "drain":
                reason = printable(message.drain.reason, 200) or "its owner wants it back"
                self._loop.post(events.NodeDrained(connection.node_id, reason))
            case _:
                pass  # of a newer protocol

    def _reported(
        self, report: fleet.NodeReport, connection: NodeConnection, offers: dict[int, Offer]
    ) -> None:
        if report.epoch != connection.epoch:
            return
        statuses = read_statuses(report.replicas, offers)
        self._loop.post(
            events.NodeReported(
                connection.node_id, connection.epoch, report.sequence, statuses, read_load(report)
            )
        )

    def _ponged(self, nonce: int, connection: NodeConnection) -> None:
        rtt_s = connection.pings.answered(nonce, time.monotonic())
        if rtt_s is not None:
            self._measured(connection, rtt_s)

    def _measured(self, connection: NodeConnection, rtt_s: float) -> None:
        measured = events.RoundTripMeasured(connection.node_id, connection.epoch, rtt_s)
        self._loop.post(measured)

    def ping_all(self) -> None:
        """Measure the round trip to every node, from here: a node's word is not taken for it."""
        for connection in list(self._relay.connections.values()):
            now_s = time.monotonic()
            if (rtt_s := connection.pings.at_least_s(now_s)) is not None:
                self._measured(connection, rtt_s)
            if (nonce := connection.pings.sent(now_s)) is not None:
                connection.send(fleet.CoordinatorMessage(ping=fleet.Ping(nonce=nonce)))

    # -- Deliver -----------------------------------------------------------------------------------

    async def Deliver(self, _messages: object, context: Context) -> None:
        """Take one attempt's answer. Returning from here tells the node to stop."""
        try:
            caller = self._access.admit("Fleet/Deliver", context)
            delivery = self._open(await self._spoken(context, caller.node_id), caller.node_id)
        except MeshError as failure:
            await abort(context, failure)
        pumping = asyncio.create_task(self._pump(context, delivery))
        ending = asyncio.create_task(delivery.wait_ended())
        try:
            await asyncio.wait((pumping, ending), return_when=asyncio.FIRST_COMPLETED)
            if pumping.done():
                pumping.result()
        except grpc.aio.InternalError:
            pass  # the node went while we wrote
        except MeshError as failure:
            log.warning("attempt %d ended: %s", delivery.attempt_id, failure)
            self._ended(delivery, failure.message)
        finally:
            pumping.cancel()
            ending.cancel()
            self._ended(delivery, "its answer stream broke off")

    async def _spoken(self, context: Context, node_id: NodeId) -> object:
        """Read the first message. A node may keep a few silent streams ready, as long as it likes.

        Raises:
            DeadlineExceeded: it keeps more, and said nothing on this one for a while.
        """
        ready = self._ready.get(node_id, 0)
        self._ready[node_id] = ready + 1
        try:
            return await _first(context, HELLO_WITHIN_S if ready >= READY_MAX else None)
        finally:
            self._ready[node_id] -= 1
            if not self._ready[node_id]:
                del self._ready[node_id]

    def _open(self, message: object, node_id: NodeId) -> Delivery:
        if not isinstance(message, fleet.DeliverUp) or not message.HasField("opened"):
            raise InvalidRequest("the first message of Deliver must be opened")
        opened = message.opened
        attempt_id = AttemptId(opened.attempt_id)
        connection = self._relay.by_node.get(node_id)
        delivery = Delivery(next(self._relay.ids), attempt_id)
        if connection is not None and connection.epoch == opened.epoch:
            self._relay.opening[delivery.delivery_id] = delivery
            self._loop.post(
                events.DeliveryOpened(attempt_id, connection.epoch, delivery.delivery_id)
            )
        if delivery.key is None:
            raise Superseded(f"attempt {attempt_id} is unknown, ended or superseded")
        return delivery

    def _asked(self, delivery: Delivery) -> tuple[inference.GenerateRequest, AnswerBounds]:
        """What the attempt answers, and how much; nothing if its client left as it was opened."""
        client = self._relay.clients.get(delivery.key) if delivery.key else None
        if client is None:
            return inference.GenerateRequest(), AnswerBounds()
        request = client.told or client.request
        return request, bounds_of(request, client.features)

    async def _pump(self, context: Context, delivery: Delivery) -> None:
        """Always drain the node; a slow client costs its own transcript only.

        Raises:
            InvalidRequest: the node breaks the protocol.
        """
        request, bounds = self._asked(delivery)
        if body_follows(request):
            await context.write(fleet.DeliverDown(body=request))
        attempt_id = delivery.attempt_id
        while not delivery.finished and isinstance(up := await context.read(), fleet.DeliverUp):
            match up.WhichOneof("message"):
                case "delta":
                    delta = read_delta(up.delta, request)
                    offset, count, signs = delta.token_offset, tokens_of(delta), take_signs(delta)
                    bounds.add(delta, count)
                    self._loop.post(
                        events.AttemptProgressed(
                            attempt_id,
                            offset,
                            count,
                            delta,
                            signs,
                            len(delta.tool_calls),
                            broken(delta.tool_calls, request.tools),
                            delta.ByteSize(),
                        )
                    )
                case "started":
                    bounds.begin(up.started)
                    started = read_started(up.started)
                    self._loop.post(
                        events.AttemptStarted(
                            attempt_id,
                            started.prompt_tokens,
                            started.numerics[:64],
                            started,
                            resumable=self._relay.given.can_hold(started),
                        )
                    )
                case "finished":
                    usage = bounds.booked(read_finished(up.finished).usage)
                    up.finished.usage.CopyFrom(write_usage(usage))
                    delivery.finished = True
                    self._loop.post(events.AttemptFinished(attempt_id, usage, up.finished))
                case "failed":
                    delivery.finished = True
                    failure = read_attempt_failed(up.failed)
                    self._loop.post(events.AttemptFailed(attempt_id, failure))
                case _:
                    pass  # of a newer protocol

    def _ended(self, delivery: Delivery, reason: str) -> None:
        self._relay.deliveries.pop(delivery.attempt_id, None)
        if not delivery.finished:
            delivery.finished = True
            failure = Failure(FailureCode.NODE_LOST, reason)
            self._loop.post(events.AttemptFailed(delivery.attempt_id, failure))


def _check_size(message: fleet.NodeMessage) -> None:
    """Raises InvalidRequest: no honest node says so much at once."""
    if (size_bytes := message.ByteSize()) > NODE_MESSAGE_BYTES_MAX:
        raise InvalidRequest(
            f"a node said {size_bytes} bytes at once; at most {NODE_MESSAGE_BYTES_MAX} may be",
            hint="offer fewer models",
        )


async def _first(context: Context, within_s: float | None = HELLO_WITHIN_S) -> object:
    """Read what must come first on a stream.

    Raises:
        DeadlineExceeded: nothing came in time.
    """
    try:
        async with asyncio.timeout(within_s):
            return await context.read()
    except TimeoutError:
        raise DeadlineExceeded("nothing was said in time on a new stream") from None
