"""The network between a machine and the coordinator, as TCP shows it.

What is sent on a connection arrives in order and once, or the connection ends. So loss is delay:
a lost segment is sent again after a timeout that doubles, and whatever follows waits behind it. A
direction that is cut is silence, until it heals or one end gives the connection up. Each end
learns that for itself: they may disagree for a while about whether there is a connection.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from random import Random
from typing import Generic, TypeVar

from mesh.core.events import Event
from mesh.core.types import NodeId
from mesh.sim.chaos.fate import Fate

# Linux: the least retransmission timeout, doubled at each loss (RFC 6298, 5.5).
RETRANSMIT_S = 0.2
# Seconds until an end gives up one that does not answer. grpc as ``mesh.rpc`` sets it takes 4 to 13
# s; without one of its options it took a minute, and so the fleet must notice by itself.
KEEPALIVE_S = (3.0, 60.0)

Message = TypeVar("Message")


class Way(IntEnum):
    """A direction, as an index."""

    UP = 0  # from the machine
    DOWN = 1


@dataclass(slots=True)
class Link:
    """How well a machine is connected. Seconds, and a share of segments in [0, 1]."""

    node_id: NodeId
    delay_s: float  # one way
    jitter_s: float  # on average, on top
    loss: float
    cut_until_s: list[float] = field(default_factory=lambda: [0.0, 0.0])  # by Way
    deaf_until_s: float = 0.0  # the machine hears nothing, though the network is fine
    outages: int = 0  # counts them; tells one from the next

    def transit_s(self, rng: Random) -> float:
        """How long a segment sent now takes, if nothing is cut."""
        if not self.jitter_s and not self.loss:
            return self.delay_s
        took_s = self.delay_s + rng.expovariate(1 / max(self.jitter_s, 1e-9))
        again_s = RETRANSMIT_S
        while rng.random() < self.loss:
            took_s += again_s
            again_s *= 2
        return took_s

    def passes_s(self, way: Way, now_s: float) -> float:
        """When a segment that would arrive now does arrive."""
        passes_s, again_s, cut_until_s = now_s, RETRANSMIT_S, self.cut_until_s[way]
        while passes_s < cut_until_s:
            passes_s += again_s
            again_s *= 2
        return max(passes_s, self.deaf_until_s) if way is Way.DOWN else passes_s

    def up(self, now_s: float) -> bool:
        """Would a ping come back?"""
        return now_s >= max(*self.cut_until_s, self.deaf_until_s)


class Pipe(Generic[Message]):
    """One direction of a connection: in order, once, late."""

    __slots__ = ("_armed", "_deliver", "_fate", "_link", "_queue", "_way")

    def __init__(
        self, way: Way, link: Link, fate: Fate, deliver: Callable[[Message, float], Iterable[Event]]
    ) -> None:
        self._way, self._link, self._fate = way, link, fate
        self._deliver = deliver
        self._queue: deque[tuple[float, Message]] = deque()
        self._armed = False  # its first message is on the timeline

    def __len__(self) -> int:
        return len(self._queue)

    def send(self, message: Message, now_s: float) -> None:
        due_s = now_s + self._link.transit_s(self._fate.rng)
        self._queue.append((due_s, message))
        if not self._armed:
            self._armed = True
            self._fate.at(due_s, self._arrive)

    def drop(self) -> None:
        """What was sent and has not arrived never will."""
        self._queue.clear()

    def _arrive(self, now_s: float) -> Iterable[Event]:
        self._armed = False
        if not self._queue:
            return ()
        due_s = max(self._queue[0][0], self._link.passes_s(self._way, now_s))
        if due_s > now_s:
            self._arm(due_s)
            return ()
        _, message = self._queue.popleft()
        if self._queue:
            self._arm(max(now_s, self._queue[0][0]))
        return self._deliver(message, now_s)

    def _arm(self, due_s: float) -> None:
        self._armed = True
        self._fate.at(due_s, self._arrive)
