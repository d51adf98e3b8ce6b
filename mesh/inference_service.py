"""``Inference`` over gRPC, once, for every port that serves it: ``Asking`` is all that it knows."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from mesh.asking import Asking
from mesh.errors import InvalidRequest, MeshError, Overloaded
from mesh.receiving import Receiving
from mesh.rpc import MESSAGE_BYTES_MAX, abort, end
from mesh.serving import INFERENCE
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import inference_pb2_grpc as inference_grpc

Message = TypeVar("Message")

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

        What may be large is served as a stream of requests, which on the wire is the same: it
        reads its one message itself, once it knows who sends it, and takes its turn.
        """
        inference_grpc.add_InferenceServicer_to_server(self, server)
        generate = grpc.stream_stream_rpc_method_handler(
            self._generate,
            request_deserializer=inference.GenerateRequest.FromString,
            response_serializer=inference.GenerateEvent.SerializeToString,
        )
        embed = grpc.stream_stream_rpc_method_handler(
            self._embed,
            request_deserializer=inference.EmbedRequest.FromString,
            response_serializer=inference.EmbedResponse.SerializeToString,
        )
        count_tokens = grpc.stream_stream_rpc_method_handler(
            self._count_tokens,
            request_deserializer=inference.CountTokensRequest.FromString,
            response_serializer=inference.CountTokensResponse.SerializeToString,
        )
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Generate": generate,
            "Embed": embed,
            "CountTokens": count_tokens,
        }
        server.add_registered_method_handlers(INFERENCE, handlers)

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
        admitted, request = await self._receive("Generate", inference.GenerateRequest, context)
        _narrow(request, context.time_remaining())
        async with aclosing(admitted.asking.answer(request)) as events:
            async for event in events:
                async with asyncio.timeout(READ_WITHIN_S):
                    await context.write(event)

    async def _embed(self, _messages: object, context: Context) -> None:
        """Turn texts into vectors. The client's leaving cancels it."""
        try:
            admitted, request = await self._receive("Embed", inference.EmbedRequest, context)
            _narrow(request, context.time_remaining())
            response = await admitted.asking.embeddings(request)
            if response.ByteSize() > MESSAGE_BYTES_MAX:
                raise InvalidRequest(
                    "the vectors are too many for a message", hint="send fewer texts"
                )
            await context.write(response)
        except grpc.aio.InternalError:  # as in _generate
            return
        except MeshError as failure:
            end(context, failure)

    async def _count_tokens(self, _messages: object, context: Context) -> None:
        """Count the tokens of a prompt."""
        kind = inference.CountTokensRequest
        try:
            admitted, request = await self._receive("CountTokens", kind, context)
            await context.write(await admitted.asking.token_count(request))
        except grpc.aio.InternalError:  # as in _generate
            return
        except MeshError as failure:
            end(context, failure)

    async def _receive(
        self, name: str, kind: type[Message], context: Context
    ) -> tuple[Admitted, Message]:
        """Read the one message of a call, in its caller's turn."""
        admitted = self._admit(f"Inference/{name}", context)
        async with self._receiving.turn(admitted.principal):
            request = await context.read()
        admitted = self._admit(f"Inference/{name}", context)  # revoked meanwhile?
        if not isinstance(request, kind):
            raise InvalidRequest("the call ended before its request", hint="send one")
        return admitted, request

    async def ListModels(
        self, request: inference.ListModelsRequest, context: Context
    ) -> inference.ListModelsResponse:
        """Every model that may be asked for now."""
        try:
            models = await self._admit("Inference/ListModels", context).asking.models()
        except MeshError as failure:
            await abort(context, failure)
        return inference.ListModelsResponse(models=models)

    async def SendFeedback(
        self, request: inference.Feedback, context: Context
    ) -> inference.Acknowledgement:
        """How good an answer was."""
        try:
            await self._admit("Inference/SendFeedback", context).asking.feedback(request)
        except MeshError as failure:
            await abort(context, failure)
        return inference.Acknowledgement()

    async def RecordOutcome(
        self, request: inference.Outcome, context: Context
    ) -> inference.Acknowledgement:
        """What became of a task."""
        try:
            await self._admit("Inference/RecordOutcome", context).asking.outcome(request)
        except MeshError as failure:
            await abort(context, failure)
        return inference.Acknowledgement()


def _narrow(
    request: inference.GenerateRequest | inference.EmbedRequest, remaining_s: float | None
) -> None:
    """Give the request no more time than its transport has."""
    if remaining_s is None:
        return
    remaining_ms = max(1, min(int(remaining_s * 1000), 2**32 - 1))
    request.deadline_ms = min(request.deadline_ms or remaining_ms, remaining_ms)
