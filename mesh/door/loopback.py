"""Who may come through the door: programs of this machine, and pages that it served itself.

A web page from anywhere can make a browser send requests to ``localhost``, and a name that its
owner points at 127.0.0.1 makes them "same origin" (DNS rebinding). What a browser cannot lie about
is checked: the Host that it believes to talk to, the Origin of the page that asks, and where that
page stands to us (``Sec-Fetch-Site``). There are no CORS headers, so no other page reads an answer.
Programs send none of these but Host.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from mesh.door.failures import Refused, failed_response

_HOST = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::([0-9]{1,5}))?", re.IGNORECASE)
_ORIGIN = re.compile(rb"http://(.+)")
_CHECKED = frozenset({b"host", b"origin", b"sec-fetch-site"})


class LoopbackOnly:
    """Lets through what comes from this machine and is meant for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = why_not(scope["headers"]) if scope["type"] == "http" else None
        if refused is None:
            await self._app(scope, receive, send)
        else:
            await failed_response(refused)(scope, receive, send)


def why_not(headers: list[tuple[bytes, bytes]]) -> Refused | None:
    """Return why a request with such headers is not let through, or None."""
    named = [(name, value) for name, value in headers if name in _CHECKED]
    given = dict(named)
    if len(given) < len(named):
        return _refused("a header that tells who asks is given twice", "send it once")
    host = _HOST.fullmatch(given.get(b"host", b""))
    if host is None:
        return _refused(
            "this door serves its own machine alone, and the Host header names another",
            "use http://localhost:PORT; from another machine, join it to the mesh",
        )
    if b"origin" in given and not _is_our_own(given[b"origin"], host[1]):
        return _refused(
            "a web page of another origin may not use this door",
            "send requests from a program, or from the page that this door serves",
        )
    if given.get(b"sec-fetch-site", b"").lower() == b"cross-site":
        return _refused(
            "a web page of another site may not use this door",
            "type the address into the browser, or open it from a bookmark",
        )
    return None


def _is_our_own(origin: bytes, port: bytes | None) -> bool:
    """Is ``origin`` that of a page which this door served? By whichever name of this machine."""
    from_http = _ORIGIN.fullmatch(origin)
    host = _HOST.fullmatch(from_http[1]) if from_http else None
    return host is not None and int(host[1] or 80) == int(port or 80)


def _refused(message: str, hint: str) -> Refused:
    return Refused(message, hint=hint, status=403, code="forbidden")
