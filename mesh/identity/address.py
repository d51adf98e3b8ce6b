"""Addresses as people write them: ``host:port``, and ``[host]:port`` for IPv6."""

import re

from mesh.errors import InvalidRequest

HOST_CHARACTERS_MAX = 253  # of a DNS name, RFC 1035
ADDRESS_CHARACTERS_MAX = HOST_CHARACTERS_MAX + len(":65535")

_IPV6 = r"\[([0-9A-Fa-f:.]+(?:%[0-9A-Za-z_.-]{1,16})?)\]"  # with the zone of a link-local one
_LABEL = r"[0-9A-Za-z_-]{1,63}"
_ADDRESS = re.compile(rf"(?:{_IPV6}|({_LABEL}(?:\.{_LABEL})*\.?)):([0-9]{{1,5}})")


def split_address(address: str) -> tuple[str, int]:
    """Return host (without brackets) and port of ``address``.

    Raises:
        InvalidRequest: it is not ``host:port``, or the port is not in [1, 65535].
    """
    match = _ADDRESS.fullmatch(address[: ADDRESS_CHARACTERS_MAX + 1])
    host, port = (match[1] or match[2], int(match[3])) if match else ("", 0)
    if not 1 <= len(host) <= HOST_CHARACTERS_MAX or not 1 <= port <= 65535:
        raise InvalidRequest(
            f"{address[:ADDRESS_CHARACTERS_MAX]!r} is no address",
            hint="write it as host:port, or [host]:port for IPv6",
        )
    return host, port


def join_address(host: str, port: int) -> str:
    """Return ``host:port``, with brackets around an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
