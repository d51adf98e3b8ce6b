"""Looks at an engine, at what may be looked at alone. Every look is short and bounded."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any

import httpx2

from mesh.engine_address import EngineAddress
from mesh.version import VERSION
from node_agent.adopted.kinds import LOOKS, RECOGNISING, Kind

LOOK_WITHIN_S = 2.0  # an engine on this machine that takes longer is stuck, or under full load
LISTING_BYTES_MAX = 4 * 1024 * 1024  # of one look: a description with its licence has 100 KB


class NotThere(Exception):
    """Nobody listens there."""


class NoSense(Exception):
    """Somebody does, and what it says is no answer of an engine; or it says that it is not ready.

    ``status`` is its HTTP status, 0 where it is something else.
    """

    def __init__(self, status: int = 0) -> None:
        super().__init__()
        self.status = status


class Looking:
    """Asks one engine about itself."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._host, self.port = _host_and_port(client.base_url)
        self.kind: Kind | None = None  # None until it is recognised

    async def knock(self) -> None:
        """See whether anybody listens, and say nothing.

        Raises:
            NotThere: nobody does.
        """
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                _, writer = await asyncio.open_connection(self._host, self.port)
        except (OSError, TimeoutError):
            raise NotThere from None
        writer.close()

    async def ask(self, look: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object at ``look``, such as "GET /v1/models".

        Raises:
            NotThere, NoSense: as they say.
        """
        allowed = RECOGNISING if self.kind is None else LOOKS[self.kind]
        if look not in allowed:
            raise AssertionError(f"{look} is no place to look at in {self.kind}")
        method, path = look.split(" ")
        try:
            async with self._client.stream(
                method, path, json=body, timeout=LOOK_WITHIN_S
            ) as response:
                if response.status_code != 200:
                    raise NoSense(response.status_code)
                return await _object(response)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            raise NotThere from None
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise NoSense from None


def new_client(
    address: EngineAddress, key_variable: str = "", variables: Mapping[str, str] = os.environ
) -> httpx2.AsyncClient:
    """Return a client that goes there, and nowhere else.

    No proxy, which would read prompts; no redirects, which would carry them elsewhere; nothing of
    the environment but the key, which is read here and stands nowhere else.

    No connection is kept: an engine closes idle ones when it likes, and a new one on loopback takes
    a tenth of a millisecond.

    Args:
        key_variable: names the environment's variable that holds the engine's key; "" for none.
    """
    for name in ("httpx2", "httpcore2"):  # at DEBUG they write headers
        logging.getLogger(name).setLevel(logging.WARNING)
    headers = {"accept-encoding": "identity", "user-agent": f"deskmesh/{VERSION}"}
    if key := variables.get(key_variable, "").strip() if key_variable else "":
        headers["authorization"] = f"Bearer {key}"
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx2.AsyncClient(
        base_url=address.base,
        headers=headers,
        limits=limits,
        # Without the world's authorities, which take megabytes, where there is no TLS at all.
        verify=True if address.base.startswith("https") else SSLContext(PROTOCOL_TLS_CLIENT),
        follow_redirects=False,
        trust_env=False,
    )


ClientOf = Callable[[EngineAddress], httpx2.AsyncClient]


def _host_and_port(url: httpx2.URL) -> tuple[str, int]:
    return url.host, url.port or (443 if url.scheme == "https" else 80)


async def _object(response: httpx2.Response) -> dict[str, Any]:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > LISTING_BYTES_MAX:
            raise NoSense
    try:
        told = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise NoSense from None
    if not isinstance(told, dict):
        raise NoSense
    return told
