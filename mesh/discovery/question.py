"""One question to the network, "who offers deskmesh?", asked from a port of its own.

Why not leave it to the browser of python-zeroconf, which asks as well? Because of two delays that
together can exceed the second in which machines shall find each other:

- A responder may not multicast a record again within a second (RFC 6762 section 6), so a machine
  that begins to listen just after another's announcements waits for its answer that long.
- The way around that is an answer by unicast, to port 5353. But that port is shared by every mDNS
  program of a machine, and the system gives a unicast packet to one of them, any one.

A question from another port (RFC 6762 sections 5.1 and 6.7) is answered at once, to that port,
and to all others as usual by multicast. Where a firewall drops the unicast answer, the multicast
one comes a little later. Sending also shows whether multicast is possible at all: here, unlike in
the library's transports, a refusal by the system comes back as an ``OSError``.
"""

import asyncio
import secrets
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from mesh.discovery.interfaces import Interface

SERVICE_TYPE = "_deskmesh._tcp.local."

_GROUP_IPV4, _GROUP_IPV6, _PORT = "224.0.0.251", "ff02::fb", 5353
_HOPS = 255  # RFC 6762 section 11: sent with 255, so that a router's doing shows
_TYPE_PTR, _CLASS_IN = 12, 1


@asynccontextmanager
async def asked(
    interfaces: Sequence[Interface], on_answer: Callable[[bytes], None]
) -> AsyncIterator[dict[Interface, OSError]]:
    """Ask once on every interface; yield those that refused, and why.

    Until the context is left, ``on_answer`` gets the answers: whole DNS messages, of at most
    64 KB, as strangers sent them.
    """
    refused: dict[Interface, OSError] = {}
    query_id = secrets.randbelow(1 << 16)
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as open_transports:
        for interface in interfaces:
            try:
                asking = _send(interface, _query(query_id))
            except OSError as failure:
                refused[interface] = failure
                continue
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Answers(query_id, on_answer), sock=asking
            )
            open_transports.callback(transport.close)
        yield refused


class _Answers(asyncio.DatagramProtocol):
    """Takes the answers to one question, and drops what else is sent to its port."""

    def __init__(self, query_id: int, on_answer: Callable[[bytes], None]) -> None:
        self._query_id = query_id.to_bytes(2, "big")
        self._on_answer = on_answer

    def datagram_received(self, data: bytes, _addr: object) -> None:
        if data.startswith(self._query_id):
            self._on_answer(data)


def _send(interface: Interface, query: bytes) -> socket.socket:
    """Return a socket that has just sent ``query`` to the interface's mDNS group."""
    family = socket.AF_INET if interface.ipv4 else socket.AF_INET6
    asking = socket.socket(family, socket.SOCK_DGRAM)
    try:
        asking.setblocking(False)
        if interface.ipv4:
            source = socket.inet_aton(interface.ipv4)
            asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, source)
            asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, _HOPS)
            asking.bind((interface.ipv4, 0))
            asking.sendto(query, (_GROUP_IPV4, _PORT))
        else:
            asking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface.index)
            asking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
            asking.sendto(query, (_GROUP_IPV6, _PORT, 0, interface.index))
    except OSError:
        asking.close()
        raise
    return asking


def _query(query_id: int) -> bytes:
    """Return the DNS message that asks for every instance of our service type."""
    header = struct.pack("!6H", query_id, 0, 1, 0, 0, 0)
    labels = SERVICE_TYPE.rstrip(".").split(".")
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    return header + name + struct.pack("!2H", _TYPE_PTR, _CLASS_IN)
