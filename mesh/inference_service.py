"""``Inference`` over gRPC, once, for every port that serves it: ``Asking`` is all that it knows."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc

from mesh.asking import Asking
from mesh.errors import InvalidRequest, MeshError, Overloaded, Unsupported
from mesh.receiving import Receiving
from mesh.rpc import abort, end
from mesh.serving import INFERENCE
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import inference_pb2_grpc as inference_grpc

READ_WITHIN_S = 60.0  # a client that takes nothing for so long has forgotten us

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Admitted:
    """Whoever makes a call."""

    principal: str  # who is to answer for it
    asking: Asking  # whom it asks


# Who calls a method, such as "Inference/Generate"; raises MeshError if it may not.
Admit = Callable[[str, Context], Admitted]


class InferenceService(inference_grpc.InferenceServicer):
    """Serves clients on one port; ``admit`` says who may, and whom they ask."""

    def __init__(self, admit: Admit) -> None:
        self._admit = admit
        self._receiving = Receiving()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve on ``server``.

        ``Generate`` is served as a stream of requests, which on the wire is the same: it reads its
        one message itself, once it knows who sends it, and takes its turn.
        """
        inference_grpc.add_InferenceServicer_to_server(self, server)
        generate = grpc.stream_stream_rpc_method_handler(
            self._generate,
            request_deserializer=inference.GenerateRequest.FromString,
            response_serializer=inference.GenerateEvent.SerializeToString,
        )
        server.add_registered_method_handlers(INFERENCE, {"Generate": generate})

    async def _generate(self, _messages: object, context: Context) -> None:
        """Relay one request. The client's leaving cancels it."""
        try:
            await self._relay(context)
        except TimeoutError:
            forgotten = "the answer is far ahead of what this client has read"
            end(context, Overloaded(forgotten, hint="read the stream as it comes"))
        except grpc.aio.InternalError:  # a write that was under way when the client left
            return
        except MeshError as failure:
            end(context, failure)

    async def _relay(self, context: Context) -> None:
        admitted = self._admit("Inference/Generate", context)
        async with self._receiving.turn(admitted.principal):
            request = await context.read()
        admitted = self._admit("Inference/Generate", context)  # revoked meanwhile?
        if not isinstance(request, inference.GenerateRequest):
            raise InvalidRequest("the call ended before its request", hint="send one")
        _narrow(request, context.time_remaining())
        async with aclosing(admitted.asking.answer(request)) as events:
            async for event in events:
                async with asyncio.timeout(READ_WITHIN_S):
                    await context.write(event)

    async def ListModels(
        self, request: inference.ListModelsRequest, context: Context
    ) -> inference.ListModelsResponse:
        """Every model that may be asked for now."""
        try:
            models = await self._admit("Inference/ListModels", context).asking.models()
        except MeshError as failure:
            await abort(context, failure)
        return inference.ListModelsResponse(models=models)

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
            self._admit(f"Inference/{name}", context)
            raise Unsupported(f"{name} is not served by this version", hint="update deskmesh")
        except MeshError as failure:
            await abort(context, failure)


def _narrow(request: inference.GenerateRequest, remaining_s: float | None) -> None:
    """Give the request no more time than its transport has."""
    if remaining_s is None:
        return
    remaining_ms = max(1, min(int(remaining_s * 1000), 2**32 - 1))
    request.deadline_ms = min(request.deadline_ms or remaining_ms, remaining_ms)
