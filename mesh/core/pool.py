"""A model's replicas, however many, to be walked from a random place."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from random import Random

from mesh.core.node import Replica
from mesh.core.types import NodeId


@dataclass(slots=True)
class Pool:
    """At most one replica a node. Changes take constant time: the last takes a leaver's place."""

    _replicas: list[Replica] = field(default_factory=list)
    _places: dict[NodeId, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._replicas)

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._places

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
        return chain(islice(self._replicas, start, None), islice(self._replicas, start))
