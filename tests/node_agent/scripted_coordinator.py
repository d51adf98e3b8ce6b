"""A coordinator that does what the test says, on a real gRPC server: the agent's neighbour."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import grpc

from mesh.rpc import SERVER_OPTIONS
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import fleet_pb2_grpc as fleet_grpc
from mesh.v1 import inference_pb2 as inference

WITHIN_S = 30.0  # far longer than anything here takes on a busy machine; a test that hangs fails
COORDINATOR_ID = "coordinator-of-the-test"

Context = grpc.aio.ServicerContext[Any, Any]


class PlayedAttach:
    """One control stream, seen from the coordinator's side."""

    def __init__(self, context: Context, hello: fleet.Hello, epoch: int) -> None:
        self.hello = hello
        self.epoch = epoch
        self.certificate_pem: bytes = b"".join(context.auth_context().get("x509_pem_cert", ()))
        self._context = context
        self._heard: asyncio.Queue[fleet.NodeMessage] = asyncio.Queue()
        self._ending: asyncio.Future[grpc.StatusCode | None] = (
            asyncio.get_running_loop().create_future()
        )
        self.ended = asyncio.Event()

    async def send(self, **message: Any) -> None:
        await self._context.write(fleet.CoordinatorMessage(**message))

    async def start(self, attempt_id: int, prompt: str = "one two three", **fields: Any) -> None:
        """Tell the node to begin an attempt on the first model that it offers."""
        given = {"deadline_ms": 60_000, "request": asking(prompt), **fields}
        start = fleet.StartAttempt(epoch=self.epoch, attempt_id=attempt_id, **given)
        start.model_id = start.model_id or self.hello.offers[0].model.model_id
        await self.send(start=start)

    async def cancel(self, attempt_id: int) -> None:
        await self.send(cancel=fleet.CancelAttempt(epoch=self.epoch, attempt_id=attempt_id))

    async def next(self, kind: str) -> Any:
        """Return the node's next message of ``kind``, passing over all others."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                message = await self._heard.get()
                if message.WhichOneof("message") == kind:
                    return getattr(message, kind)

    async def replica(self, *, slots_taken: int | None = None, state: int | None = None) -> Any:
        """Return the next report of a replica that is as described."""
        while True:
            for replica in (await self.next("report")).replicas:
                if slots_taken in (None, replica.slots_taken) and state in (None, replica.state):
                    return replica

    def end(self, status: grpc.StatusCode | None = None) -> None:
        """End the stream, with a status that is not OK if one is given."""
        if not self._ending.done():
            self._ending.set_result(status)

    async def serve(self) -> None:
        """Take what the node says until either side ends it."""
        reading = asyncio.ensure_future(self._read())
        try:
            await asyncio.wait((reading, self._ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            self.ended.set()
        if self._ending.done() and (status := self._ending.result()) is not None:
            await self._context.abort(status, "as the test says")

    async def _read(self) -> None:
        while isinstance(message := await self._context.read(), fleet.NodeMessage):
            self._heard.put_nowait(message)


class PlayedDelivery:
    """One answer stream, seen from the coordinator's side."""

    def __init__(self, context: Context, opened: fleet.DeliverOpened) -> None:
        self.opened = opened
        self.times_s: list[float] = []  # of each message, on the event loop's clock
        self._context = context
        self._heard: asyncio.Queue[fleet.DeliverUp | None] = asyncio.Queue()
        self._ending = asyncio.Event()
        self.ended = asyncio.Event()  # however it ended

    async def send_body(self, body: inference.GenerateRequest) -> None:
        await self._context.write(fleet.DeliverDown(body=body))

    async def next(self) -> fleet.DeliverUp | None:
        """Return the next message, None after the last."""
        async with asyncio.timeout(WITHIN_S):
            return await self._heard.get()

    async def next_delta(self) -> inference.GenerationDelta:
        last = None
        while (message := await self.next()) is not None:
            if message.HasField("delta"):
                return message.delta
            last = message
        raise AssertionError(f"the answer ended: {last}")

    async def all(self) -> list[fleet.DeliverUp]:
        """Return every message that is still to come."""
        messages = []
        while (message := await self.next()) is not None:
            messages.append(message)
        return messages

    def end(self) -> None:
        """End the stream: this cancels the attempt."""
        self._ending.set()

    async def serve(self) -> None:
        reading = asyncio.ensure_future(self._read())
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait((reading, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            ending.cancel()
            self._heard.put_nowait(None)
            self.ended.set()

    async def _read(self) -> None:
        while isinstance(message := await self._context.read(), fleet.DeliverUp):
            self.times_s.append(asyncio.get_running_loop().time())
            self._heard.put_nowait(message)
            if message.WhichOneof("message") in ("finished", "failed"):
                return


class ScriptedCoordinator(fleet_grpc.FleetServicer):
    """Welcomes whoever attaches, in rising epochs, and hands each stream to the test."""

    def __init__(
        self,
        *,
        beat_every_ms: int = 50,
        coordinator_id: str = COORDINATOR_ID,
        enrolment: fleet_grpc.EnrolmentServicer | None = None,
    ) -> None:
        self.beat_every_ms = beat_every_ms
        self._enrolment = enrolment or fleet_grpc.EnrolmentServicer()
        self.coordinator_id = coordinator_id
        self.refuses: grpc.StatusCode | None = None
        self.tells: list[str] = []  # addresses of coordinators, in each welcome
        self.before_welcome: Callable[[], None] = lambda: None
        self.port = 0
        self.greeted = 0  # hellos heard
        self._epochs = count(1)
        self._attaches: asyncio.Queue[PlayedAttach] = asyncio.Queue()
        self._deliveries: asyncio.Queue[PlayedDelivery] = asyncio.Queue()
        self._streams: asyncio.Queue[None] = asyncio.Queue()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def attached(self) -> PlayedAttach:
        """Return the next control stream, already welcomed."""
        async with asyncio.timeout(WITHIN_S):
            return await self._attaches.get()

    async def delivered(self) -> PlayedDelivery:
        """Return the next answer stream."""
        async with asyncio.timeout(WITHIN_S):
            return await self._deliveries.get()

    async def stream_opened(self) -> None:
        """Wait for the next answer stream to be there, whether or not an attempt uses it."""
        async with asyncio.timeout(WITHIN_S):
            await self._streams.get()

    @property
    def streams_unseen(self) -> int:
        """Answer streams that were opened and not waited for."""
        return self._streams.qsize()

    async def Attach(self, _messages: object, context: Context) -> None:
        message = await context.read()
        assert isinstance(message, fleet.NodeMessage), message
        assert message.HasField("hello"), "the first message must be hello"
        self.greeted += 1
        if self.refuses is not None:
            await context.abort(self.refuses, "as the test says")
        self.before_welcome()
        attach = PlayedAttach(context, message.hello, next(self._epochs))
        await attach.send(
            welcome=fleet.Welcome(
                epoch=attach.epoch,
                coordinator_id=self.coordinator_id,
                protocol=1,
                beat_every_ms=self.beat_every_ms,
                coordinators=self.tells,
            )
        )
        self._attaches.put_nowait(attach)
        await attach.serve()

    async def Deliver(self, _messages: object, context: Context) -> None:
        self._streams.put_nowait(None)
        message = await context.read()
        if not isinstance(message, fleet.DeliverUp):
            return  # it stood by, and was not needed
        assert message.HasField("opened"), "the first message must be opened"
        delivery = PlayedDelivery(context, message.opened)
        self._deliveries.put_nowait(delivery)
        await delivery.serve()

    @asynccontextmanager
    async def serving(
        self, port: int = 0, credentials: grpc.ServerCredentials | None = None
    ) -> AsyncIterator["ScriptedCoordinator"]:
        """Listen on loopback, in plain text unless there are credentials."""
        server = grpc.aio.server(options=list(SERVER_OPTIONS))
        fleet_grpc.add_FleetServicer_to_server(self, server)
        fleet_grpc.add_EnrolmentServicer_to_server(self._enrolment, server)
        address = f"127.0.0.1:{port}"
        if credentials is None:
            self.port = server.add_insecure_port(address)
        else:
            self.port = server.add_secure_port(address, credentials)
        await server.start()
        try:
            yield self
        finally:
            await server.stop(grace=None)


def asking(prompt: str, **fields: Any) -> inference.GenerateRequest:
    """Return a request of one message."""
    part = inference.Part(text=prompt)
    message = inference.Message(role=inference.ROLE_USER, parts=[part])
    return inference.GenerateRequest(request_id="r", messages=[message], **fields)
