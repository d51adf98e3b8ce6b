"""Carries the page to the browsers of other machines: ``Operations.Browse``.

An agent's loopback asks for a path and passes the answer on as it comes. The same function answers
as does for this machine's own browsers, so there is no second set of addresses to guard; and what
any of them can reach is a page, its files, its events and the metrics.
"""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import Response, StreamingResponse

from coordinator.pages.pages import Pages
from mesh.errors import InvalidRequest, Overloaded
from mesh.v1 import operations_pb2 as operations

TARGET_CHARACTERS_MAX = 256
HEADERS_MAX = 32
CHUNK_BYTES = 64 * 1024  # a message of gRPC may be larger, but nothing else on the stream waits
# Answers under way at a time for one machine: a few open pages, and what each of them loads. One
# machine alone cannot take all the streams that there are.
OF_ONE_MACHINE_MAX = 12
PASSED_ON = ("last-event-id",)  # the only header of a browser that matters


class Carried:
    """Answers ``Browse``."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._under_way: Counter[str] = Counter()  # by principal; those that have none are removed

    async def browse(
        self, request: operations.BrowseRequest, principal: str
    ) -> AsyncGenerator[operations.BrowseResponse, None]:
        """Yield status and headers, then the body as it comes.

        Raises:
            InvalidRequest: that is no address, or the headers are too many.
            Overloaded: too many pages are open.
        """
        if not 0 < len(request.path) <= TARGET_CHARACTERS_MAX or request.path[0] != "/":
            raise InvalidRequest(f"a path begins with / and has up to {TARGET_CHARACTERS_MAX}")
        if len(request.headers) > HEADERS_MAX:
            raise InvalidRequest(f"at most {HEADERS_MAX} headers are carried")
        if self._under_way[principal] >= OF_ONE_MACHINE_MAX:
            raise Overloaded(
                f"{OF_ONE_MACHINE_MAX} answers are under way to this machine", hint="close a page"
            )
        headers = {
            each.name.lower(): each.value
            for each in request.headers
            if each.name.lower() in PASSED_ON
        }
        self._under_way[principal] += 1
        try:
            answer = self._pages.answer(request.path, headers)
            yield _head(answer)
            async with aclosing(_body(answer)) as parts:
                async for part in parts:
                    yield operations.BrowseResponse(body=part)
        finally:
            self._under_way[principal] -= 1
            if not self._under_way[principal]:
                del self._under_way[principal]


def _head(answer: Response) -> operations.BrowseResponse:
    return operations.BrowseResponse(
        status=answer.status_code,
        headers=[
            operations.BrowseHeader(name=name, value=value)
            for name, value in answer.headers.items()
        ],
    )


async def _body(answer: Response) -> AsyncGenerator[bytes, None]:
    if not isinstance(answer, StreamingResponse):
        body = bytes(answer.body)
        for start in range(0, len(body), CHUNK_BYTES):
            yield body[start : start + CHUNK_BYTES]
        return
    stream = answer.body_iterator
    try:
        async for part in stream:
            assert isinstance(part, bytes), "events are bytes"
            yield part
    finally:
        # At once, and not when the collector comes: it counts among those that look.
        if (close := getattr(stream, "aclose", None)) is not None:
            await close()
