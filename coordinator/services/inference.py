"""``Inference``: what clients ask. A request becomes an event; what follows becomes its stream."""

import asyncio
import secrets
from typing import NoReturn

import grpc

from coordinator.access import Access, Caller, Context
from coordinator.clients import ClientStream
from coordinator.effects import Relay
from coordinator.loop import FleetLoop
from mesh.core.events import RequestArrived, RequestCancelled
from mesh.core.types import Request
from mesh.errors import MeshError, Overloaded, RequestExists, Unsupported
from mesh.rpc import abort
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import inference_pb2_grpc as inference_grpc
from mesh.wire.answers import error_of
from mesh.wire.models import write_models
from mesh.wire.requests import read_request

OPEN_MAX = 8192  # open requests: twice what waits and runs on a full mesh of 4,096 slots
OPEN_BYTES_MAX = 256 * 1024 * 1024  # their prompts: eight of the largest, or 60,000 usual ones
READ_WITHIN_S = 60.0  # a client that takes nothing for so long has forgotten us
HOPS_MAX = 4  # a region of regions of sites is three


class InferenceService(inference_grpc.InferenceServicer):
    """Serves clients on one port; ``access`` says who they are."""

    def __init__(self, loop: FleetLoop, relay: Relay, access: Access, mesh_id: str) -> None:
        self._loop = loop
        self._relay = relay
        self._access = access
        self._mesh_id = mesh_id

    async def Generate(self, request: inference.GenerateRequest, context: Context) -> None:
        """Relay one request. The client's leaving cancels it."""
        try:
            caller = self._access.admit("Inference/Generate", context)
            features = self._read(request, caller, context)
            self._enter(request)
        except MeshError as failure:
            await abort(context, failure)
        cancelled = RequestCancelled(features.key, "the client reads too slowly")
        client = ClientStream(features.key, request, lambda: self._loop.post(cancelled))
        self._relay.clients[features.key] = client
        size_bytes = request.ByteSize()
        self._relay.open_bytes += size_bytes
        self._loop.post(RequestArrived(features))
        try:
            while (event := await client.next()) is not None:
                async with asyncio.timeout(READ_WITHIN_S):
                    await context.write(event)
        except TimeoutError:
            client.too_slow = True
        except grpc.aio.InternalError:  # a write that was under way when the client left
            return
        finally:
            del self._relay.clients[features.key]
            self._relay.open_bytes -= size_bytes
            if not client.ended:
                self._loop.post(RequestCancelled(features.key, "the client left"))
        if client.too_slow:
            slow = "the answer is far ahead of what this client has read"
            await abort(context, Overloaded(slow, hint="read the stream as it comes"))
        if client.failure is not None:
            await abort(context, error_of(client.failure))

    async def ListModels(
        self, request: inference.ListModelsRequest, context: Context
    ) -> inference.ListModelsResponse:
        """Every model that a connected node holds."""
        try:
            self._access.admit("Inference/ListModels", context)
        except MeshError as failure:
            await abort(context, failure)
        nodes = self._loop.fleet.directory.nodes.values()
        return inference.ListModelsResponse(models=write_models(n for n in nodes if n.connected))

    async def Embed(
        self, request: inference.EmbedRequest, context: Context
    ) -> inference.EmbedResponse:
        await self._not_yet("Embed", context)

    async def CountTokens(
        self, request: inference.CountTokensRequest, context: Context
    ) -> inference.CountTokensResponse:
        await self._not_yet("CountTokens", context)

    async def SendFeedback(
        self, request: inference.Feedback, context: Context
    ) -> inference.Acknowledgement:
        await self._not_yet("SendFeedback", context)

    async def RecordOutcome(
        self, request: inference.Outcome, context: Context
    ) -> inference.Acknowledgement:
        await self._not_yet("RecordOutcome", context)

    def _read(
        self, message: inference.GenerateRequest, caller: Caller, context: Context
    ) -> Request:
        features = read_request(
            message,
            principal=caller.principal,
            now_s=self._loop.now_s,
            remaining_s=context.time_remaining(),
            from_coordinator_host=caller.on_this_host,
        )
        if features.key in self._relay.clients:
            raise RequestExists(
                f"request id {message.request_id} is in use", hint="make a new id for each request"
            )
        if len(self._relay.clients) >= OPEN_MAX:
            raise Overloaded(f"{OPEN_MAX} requests are open", hint="try again in a moment")
        if self._relay.open_bytes + message.ByteSize() > OPEN_BYTES_MAX:
            raise Overloaded(
                f"open requests hold {OPEN_BYTES_MAX // 2**20} MiB of prompts",
                hint="try again in a moment",
            )
        return features

    def _enter(self, message: inference.GenerateRequest) -> None:
        """Fill in what is decided where a request enters the mesh."""
        if not message.sampling.HasField("seed"):
            message.sampling.seed = secrets.randbits(63)
        message.route.origin_mesh = message.route.origin_mesh or self._mesh_id
        message.route.hops_left = HOPS_MAX  # a client's word on it counts for nothing

    async def _not_yet(self, name: str, context: Context) -> NoReturn:
        try:
            self._access.admit(f"Inference/{name}", context)
            raise Unsupported(f"{name} is not served by this version", hint="update deskmesh")
        except MeshError as failure:
            await abort(context, failure)
