"""``Inference``: what clients ask over gRPC. The desk answers."""

import asyncio
from contextlib import aclosing
from typing import NoReturn

import grpc

from coordinator.access import Access, Context
from coordinator.desk import Desk
from mesh.errors import MeshError, Overloaded, Unsupported
from mesh.rpc import abort
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import inference_pb2_grpc as inference_grpc

READ_WITHIN_S = 60.0  # a client that takes nothing for so long has forgotten us


class InferenceService(inference_grpc.InferenceServicer):
    """Serves clients on one port; ``access`` says who they are."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk = desk
        self._access = access

    async def Generate(self, request: inference.GenerateRequest, context: Context) -> None:
        """Relay one request. The client's leaving cancels it."""
        try:
            caller = self._access.admit("Inference/Generate", context)
            answering = self._desk.answer(request, caller, remaining_s=context.time_remaining())
            async with aclosing(answering) as events:
                async for event in events:
                    async with asyncio.timeout(READ_WITHIN_S):
                        await context.write(event)
        except TimeoutError:
            forgotten = "the answer is far ahead of what this client has read"
            await abort(context, Overloaded(forgotten, hint="read the stream as it comes"))
        except grpc.aio.InternalError:  # a write that was under way when the client left
            return
        except MeshError as failure:
            await abort(context, failure)

    async def ListModels(
        self, request: inference.ListModelsRequest, context: Context
    ) -> inference.ListModelsResponse:
        """Every model that may be asked for now."""
        try:
            self._access.admit("Inference/ListModels", context)
        except MeshError as failure:
            await abort(context, failure)
        return inference.ListModelsResponse(models=self._desk.models())

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

    async def _not_yet(self, name: str, context: Context) -> NoReturn:
        try:
            self._access.admit(f"Inference/{name}", context)
            raise Unsupported(f"{name} is not served by this version", hint="update deskmesh")
        except MeshError as failure:
            await abort(context, failure)
