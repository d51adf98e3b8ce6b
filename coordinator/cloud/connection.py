"""The way to an upstream: its address, and the client that carries the key there.

Proxies: an HTTPS address is reached through the proxy that the environment names (``HTTPS_PROXY``,
``ALL_PROXY``, ``NO_PROXY``; on macOS the system's), since many offices have no other way out, and
the tunnel shows the proxy a host name and nothing more. Plain HTTP is for this very machine, and
goes through no proxy, which would read key and prompt. Nothing else of the environment is taken:
no ``.netrc``. Redirects are not followed: they would carry the key to a place nobody configured.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2
from pydantic import SecretStr

from coordinator.cloud.gate import Gate, GatedTransport
from mesh.engine_address import is_loopback
from mesh.errors import InvalidRequest
from mesh.version import VERSION

# More calls at once than this are refused; an upstream's rate limit comes long before.
CALLS_MAX = 256
IDLE_CONNECTIONS_MAX = 8  # kept for 30 s: the next call saves a handshake of 50 to 200 ms
IDLE_S = 30.0
# Of http, which is loopback alone: a new connection costs a tenth of a millisecond there, and local
# servers close idle ones after 5 s (llama.cpp's, uvicorn), now and then just as a call is sent.
IDLE_CONNECTIONS_PLAIN_MAX = 0


@dataclass(frozen=True, slots=True)
class Address:
    """Where an upstream is."""

    base: str  # up to its /v1, without a slash at its end
    name: str  # host and port, as they are shown to people
    scheme: str
    host: str

    def endpoint(self, path: str, query: Mapping[str, str]) -> str:
        """Return the one address that is ever called there."""
        return f"{self.base}{path}{f'?{urlencode(query)}' if query else ''}"


def read_address(base_url: str, where: str = "cloud") -> Address:
    """Check a base URL from the table ``where`` of the settings.

    Raises:
        InvalidRequest: it is no address to send a key and prompts to; says why.
    """
    try:
        url = urlsplit(base_url)
        host, port = (url.hostname or "").lower(), url.port
    except ValueError:
        raise _bad_address(where, "is no URL") from None
    if url.scheme not in ("http", "https") or not host:
        raise _bad_address(where, "must begin with https:// and a host name")
    if url.username is not None or url.password is not None:
        hint = f"put the key into {where}.api_key_file"
        raise _bad_address(where, "holds a password", hint=hint)
    if url.query or url.fragment or not base_url.isprintable() or " " in base_url:
        raise _bad_address(where, "must end with a path such as /v1")
    if url.scheme == "http" and not is_loopback(host):
        raise _bad_address(
            where,
            "is plain http to another machine, where key and prompts could be read on the way",
            hint="use https; http is for this machine's own loopback",
        )
    return Address(base_url.rstrip("/"), _name(url, port), url.scheme, host)


def new_client(
    address: Address,
    own_headers: Mapping[str, str],
    gate: Gate,
    key_header: tuple[str, SecretStr] | None = None,
) -> httpx2.AsyncClient:
    """Return a client that sends nothing without a pass of ``gate``.

    Args:
        own_headers: of this upstream: the API's version, and what the operator adds.
        key_header: what carries the key, and the key as it does; None where none is needed.

    Raises:
        InvalidRequest: the environment names a proxy that cannot be used.
    """
    # At DEBUG these two write headers, and at INFO a line for each call.
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    limits = httpx2.Limits(
        max_connections=CALLS_MAX,
        max_keepalive_connections=(
            IDLE_CONNECTIONS_MAX if address.scheme == "https" else IDLE_CONNECTIONS_PLAIN_MAX
        ),
        keepalive_expiry=IDLE_S,
    )
    try:
        below = httpx2.AsyncHTTPTransport(limits=limits, proxy=_proxy_for(address))
    except (ValueError, ImportError, httpx2.InvalidURL):
        raise InvalidRequest(
            "the environment names a proxy for the way to the cloud that cannot be used",
            hint="HTTPS_PROXY takes http:// and https://; NO_PROXY makes exceptions",
        ) from None
    headers = {
        "accept": "text/event-stream",
        "accept-encoding": "identity",  # a few compressed kilobytes could become gigabytes
        "content-type": "application/json",
        "user-agent": f"deskmesh/{VERSION}",
        **own_headers,
    }
    return httpx2.AsyncClient(
        transport=GatedTransport(below, gate, key_header),
        headers=headers,
        follow_redirects=False,
        trust_env=False,
    )


def _proxy_for(address: Address) -> str | None:
    if address.scheme != "https" or is_loopback(address.host) or proxy_bypass(address.host):
        return None
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _name(url: SplitResult, port: int | None) -> str:
    host = url.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _bad_address(
    where: str, what: str, hint: str = "write it like https://api.example.com/v1"
) -> InvalidRequest:
    return InvalidRequest(f"{where}.base_url {what}", hint=hint)
