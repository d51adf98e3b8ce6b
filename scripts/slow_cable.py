"""A cable that is slow and loses frames: what ``tc``'s netem does, where a kernel lacks it.

``python -m scripts.slow_cable carry ONE OTHER --delay-ms D --jitter-ms J --loss L --seed S`` passes
Ethernet frames on between two interfaces of its namespace, each way alike, until it is ended.
``python -m scripts.slow_cable plain NAME ...`` has interfaces send frames as a cable carries them:
checksums done and cut to size, which Linux else leaves to hardware that is not there.
"""

import argparse
import ctypes
import fcntl
import heapq
import random
import selectors
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

_EVERY_PROTOCOL = 0x0003  # linux/if_ether.h: ETH_P_ALL
_FRAME_BYTES_MAX = 65_535
_HELD_MAX = 1_000  # frames on their way, each way; more are lost: netem's default ``limit``
_SIOCETHTOOL = 0x8946  # linux/sockios.h
# linux/ethtool.h: ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO
_OFFLOADS = (0x17, 0x1F, 0x24)


@dataclass(slots=True)
class Way:
    """Frames from one interface to the other."""

    source: socket.socket
    target: socket.socket
    delay_s: float
    jitter_s: float
    loss: float
    rng: random.Random
    _held: list[tuple[float, bytes]] = field(default_factory=list)
    _last_s: float = 0.0

    def take(self, now_s: float) -> None:
        """Take in what has come; lose some."""
        while True:
            try:
                frame, address = self.source.recvfrom(_FRAME_BYTES_MAX)
            except BlockingIOError:
                return
            if address[2] == socket.PACKET_OUTGOING:  # ours, as it leaves
                continue
            if self.rng.random() < self.loss or len(self._held) >= _HELD_MAX:
                continue
            late_s = self.delay_s + self.rng.uniform(-self.jitter_s, self.jitter_s)
            self._last_s = max(self._last_s, now_s + late_s)  # a cable keeps their order
            heapq.heappush(self._held, (self._last_s, frame))

    def give(self, now_s: float) -> float | None:
        """Pass on what is due, and return when the next is; None: nothing is held."""
        while self._held and self._held[0][0] <= now_s:
            frame = heapq.heappop(self._held)[1]
            try:
                self.target.send(frame)
            except OSError:  # its end is unplugged, or full: lost
                continue
        return self._held[0][0] if self._held else None


def carry(ways: Sequence[Way]) -> None:
    """Pass frames on for ever."""
    with selectors.DefaultSelector() as selector:
        for way in ways:
            selector.register(way.source, selectors.EVENT_READ, way)
        while True:
            due_s = [due for way in ways if (due := way.give(time.monotonic())) is not None]
            wait_s = max(0.0, min(due_s) - time.monotonic()) if due_s else None
            for key, _ in selector.select(wait_s):
                key.data.take(time.monotonic())


def plain(name: str) -> None:
    """Have an interface leave nothing of a frame to hardware."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for offload in _OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", offload, 0), 8)
            request = struct.pack("16sP", name.encode(), ctypes.addressof(value))
            fcntl.ioctl(asking, _SIOCETHTOOL, request)


def _end_of(name: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERY_PROTOCOL))
    end.bind((name, 0))
    end.setblocking(False)
    return end


def main(arguments: Sequence[str]) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m scripts.slow_cable")
    parser.add_argument("what", choices=("carry", "plain"))
    parser.add_argument("interfaces", nargs="+")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="of each frame, one way")
    parser.add_argument("--jitter-ms", type=float, default=0.0, help="more or less than that")
    parser.add_argument("--loss", type=float, default=0.0, help="share of frames, 0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if given.what == "plain":
        for name in given.interfaces:
            plain(name)
        return
    one, other = (_end_of(name) for name in given.interfaces)
    rng = random.Random(given.seed)  # noqa: S311 - of lost frames
    how = (given.delay_ms / 1000, given.jitter_ms / 1000, given.loss, rng)
    print("carrying", flush=True)
    carry([Way(one, other, *how), Way(other, one, *how)])


if __name__ == "__main__":
    main(sys.argv[1:])
