"""The body of a request: bounded in size, in time and in parts before anybody looks into it."""

import asyncio
import json
from typing import Any, NoReturn

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from mesh.door.failures import Refused
from mesh.errors import Overloaded
from mesh.rpc import MESSAGE_BYTES_MAX

BODY_BYTES_MAX = MESSAGE_BYTES_MAX  # what is more could not travel on either
BODY_WITHIN_S = 20.0  # 32 MiB come over loopback in a tenth of a second
# Of all bodies that are on their way. As many connections as may be open would else fill 16 GiB.
BODIES_BYTES_MAX = 8 * BODY_BYTES_MAX
# Outside of strings, `{`, `[` and `,`. 16,384 parts, the most that the mesh takes, have 65,000; a
# body of 32 MiB could have 11 million, which would hold up everyone for a second and take 1 GB.
SEPARATORS_MAX = 200_000
QUOTES_MAX = 4 * SEPARATORS_MAX


class ClientLeft(Exception):
    """The client's connection ended: nobody is there to answer."""


class Bodies:
    """Reads the bodies of all requests of one door."""

    def __init__(self) -> None:
        self._held_bytes = 0

    async def read(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        """Read a request's body, which is one JSON object.

        Raises:
            Refused: it is too large, too slow, or no JSON object. The words hold nothing of it.
            Overloaded: others send too much just now.
            ClientLeft: the client did not wait to be answered.
        """
        _check_headers(Headers(scope=scope))
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                body = await self._receive(receive)
        except TimeoutError:
            raise Refused(
                f"the body did not come within {BODY_WITHIN_S:g} seconds",
                code="request_timeout",
                status=408,
            ) from None
        return parse(body)

    async def _receive(self, receive: Receive) -> bytes:
        pieces: list[bytes] = []
        size_bytes, more = 0, True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                pieces.append(message.get("body", b""))
                size_bytes += len(pieces[-1])
                self._held_bytes += len(pieces[-1])
                if size_bytes > BODY_BYTES_MAX:
                    raise _too_large()
                if self._held_bytes > BODIES_BYTES_MAX:
                    raise _too_much()
                more = message.get("more_body", False)
        finally:
            self._held_bytes -= size_bytes
        return b"".join(pieces)


def parse(body: bytes) -> dict[str, Any]:
    """Return the JSON object in ``body``: standard JSON in UTF-8, each key once.

    Raises:
        Refused: it is something else.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        _not_json(f"byte {failure.start} is not valid UTF-8")
    _check_parts(body)
    try:
        given = json.loads(text, object_pairs_hook=_each_key_once, parse_constant=_no_constant)
    except json.JSONDecodeError as failure:
        _not_json(f"line {failure.lineno}, column {failure.colno}: {failure.msg}")
    except RecursionError:
        _not_json("it is nested too deeply")
    except ValueError:  # of a number with thousands of digits
        _not_json("a number is too long")
    if not isinstance(given, dict):
        _not_json("it must be an object")
    return given


def _check_headers(headers: Headers) -> None:
    kind = headers.get("content-type", "")
    media_type, _, parameters = kind.partition(";")
    charset = parameters.partition("charset=")[2].strip('" ').lower()
    if media_type.strip().lower() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise Refused(
            "the Content-Type header must say application/json",
            code="unsupported_content_type",
            status=415,
        )
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(
            "the body is compressed",
            hint="send it as it is",
            code="unsupported_content_encoding",
            status=415,
        )
    if "content-length" in headers and "transfer-encoding" in headers:
        raise Refused(
            "the headers tell two lengths of the body", code="invalid_http"
        )  # RFC 9112 6.3
    if int(headers.get("content-length", "0")) > BODY_BYTES_MAX:  # h11 lets digits through alone
        raise _too_large()


def _check_parts(body: bytes) -> None:
    """Refuse what would take long to parse; the exact count is for suspects alone."""
    if _separators(body) <= SEPARATORS_MAX:
        return
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    if bare.count(b'"') > QUOTES_MAX or _separators(b"".join(bare.split(b'"')[::2])) > (
        SEPARATORS_MAX
    ):
        raise Refused("the body has more values than any conversation", code="invalid_json")


def _separators(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[") + text.count(b",")


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    given = dict(pairs)
    if len(given) < len(pairs):
        _not_json("an object has the same key twice")
    return given


def _no_constant(_: str) -> NoReturn:
    _not_json("NaN and Infinity are no JSON numbers")


def _too_large() -> Refused:
    limit = f"{BODY_BYTES_MAX // 2**20} MiB"
    return Refused(f"the body is larger than {limit}", code="request_too_large", status=413)


def _too_much() -> Overloaded:
    limit = f"{BODIES_BYTES_MAX // 2**20} MiB"
    return Overloaded(f"bodies of {limit} are being sent here", hint="try again in a moment")


def _not_json(why: str) -> NoReturn:
    raise Refused(
        f"the body of the request is not valid JSON: {why}", code="invalid_json"
    ) from None
