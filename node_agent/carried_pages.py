"""The mesh-health page on this machine: fetched from the coordinator, as its browser asks for it.

What is carried is what the coordinator answers, status and headers with it, so every machine shows
one and the same page. Nothing of it is kept here.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from typing import Any

import grpc
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from mesh import sending
from mesh.errors import InvalidRequest, MeshError
from mesh.rpc import broke_off, from_rpc
from mesh.v1 import operations_pb2 as operations
from node_agent.uplink import Uplink

PATHS = ("/", "/events", "/metrics", "/nodes/{key}", "/{file}")  # which files, the page knows
HEAD_WITHIN_S = 10.0  # as for every other question to a coordinator
HEADERS_CARRIED = ("last-event-id",)  # of a browser; its cookies are no business of the mesh
HEADER_CHARACTERS_MAX = 256
AGAIN_AFTER_S = 3  # a page that found nobody looks again by itself
OURS = frozenset({"content-length", "transfer-encoding", "connection"})  # of this connection

Call = Any  # grpc.aio.UnaryStreamCall, whose types gRPC does not tell


class CarriedPages:
    """An application for every path of the page."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink

    def routes(self) -> list[BaseRoute]:
        """Return the routes for ``mesh.door``."""
        return [Route(path, self, methods=["GET"]) for path in PATHS]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one browser. Its leaving ends the call at once."""
        request, answered = Request(scope), False
        try:
            async with self._browsed(request) as (head, call):
                answered = True
                headers = {each.name: each.value for each in head.headers if each.name not in OURS}
                body = _body(head, call)
                await StreamingResponse(body, head.status, headers)(scope, receive, send)
        except MeshError as failure:
            if answered:
                raise
            await _nobody(request, failure)(scope, receive, send)

    @asynccontextmanager
    async def _browsed(
        self, request: Request
    ) -> AsyncIterator[tuple[operations.BrowseResponse, Call]]:
        """Ask the coordinator for what the browser asks for; give the first message of its answer.

        Raises:
            MeshError: there is none.
        """
        try:
            async with self._uplink.lent(None) as connection:
                call = connection.operations.Browse(_asked(request))
                try:
                    async with asyncio.timeout(HEAD_WITHIN_S):
                        head = await call.read()
                    if head is grpc.aio.EOF:
                        raise MeshError("the coordinator's answer was empty", hint="try again")
                    yield head, call
                finally:
                    call.cancel()
        except sending.OutOfReach as failure:
            raise failure.why from None
        except grpc.aio.AioRpcError as failure:
            raise from_rpc(failure) from None
        except TimeoutError:
            raise MeshError("the coordinator is too slow", hint="try again in a moment") from None


async def _body(head: operations.BrowseResponse, call: Call) -> AsyncIterator[bytes]:
    """Pass the rest on; where the connection breaks off it ends, and the browser asks again."""
    if head.body:
        yield head.body
    try:
        while (more := await call.read()) is not grpc.aio.EOF:
            yield more.body
    except grpc.aio.AioRpcError as failure:
        if not broke_off(failure):
            raise from_rpc(failure) from None


def _asked(request: Request) -> operations.BrowseRequest:
    query = f"?{request.url.query}" if request.url.query else ""
    return operations.BrowseRequest(
        path=request.url.path + query,
        headers=[
            operations.BrowseHeader(name=name, value=value[:HEADER_CHARACTERS_MAX])
            for name in HEADERS_CARRIED
            if (value := request.headers.get(name)) is not None
        ],
    )


def _nobody(request: Request, failure: MeshError) -> Response:
    """What is to be seen while there is no page."""
    headers = {"retry-after": str(AGAIN_AFTER_S), "cache-control": "no-store"}
    if isinstance(failure, InvalidRequest):  # no address of the page is that long
        return PlainTextResponse(f"{failure}\n", 404, headers)
    if request.url.path != "/":
        return PlainTextResponse(f"{failure}\n", 503, headers)
    said, hint = escape(failure.message), escape(failure.hint)
    html = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<meta http-equiv="refresh" content="{AGAIN_AFTER_S}"><title>deskmesh</title>'
        f"<h1>The mesh cannot be seen from here</h1><p>{said}.</p><p>{hint}</p>"
        "<p>Programs of this machine are answered by its own models meanwhile, if it lends any. "
        "This page looks again by itself.</p></html>"
    )
    return HTMLResponse(html, 503, headers)
