"""One HTTP connection, with an end to everything that a client can leave undone.

uvicorn bounds the time between two requests and the size of headers. Its protocol is given four
more bounds here, for every path alike: headers must come within a time, and so must what is left of
a body whose request is answered; what is written must be read within a time; and connections are so
many. What it refuses by itself has OpenAI's shape too.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mesh.door.failures import SERVER, Refused, error_object
from mesh.door.fields import to_json

# Tools keep a few open each. Half of the 1,024 files that many systems allow a process; the mesh's
# own connections need the rest.
CONNECTIONS_MAX = 512
HEADERS_WITHIN_S = 10.0  # of the first byte's chance; a program sends them at once
# For the rest of a body that nobody waits for: whoever ends the connection while it is being sent
# takes the answer from its client.
REST_WITHIN_S = 5.0
READ_WITHIN_S = 60.0  # a client that takes nothing for so long has forgotten us; as over gRPC
# What may come before the answer to an earlier request is out. Reading goes on, or nobody would
# notice that the client has left.
AHEAD_BYTES_MAX = 64 * 1024


class Connection(H11Protocol):
    """Serves one client; ends it where it is not served."""

    _headers_due: asyncio.TimerHandle | None = None
    _rest_due: asyncio.TimerHandle | None = None
    _read_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            many = f"{CONNECTIONS_MAX} connections are open here"
            self._refuse(503, Refused(f"{many}; close some, or try again", code="overloaded"))
            return
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._has_rest():
            self._rest_came()
        if self.conn.their_state is h11.IDLE:
            self._expect_headers()
        else:
            self._headers_came()
        if self.flow.read_paused and self._answering():
            ahead_bytes = len(self.conn.trailing_data[0])
            if ahead_bytes <= AHEAD_BYTES_MAX:
                self.flow.resume_reading()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._has_rest():
            self._rest_due = self.loop.call_later(REST_WITHIN_S, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        self._rest_came()
        super().connection_lost(exc)  # which resumes writing

    def pause_writing(self) -> None:
        super().pause_writing()
        self._read_due = self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        if self._read_due is not None:
            self._read_due.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn says of what is no HTTP, or has too long headers."""
        self._refuse(400, Refused("this is no valid HTTP request", code="invalid_http"))

    def _answering(self) -> bool:
        """A request is complete, and its answer is not."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _has_rest(self) -> bool:
        """A request is answered, and its body is still being sent."""
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    def _rest_came(self) -> None:
        if self._rest_due is not None:
            self._rest_due.cancel()
            self._rest_due = None

    def _expect_headers(self) -> None:
        if self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADERS_WITHIN_S, self._headers_overdue)

    def _headers_came(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _headers_overdue(self) -> None:
        self._headers_due = None
        if not self.transport.is_closing():
            late = f"no whole request came within {HEADERS_WITHIN_S:g} seconds"
            self._refuse(408, Refused(late, code="request_timeout"))

    def _refuse(self, status: int, refused: Refused) -> None:
        """Answer, and end the connection, whatever was or was not said on it so far."""
        told = error_object(refused) | ({"type": SERVER} if status >= 500 else {})
        body = to_json({"error": told})
        head = (
            f"HTTP/1.1 {status} \r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
