"""``POST /v1/embeddings``: texts as vectors, in OpenAI's shape."""

import asyncio
import base64
import sys
from array import array
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationError
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from mesh.asking import Asking
from mesh.core.embedding import INPUTS_MAX, VECTOR_TYPE, Vector
from mesh.door.asked_headers import AskedHeaders, read_headers
from mesh.door.body import Bodies, ClientLeft
from mesh.door.conversation import TAG, Given, Text
from mesh.door.failures import Refused, failed_response
from mesh.door.fields import receipt_object, to_json
from mesh.door.leaving import stopping, until_client_leaves
from mesh.door.receipt_headers import receipt_headers
from mesh.door.words import refusal
from mesh.errors import MeshError
from mesh.v1 import inference_pb2 as inference
from mesh.wire.requests import NAME_CHARACTERS_MAX


def _input_kind(value: Any) -> str:
    return f"{TAG}text" if isinstance(value, str) else f"{TAG}texts"


Input = Annotated[Text, Field(min_length=1)]
Inputs = Annotated[
    Annotated[Input, Tag("=text")]
    | Annotated[
        list[Input], Field(min_length=1, max_length=INPUTS_MAX, fail_fast=True), Tag("=texts")
    ],
    Discriminator(_input_kind),
]


class EmbeddingsBody(Given):
    """What may be asked for."""

    model: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS_MAX)]
    input: Inputs
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None  # taken and left alone: who asks is known by the door that they use
    dimensions: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What the mesh is asked, and how the vectors are to be written."""

    request: inference.EmbedRequest
    base64: bool


class EmbeddingsEndpoint:
    """An ASGI application, as ``ChatCompletions`` is: it needs to know when its client leaves."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Refused for what nobody is asked, and Overloaded."""
        try:
            headers = read_headers(scope)
            asked = read_embeddings(await self._bodies.read(scope, receive), headers)
        except ClientLeft:
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                leaving = tasks.create_task(until_client_leaves(receive))
                await self._answer(asked, scope, receive, send)
                leaving.cancel()
        except* ClientLeft:
            pass  # the request was cancelled with it; nobody is there to tell

    async def _answer(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        shown = {"x-request-id": asked.request.request_id}
        try:
            response = await self._asking.embeddings(asked.request)
        except MeshError as failure:
            await failed_response(failure, headers=shown)(scope, receive, send)
            return
        except asyncio.CancelledError:
            await failed_response(stopping(), headers=shown)(scope, receive, send)
            raise
        body = _body(response, in_base64=asked.base64)
        headers = receipt_headers(response.receipt) | shown
        told = StreamingResponse(body, headers=headers, media_type="application/json")
        await told.stream_response(send)


def read_embeddings(given: dict[str, Any], headers: AskedHeaders) -> Asked:
    """Check a body and return what it asks.

    Raises:
        Refused: a parameter is missing, unknown, malformed or out of range; names it.
    """
    try:
        body = EmbeddingsBody.model_validate(given)
    except ValidationError as failure:
        raise refusal(failure) from None
    if body.dimensions is not None:
        raise Refused(
            "'dimensions' is not supported: vectors have the width of their model",
            hint="leave it out",
            param="dimensions",
            code="unsupported_parameter",
        )
    texts = [body.input] if isinstance(body.input, str) else body.input
    request = inference.EmbedRequest(
        request_id=headers.request_id,
        model=body.model,
        inputs=texts,
        tier=headers.tier,
        deadline_ms=headers.deadline_ms,
    )
    return Asked(request, base64=body.encoding_format == "base64")


async def _body(response: inference.EmbedResponse, *, in_base64: bool) -> AsyncIterator[bytes]:
    """Yield it vector by vector: as decimals, 2,048 of them hold the event loop up for seconds."""
    yield b'{"object":"list","data":['
    for index, each in enumerate(response.embeddings):
        vector = _in_base64(each.values) if in_base64 else list(each.values)
        told = {"object": "embedding", "index": index, "embedding": vector}
        yield (b"," if index else b"") + to_json(told)
        await asyncio.sleep(0)
    attempts, tokens = response.receipt.attempts, response.usage.prompt_tokens
    rest = {
        "model": attempts[-1].model_name if attempts else "",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "deskmesh": receipt_object(response.receipt),
    }
    yield b"]," + to_json(rest)[1:]


def _in_base64(values: Sequence[float]) -> str:
    """Little-endian floats of 32 bits, as OpenAI's own clients ask for unasked."""
    vector: Vector = array(VECTOR_TYPE, values)
    if sys.byteorder == "big":
        vector.byteswap()
    return base64.b64encode(vector.tobytes()).decode()
