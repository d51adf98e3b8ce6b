"""A model's replicas, however many, to be walked from a random place, or the quickest first."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from random import Random

from mesh.core.node import Replica
from mesh.core.types import NodeId

PIECE = 64  # as many as a pick looks at


@dataclass(slots=True)
class Pool:
    """At most one replica a node. Changes take constant time: the last takes a leaver's place."""

    _replicas: list[Replica] = field(default_factory=list)
    _places: dict[NodeId, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._replicas)

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._places

    def of(self, node_id: NodeId) -> Replica | None:
        """Return the node's replica, if it is here."""
        place = self._places.get(node_id)
        return None if place is None else self._replicas[place]

    def keep(self, replica: Replica, member: bool) -> None:
        """Hold ``replica`` or not; it takes the place of an older one of the same node."""
        if not member:
            self.discard(replica.node.node_id)
            return
        place = self._places.setdefault(replica.node.node_id, len(self._replicas))
        if place == len(self._replicas):
            self._replicas.append(replica)
        else:
            self._replicas[place] = replica

    def discard(self, node_id: NodeId) -> None:
        place = self._places.pop(node_id, None)
        if place is None:
            return
        last = self._replicas.pop()
        if place < len(self._replicas):
            self._replicas[place] = last
            self._places[last.node.node_id] = place

    def walk(self, rng: Random | None = None) -> Iterator[Replica]:
        """Yield every replica once, from a place that ``rng`` draws: who is first has no edge."""
        start = int(rng.random() * len(self._replicas)) if rng else 0
        return chain.from_iterable(self._pieces(start))

    def _pieces(self, start: int) -> Iterator[list[Replica]]:
        """Cut: whoever looks at a few of thousands need not pass by those before ``start``."""
        for first, end in ((start, len(self._replicas)), (0, start)):
            for place in range(first, end, PIECE):
                yield self._replicas[place : min(end, place + PIECE)]


RANKS = 48  # two for each doubling of a time, from 8 ms to a day


@dataclass(slots=True)
class Ranked:
    """Replicas by how quick they are, in steps of a factor of 1.4.

    A pick looks at few of a large mesh: these come from the quickest ranks, and within a rank from
    a random place, so that nobody is looked at more often for its place.
    """

    _pools: tuple[Pool, ...] = field(default_factory=lambda: tuple(Pool() for _ in range(RANKS)))
    _ranks: dict[NodeId, int] = field(default_factory=dict)
    # A bit for each rank that has somebody. A decision asks some hundred times who is quickest, and
    # most ranks are empty: to look at each was a tenth of it.
    _filled: int = 0

    def __len__(self) -> int:
        return len(self._ranks)

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._ranks

    def of(self, node_id: NodeId) -> Replica | None:
        """Return the node's replica, if it is here."""
        rank = self._ranks.get(node_id)
        return None if rank is None else self._pools[rank].of(node_id)

    def keep(self, replica: Replica, member: bool) -> None:
        """Hold ``replica`` at its rank, or not at all."""
        node_id = replica.node.node_id
        known = self._ranks.get(node_id)
        if known is not None and not (member and known == replica.rank):
            self._leave(known, node_id)
            del self._ranks[node_id]
        if member:
            self._ranks[node_id] = replica.rank
            self._pools[replica.rank].keep(replica, True)
            self._filled |= 1 << replica.rank

    def discard(self, node_id: NodeId) -> None:
        rank = self._ranks.pop(node_id, None)
        if rank is not None:
            self._leave(rank, node_id)

    def _leave(self, rank: int, node_id: NodeId) -> None:
        pool = self._pools[rank]
        pool.discard(node_id)
        if not len(pool):
            self._filled &= ~(1 << rank)

    def _filled_ranks(self) -> Iterator[int]:
        left = self._filled
        while left:
            lowest = left & -left
            yield lowest.bit_length() - 1
            left ^= lowest

    def within(self, rank: int) -> int:
        """Return how many are of this rank, or quicker."""
        return sum([len(self._pools[each]) for each in self._filled_ranks() if each <= rank])

    @property
    def first_rank(self) -> int:
        """The rank of the quickest; ``RANKS`` if there is none."""
        return next(self._filled_ranks(), RANKS)

    def walk(self, rng: Random | None = None) -> Iterator[Replica]:
        """Yield every replica once, rank by rank."""
        return chain.from_iterable(self._pools[rank].walk(rng) for rank in self._filled_ranks())
