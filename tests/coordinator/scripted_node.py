"""A node that does what the test says, over real mTLS: the coordinator's neighbour, played."""

import asyncio
from types import TracebackType
from typing import Any, Self

import grpc

from mesh.core.types import (
    AttemptId,
    Capability,
    FinishReason,
    Load,
    Model,
    ModelIdentity,
    Offer,
    ReplicaState,
    ReplicaStatus,
)
from mesh.dial import mesh_channel
from mesh.identity.machine import MachineIdentity
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import fleet_pb2_grpc as fleet_grpc
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from mesh.wire.models import write_offer
from mesh.wire.nodes import write_report

WITHIN_S = 20.0  # far longer than anything here takes; a test that hangs fails


CAPABILITIES = frozenset({Capability.RESUME, Capability.LOGPROBS})


def model(name: str, *, digest: str = "a", test: bool = False) -> Model:
    identity = ModelIdentity(digest * 64, "b" * 64, "Q8_0")
    return Model(identity, (name,), "llama", 135_000_000, 145_000_000, 2048, test=test)


class ScriptedNode:
    """One attached node. Use as ``async with``; then tell it what to do."""

    def __init__(
        self, address: str, identity: MachineIdentity, *models: Model, slots: int = 1
    ) -> None:
        self.node_id = identity.peer.fingerprint
        self.name = f"desk-{self.node_id[:4]}"
        self._models = models
        self._slots = slots
        self._channel = mesh_channel(address, identity)
        self._stub = fleet_grpc.FleetStub(self._channel)
        self._sequence = 0
        self.epoch = 0
        self.attach: Any = None

    async def __aenter__(self) -> Self:
        self.attach = self._stub.Attach()
        await self.attach.write(fleet.NodeMessage(hello=self.hello()))
        welcome = await self.command()
        assert welcome.WhichOneof("message") == "welcome"
        self.epoch = welcome.welcome.epoch
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.attach is not None:
            self.attach.cancel()
        await self._channel.close()

    def hello(self) -> fleet.Hello:
        statuses = [
            (ordinal, ReplicaStatus(ReplicaState.WARM, slots=self._slots))
            for ordinal in range(len(self._models))
        ]
        report = write_report(epoch=0, sequence=0, load=Load(), statuses=statuses)
        return fleet.Hello(
            node_id=self.node_id,
            machine=fleet.MachineInfo(name=self.name, platform="Linux", cores=2, version="1"),
            protocol_min=1,
            protocol_max=1,
            offers=[
                write_offer(ordinal, Offer(each, 2048, CAPABILITIES))
                for ordinal, each in enumerate(self._models)
            ],
            report=report,
        )

    async def also_offer(self, capability: "inference.Capability") -> None:
        offers = self.hello().offers
        for offer in offers:
            offer.capabilities.append(capability)
        inventory = fleet.InventoryChanged(offers=offers)
        await self.attach.write(fleet.NodeMessage(inventory=inventory))
        await self.report()

    async def report(self, *, slots_taken: int = 0, owner_busy: bool = False) -> None:
        self._sequence += 1
        statuses = [
            (ordinal, ReplicaStatus(ReplicaState.WARM, self._slots, slots_taken))
            for ordinal in range(len(self._models))
        ]
        report = write_report(
            epoch=self.epoch,
            sequence=self._sequence,
            load=Load(owner_busy=owner_busy),
            statuses=statuses,
        )
        await self.attach.write(fleet.NodeMessage(report=report))

    async def refuse(self, start: fleet.StartAttempt, reason: "fleet.RefusalReason") -> None:
        refused = fleet.AttemptRefused(epoch=self.epoch, attempt_id=start.attempt_id, reason=reason)
        await self.attach.write(fleet.NodeMessage(refused=refused))

    async def command(self, *, pings: bool = False) -> fleet.CoordinatorMessage:
        """Return the next command, passing over pings unless they are wanted."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                message = await self.attach.read()
                assert isinstance(message, fleet.CoordinatorMessage), f"attach ended: {message}"
                if pings or message.WhichOneof("message") != "ping":
                    return message

    async def told_to_start(self) -> fleet.StartAttempt:
        message = await self.command()
        assert message.WhichOneof("message") == "start", message
        return message.start

    def deliver(self) -> "ScriptedDelivery":
        return ScriptedDelivery(self._stub.Deliver(), self.epoch)

    async def ended(self) -> grpc.StatusCode:
        """Wait for the coordinator to end Attach, and return its status."""
        async with asyncio.timeout(WITHIN_S):
            code: grpc.StatusCode = await self.attach.code()
            return code


class ScriptedDelivery:
    """One answer stream."""

    def __init__(self, call: Any, epoch: int) -> None:
        self._call = call
        self._epoch = epoch

    async def open(self, attempt_id: int) -> Self:
        opened = fleet.DeliverOpened(epoch=self._epoch, attempt_id=AttemptId(attempt_id))
        await self._call.write(fleet.DeliverUp(opened=opened))
        return self

    async def body(self) -> inference.GenerateRequest:
        down = await self._call.read()
        assert isinstance(down, fleet.DeliverDown)
        return down.body

    async def start(self, prompt_tokens: int = 3) -> None:
        started = inference.GenerationStarted(
            prompt_ids=range(prompt_tokens), prompt_tokens=prompt_tokens, numerics="n"
        )
        await self._call.write(fleet.DeliverUp(started=started))

    async def tokens(self, offset: int, *texts: str) -> None:
        for index, text in enumerate(texts):
            await self.delta(token_offset=offset + index, ids=[7], text=text)

    async def delta(self, **fields: Any) -> None:
        delta = inference.GenerationDelta(**fields)
        await self._call.write(fleet.DeliverUp(delta=delta))

    async def finish(self, completion_tokens: int) -> None:
        finished = inference.GenerationFinished(
            reason=enums.write(enums.FINISH_REASON, FinishReason.STOP),
            usage=inference.Usage(prompt_tokens=3, completion_tokens=completion_tokens),
        )
        await self._call.write(fleet.DeliverUp(finished=finished))
        assert await self.ended() is grpc.StatusCode.OK

    async def answer(self, attempt_id: int, *texts: str) -> None:
        """A whole answer."""
        await self.open(attempt_id)
        await self.start()
        await self.tokens(0, *texts)
        await self.finish(len(texts))

    async def fail(self, code: str, message: str) -> None:
        failed = fleet.AttemptFailed(code=code, message=message)
        await self._call.write(fleet.DeliverUp(failed=failed))

    async def ended(self) -> grpc.StatusCode:
        """Wait for the coordinator to end the stream, and return its status."""
        async with asyncio.timeout(WITHIN_S):
            code: grpc.StatusCode = await self._call.code()
            return code

    def drop(self) -> None:
        self._call.cancel()
