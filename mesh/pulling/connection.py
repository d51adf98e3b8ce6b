"""One request for the rest of a file, through redirects, with the token for its own host alone."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Self
from urllib.parse import urlsplit

import httpx2

from mesh.errors import InvalidRequest
from mesh.pulling.no_way import is_refused
from mesh.pulling.pace import Pace
from mesh.pulling.redirects import REDIRECTS_MAX, follow
from mesh.pulling.source import Source
from mesh.pulling.tries import Later
from mesh.version import VERSION

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@cache
def _trusted(*, by_environment: bool) -> ssl.SSLContext:
    """Whom connections trust; read once, as it takes 50 ms and a model may come in many parts."""
    return httpx2.create_ssl_context(trust_env=by_environment)


class Connection:
    """A client that fetches one source. Proxies are those that the environment names, but for this
    very machine, which needs none."""

    def __init__(self, source: Source, pace: Pace) -> None:
        self._source = source
        by_environment = urlsplit(source.url).scheme == "https"
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(pace.read_s, connect=pace.connect_s),
            follow_redirects=False,  # each is looked at first, and the token stays behind
            trust_env=by_environment,
            verify=_trusted(by_environment=by_environment),
            headers={"user-agent": f"deskmesh/{VERSION}", "accept-encoding": "identity"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @contextmanager
    def rest(self, done_bytes: int, if_range: str) -> Iterator[httpx2.Response]:
        """Yield the answer to a request for what follows ``done_bytes``; its body is not read yet.

        Raises:
            InvalidRequest: a redirect leads where nothing is fetched from, or in circles.
            Later: no answer, or none any more while the context is open.
        """
        asked = {"range": f"bytes={done_bytes}-"} if done_bytes else {}
        if done_bytes and if_range:
            asked["if-range"] = if_range
        with self._reaching():
            yield from self._answer(asked)

    @contextmanager
    def first_byte(self) -> Iterator[httpx2.Response]:
        """Yield the answer to a request for one byte: it tells the size of all, where a server
        that signs addresses would refuse HEAD. Raises as ``rest`` does."""
        with self._reaching():
            yield from self._answer({"range": "bytes=0-0"})

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Raises Later for whatever becomes of a connection."""
        try:
            yield
        except httpx2.ConnectError as failure:
            why = f"{self._source.host} cannot be reached"
            raise Later(why, reached=False, refused=is_refused(failure)) from None
        except httpx2.TimeoutException as failure:
            connected = not isinstance(failure, httpx2.ConnectTimeout)
            raise Later(f"{self._source.host} is silent", reached=connected) from None
        except (httpx2.HTTPError, httpx2.StreamError):
            raise Later(f"{self._source.host} broke the connection off") from None

    def _answer(self, asked: dict[str, str]) -> Iterator[httpx2.Response]:
        url = self._source.url
        for _ in range(REDIRECTS_MAX + 1):
            with self._client.stream("GET", url, headers={**asked, **self._secret(url)}) as answer:
                location = answer.headers.get("location", "")
                if answer.status_code not in _REDIRECTS or not location:
                    yield answer
                    return
            url = follow(self._source.url, url, location)
        raise InvalidRequest(
            f"{self._source.host} redirects more than {REDIRECTS_MAX} times",
            hint="name the address that the file has",
        )

    def _secret(self, url: str) -> dict[str, str]:
        """Only where it was meant for: the same host and port, and as encrypted."""
        here, there = urlsplit(self._source.url), urlsplit(url)
        own = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        token = self._source.token
        return {"authorization": f"Bearer {token}"} if own and token else {}
