"""What a client leaves undone has an end, and what is no HTTP reaches nobody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from mesh.door import body as bodies
from mesh.door import connection, listening
from mesh.testing import delta, finished, started
from tests.mesh.door.conftest import Served, open_door

WITHIN_S = 10.0  # far longer than anything here takes; a test that hangs fails

HOST = b"host: localhost\r\n"
LIST = b"GET /v1/models HTTP/1.1\r\n" + HOST
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\n"
BODY = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
ASK = CHAT + b"content-length: %d\r\n\r\n" % len(BODY) + BODY


@dataclass(frozen=True, slots=True)
class Line:
    """A connection on which anything may be said."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Return the next answer's status and body."""
        async with asyncio.timeout(WITHIN_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return int(head.split()[1]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Return what else comes before the door ends the connection."""
        async with asyncio.timeout(WITHIN_S):
            return await self.reader.read()


@asynccontextmanager
async def line(served: Served) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "said",
    [
        CHAT + b"content-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        CHAT + b"content-length: -5\r\n\r\nabcde",
        CHAT + b"content-length: +5\r\n\r\nabcde",
        CHAT + b"content-length: " + b"9" * 5000 + b"\r\n\r\n",
        CHAT + "content-length: \uff15\r\n\r\nabcde".encode(),
        CHAT + b"content-length : 5\r\n\r\nabcde",
        CHAT + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        CHAT + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        CHAT + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        CHAT + b"x-deskmesh-session: a\0b\r\n\r\n",
        LIST + b"host: evil.example\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\n\r\n",
        b"GET /v1/models/\xff HTTP/1.1\r\n" + HOST + b"\r\n",
        LIST + b"x: " + b"a" * 100_000,
        b"GET /" + b"a" * 100_000,
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + b"x" * 200,  # TLS
        b"\0" * 100,
        b"\r\n\r\nmodel=auto\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_told_so_and_ends(served: Served, said: bytes) -> None:
    async with line(served) as opened:
        await opened.say(said)
        status, body = await opened.answer()
        assert status == 400
        assert b'"code":"invalid_http"' in body
        assert await opened.rest() == b""
    assert not served.asking.asked


async def test_two_lengths_of_one_body_are_refused(served: Served) -> None:
    """Else what one reader takes for the body is a request of its own to another."""
    async with line(served) as opened:
        both = b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" % len(BODY)
        await opened.say(CHAT + both)
        assert (await opened.answer())[0] == 400
    assert not served.asking.asked


async def test_http_2_is_declined_by_answering_in_1_1(served: Served) -> None:
    async with line(served) as opened:
        upgrade = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMA\r\n"
        await opened.say(LIST + upgrade + b"\r\n")
        assert (await opened.answer())[0] == 200
    async with line(served) as opened:
        await opened.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert b"HTTP/1.1 200" not in await opened.rest()


async def test_a_web_socket_is_declined_by_answering(served: Served) -> None:
    async with line(served) as opened:
        await opened.say(LIST + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n")
        assert (await opened.answer())[0] == 200


async def test_a_client_that_waits_for_leave_to_send_gets_it(served: Served) -> None:
    async with line(served) as opened:
        head = b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(BODY)
        await opened.say(CHAT + head)
        assert (await opened.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
        await opened.say(BODY)
        assert (await opened.answer())[0] == 200


async def test_requests_sent_ahead_are_answered_in_turn(served: Served) -> None:
    async with line(served) as opened:
        await opened.say(ASK + LIST + b"\r\n" + ASK)
        answers = [await opened.answer() for _ in range(3)]
    assert [status for status, _ in answers] == [200] * 3
    assert [b"chat.completion" in body for _, body in answers] == [True, False, True]
    assert len(served.asking.asked) == 2


async def test_a_client_that_sent_ahead_and_leaves_is_noticed(served: Served) -> None:
    served.asking.script = (started(), delta("one"), asyncio.Event(), finished())
    async with line(served) as opened:
        await opened.say(ASK + ASK)
        await asyncio.wait_for(served.asking.begun.wait(), WITHIN_S)
    await asyncio.wait_for(served.asking.closed.wait(), WITHIN_S)
    assert len(served.asking.asked) == 1


async def test_headers_that_never_end_are_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEADERS_WITHIN_S", 0.05)
    for said in (b"", b"GET", LIST):
        async with line(served) as opened:
            await opened.say(said)
            assert (await opened.answer())[0] == 408
            assert await opened.rest() == b""
    async with line(served) as opened:  # nor after an answer
        await opened.say(LIST + b"\r\n")
        assert (await opened.answer())[0] == 200
        await opened.say(b"GET")
        assert (await opened.answer())[0] == 408


async def test_a_body_that_never_ends_is_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_WITHIN_S", 0.05)
    monkeypatch.setattr(connection, "REST_WITHIN_S", 0.05)
    for said in (b"content-length: 100\r\n\r\n{", b"transfer-encoding: chunked\r\n\r\n1;"):
        async with line(served) as opened:
            await opened.say(CHAT + said)
            status, body = await opened.answer()
            assert (status, b"request_timeout" in body) == (408, True)
            assert await opened.rest() == b""
    assert not served.asking.asked


async def test_the_rest_of_a_refused_body_is_let_come(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_BYTES_MAX", 1000)
    async with line(served) as opened:
        await opened.say(CHAT + b"content-length: 2000\r\n\r\n" + b" " * 1000)
        assert (await opened.answer())[0] == 413
        await opened.say(b" " * 1000)
        await opened.say(LIST + b"\r\n")
        assert (await opened.answer())[0] == 200


async def test_bodies_together_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODIES_BYTES_MAX", 1000)
    async with line(served) as first:
        await first.say(CHAT + b"expect: 100-continue\r\ncontent-length: 900\r\n\r\n")
        await first.reader.readuntil(b"\r\n\r\n")
        await first.say(b" " * (900 - 1))
        for _ in range(1000):
            refused = await served.http.post("/v1/chat/completions", json={"model": "x" * 200})
            if refused.status_code == 429:
                break
        assert refused.json()["error"]["code"] == "overloaded"
        assert refused.headers["retry-after"] == "1"
    async with line(served) as opened:
        await opened.say(ASK)
        assert (await opened.answer())[0] == 200


async def test_a_client_that_never_reads_is_let_go(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "READ_WITHIN_S", 0.05)
    flood = [delta("x" * 100_000)] * 1000  # far more than sockets hold
    served.asking.script = (started(), *flood, finished())
    async with line(served) as opened:
        body = BODY[:-1] + b',"stream":true}'
        await opened.say(CHAT + b"content-length: %d\r\n\r\n" % len(body) + body)
        await asyncio.wait_for(served.asking.closed.wait(), WITHIN_S)


async def test_connections_are_so_many_and_others_work_again_when_they_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "CONNECTIONS_MAX", 20)
    async with open_door() as served:
        idle = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(20)]
        async with line(served) as opened:
            status, body = await opened.answer()
            assert (status, b'"code":"overloaded"' in body) == (503, True)
            assert await opened.rest() == b""
        for reader, writer in idle:
            writer.close()
            await reader.read()
        async with line(served) as opened:
            await opened.say(ASK)
            assert (await opened.answer())[0] == 200


async def test_a_door_that_closes_tells_a_running_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "STOP_WITHIN_S", 0)
    script = (started(), delta("one"), asyncio.Event(), finished())
    async with AsyncExitStack() as held:
        async with open_door(*script) as served:
            opened = await held.enter_async_context(line(served))
            body = BODY[:-1] + b',"stream":true}'
            await opened.say(CHAT + b"content-length: %d\r\n\r\n" % len(body) + body)
            await opened.reader.readuntil(b"one")
        told = await opened.rest()
    assert b'"code":"node_lost"' in told
    assert b"[DONE]" not in told
    assert served.asking.closed.is_set()
