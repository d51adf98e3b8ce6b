"""The way to the upstream: its address, the operator's key, and the client that carries both.

Proxies: an HTTPS address is reached through the proxy that the environment names (``HTTPS_PROXY``,
``ALL_PROXY``, ``NO_PROXY``; on macOS the system's), since many offices have no other way out, and
the tunnel shows the proxy a host name and nothing more. Plain HTTP is for this very machine, and
goes through no proxy, which would read key and prompt. Nothing else of the environment is taken:
no ``.netrc``. Redirects are not followed: they would carry the key to a place nobody configured.
"""

import logging
import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

from coordinator.cloud.gate import Gate, GatedTransport
from mesh.errors import InvalidRequest
from mesh.identity.files import read_private
from mesh.settings import CloudSettings
from mesh.version import VERSION

# More calls at once than this are refused; an upstream's rate limit comes long before.
CALLS_MAX = 256
IDLE_CONNECTIONS_MAX = 8  # kept for 30 s: the next call saves a handshake of 50 to 200 ms
IDLE_S = 30.0

_KEY = re.compile(r"[\x21-\x7e]{1,4096}")  # what a header can carry, without a space
_OPENAI_OWN = re.compile(r"(api\.openai\.com|[a-z0-9-]+\.openai\.azure\.com)")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the upstream is."""

    endpoint: str  # of chat completions
    name: str  # shown to people and on receipts
    scheme: str
    host: str

    @property
    def limit_field(self) -> str:
        """What the upstream calls ``max_tokens``: OpenAI itself refuses the name all others use."""
        return "max_completion_tokens" if _OPENAI_OWN.fullmatch(self.host) else "max_tokens"


def read_address(base_url: str) -> Address:
    """Check ``cloud.base_url``.

    Raises:
        InvalidRequest: it is no address to send a key and prompts to; says why.
    """
    try:
        url = urlsplit(base_url)
        host, port = (url.hostname or "").lower(), url.port
    except ValueError:
        raise _bad_address("is no URL") from None
    if url.scheme not in ("http", "https") or not host:
        raise _bad_address("must begin with https:// and a host name")
    if url.username is not None or url.password is not None:
        raise _bad_address("holds a password", hint="put the key into cloud.api_key_file")
    if url.query or url.fragment or not base_url.isprintable() or " " in base_url:
        raise _bad_address("must end with a path such as /v1")
    if url.scheme == "http" and not _is_loopback(host):
        raise _bad_address(
            "is plain http to another machine, where key and prompts could be read on the way",
            hint="use https; http is for this machine's own loopback",
        )
    return Address(f"{base_url.rstrip('/')}/chat/completions", _name(url, port), url.scheme, host)


def read_key(settings: CloudSettings) -> str:
    """Return the key for the upstream, "" if it needs none.

    Raises:
        InvalidRequest: the settings give two, or what is no key.
        NotAuthenticated: other users may read the file.
        ServiceError: the file cannot be read.
    """
    key, file = settings.api_key.get_secret_value(), settings.api_key_file
    if file is None:
        return _checked(key, "cloud.api_key") if key else ""
    if key:
        raise InvalidRequest(
            "cloud.api_key and cloud.api_key_file are both set", hint="keep one of them"
        )
    path = file.expanduser()
    try:
        content = read_private(path, mend="put the key alone into it")
    except FileNotFoundError:
        raise InvalidRequest(
            f"cloud.api_key_file is {path}, and there is no such file",
            hint="put the key alone into it, and chmod 600",
        ) from None
    return _checked(content.decode("ascii", "replace").strip(), f"cloud.api_key_file ({path})")


def new_client(address: Address, key: str, gate: Gate) -> httpx2.AsyncClient:
    """Return a client that sends nothing without a pass of ``gate``.

    Raises:
        InvalidRequest: the environment names a proxy that cannot be used.
    """
    # At DEBUG these two write headers, and at INFO a line for each call.
    for name in ("httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    limits = httpx2.Limits(
        max_connections=CALLS_MAX,
        max_keepalive_connections=IDLE_CONNECTIONS_MAX,
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
    }
    if key:
        headers["authorization"] = f"Bearer {key}"
    return httpx2.AsyncClient(
        transport=GatedTransport(below, gate),
        headers=headers,
        follow_redirects=False,
        trust_env=False,
    )


def _proxy_for(address: Address) -> str | None:
    if address.scheme != "https" or _is_loopback(address.host) or proxy_bypass(address.host):
        return None
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _name(url: SplitResult, port: int | None) -> str:
    host = url.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _checked(key: str, what: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidRequest(f"{what} holds no key, or more than a key", hint="put the key alone")
    return key


def _bad_address(
    what: str, hint: str = "write it like https://api.example.com/v1"
) -> InvalidRequest:
    return InvalidRequest(f"cloud.base_url {what}", hint=hint)
