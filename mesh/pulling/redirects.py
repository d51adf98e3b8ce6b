"""Where a redirect may lead.

A server that is asked for a model must not make us ask another one inside this network, nor send
what was asked over an encrypted connection over a plain one.
"""

import socket
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

from mesh.errors import InvalidRequest
from mesh.pulling.reference import BadReference, check_address, is_loopback

REDIRECTS_MAX = 5  # Hugging Face takes two


def follow(asked_url: str, here_url: str, location: str) -> str:
    """Return the address that ``here_url`` sends us to.

    Args:
        asked_url: what the person named; if it is on this very machine, others here may follow.

    Raises:
        InvalidRequest: nothing is fetched from there.
    """
    target = urljoin(here_url, location)
    host = (urlsplit(asked_url).hostname or "").lower()
    try:
        check_address(target)
        parts = urlsplit(target)
        if urlsplit(here_url).scheme == "https" and parts.scheme != "https":
            raise BadReference("is not encrypted")
        to = (parts.hostname or "").lower()
        if to != host and not (is_loopback(host) and is_loopback(to)) and _is_private(to):
            raise BadReference("is inside a private network")
    except BadReference as why:
        raise InvalidRequest(
            f"{host} sends us to an address that {why}",
            hint="if you trust it, name that address yourself",
        ) from None
    return target


def _is_private(host: str) -> bool:
    """Whether any address of ``host`` is no public one. One that is not found is asked by a proxy,
    or not at all."""
    try:
        found = {str(each[4][0]) for each in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(not ip_address(each.partition("%")[0]).is_global for each in found)
