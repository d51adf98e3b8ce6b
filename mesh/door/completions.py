"""``POST /v1/chat/completions``: one request, answered as a stream or whole.

The status and the headers are sent when the first token is there. A failure before that is a real
HTTP status; machines that were tried and failed before it are nobody's business but the receipt's.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mesh.asking import Asking
from mesh.door.asked import Asked, read_chat
from mesh.door.asked_headers import read_headers
from mesh.door.body import Bodies, ClientLeft
from mesh.door.chunks import Chunks
from mesh.door.failures import failed_response
from mesh.door.leaving import stopping, until_client_leaves
from mesh.door.receipt_headers import receipt_headers, started_headers
from mesh.door.whole import WholeAnswer
from mesh.errors import AnswerLost, MeshError
from mesh.v1 import inference_pb2 as inference

Events = AsyncGenerator[inference.GenerateEvent, None]

_STREAM_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class ChatCompletions:
    """The endpoint, as an ASGI application: it needs to know when its client leaves."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._bodies = Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Refused for what nobody is asked, and Overloaded."""
        try:
            headers = read_headers(scope)
            asked = read_chat(await self._bodies.read(scope, receive), headers)
        except ClientLeft:
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                leaving = tasks.create_task(until_client_leaves(receive))
                async with aclosing(self._asking.answer(asked.request)) as events:
                    answering = _Answering(asked, scope, receive, send)
                    await (answering.stream(events) if asked.stream else answering.whole(events))
                leaving.cancel()
        except* ClientLeft:
            pass  # closing the events has cancelled the request; nobody is there to tell


class _Answering:
    """One request on its way to an answer."""

    def __init__(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        self._asked = asked
        self._connection = (scope, receive, send)
        self._send = send
        self._answer_id = f"chatcmpl-{asked.request.request_id}"
        self._started = inference.GenerationStarted()
        self._failed: inference.GenerationFailed | None = None
        self._created = int(time.time())

    async def whole(self, events: Events) -> None:
        answer = WholeAnswer(self._asked, self._answer_id, self._created)
        finished: inference.GenerationFinished | None = None
        try:
            async for event in events:
                match event.WhichOneof("event"):
                    case "delta":
                        answer.add(event.delta)
                    case "restarted":
                        answer = WholeAnswer(self._asked, self._answer_id, self._created)
                    case "finished":
                        finished = event.finished
                    case _:
                        self._note(event)
            if finished is None:
                raise _never_finished()
        except MeshError as failure:
            await self._fail(failure)
            return
        except asyncio.CancelledError:
            await self._fail(stopping())
            raise
        headers = receipt_headers(finished.receipt) | self._headers()
        body = answer.body(self._started, finished)
        await Response(body, headers=headers, media_type="application/json")(*self._connection)

    async def stream(self, events: Events) -> None:
        chunks: Chunks | None = None  # there once the headers are sent
        finished = False
        try:
            async for event in events:
                kind = event.WhichOneof("event")
                if kind in ("delta", "finished"):
                    beginning = b""
                    if chunks is None:
                        chunks, beginning = await self._begin()
                    finished = kind == "finished"
                    told = chunks.last(event.finished) if finished else chunks.delta(event.delta)
                    if beginning or told:
                        await self._write(beginning + told, more=not finished)
                else:
                    self._note(event)
            if not finished:
                raise _never_finished()
        except MeshError as failure:
            if chunks is None:
                await self._fail(failure)
            elif not finished:
                await self._write(chunks.broken(failure), more=False)
        except asyncio.CancelledError:
            if chunks is None:
                await self._fail(stopping())
            elif not finished:
                await self._write(chunks.broken(stopping()), more=False)
            raise

    async def _begin(self) -> tuple[Chunks, bytes]:
        """Send status and headers, and return what writes the rest, and its first chunk."""
        chunks = Chunks(self._asked, self._answer_id, self._created, self._started)
        headers = {**_STREAM_HEADERS, **self._headers()}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})
        return chunks, chunks.first()

    async def _write(self, body: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _fail(self, failure: MeshError) -> None:
        headers = self._headers()
        await failed_response(failure, self._failed, headers)(*self._connection)

    def _headers(self) -> dict[str, str]:
        return started_headers(self._asked.request.request_id, self._started)

    def _note(self, event: inference.GenerateEvent) -> None:
        """Keep what is told before the first token, and before a failure."""
        match event.WhichOneof("event"):
            case "started":
                self._started = event.started
            case "failed":
                self._failed = event.failed
            case _:
                pass  # of a newer protocol


def _never_finished() -> MeshError:
    return AnswerLost("the answer ended without a word", hint="ask again")
