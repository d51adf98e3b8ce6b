"""Nodes attach: each time in a new epoch, and in the place of an older connection."""

from mesh.core.actions import Action, AdmitNode, CloseConnection
from mesh.core.doubt import Doubt
from mesh.core.events import NodeAttached
from mesh.core.limits import FleetLimits
from mesh.core.node import Node
from mesh.core.requests import Requests
from mesh.core.timers import Due
from mesh.core.trust import Trust
from mesh.core.types import Epoch, Failure, FailureCode, NodeState

_SUPERSEDED = Failure(
    FailureCode.SUPERSEDED,
    "this node attached again",
    "if that was not you, two machines share one identity: join one of them anew",
)


_CONTESTED = Failure(
    FailureCode.SUPERSEDED,
    "another machine with this identity is attached, and answers",
    "two machines share one identity: on one of them remove `identity/` and join anew",
)
AT_ONCE_S = 1.0  # an agent that dials several addresses of ours does so within this


class Arrivals:
    """Admits nodes, with what is remembered of them."""

    def __init__(self, limits: FleetLimits, trust: Trust, doubt: Doubt, requests: Requests) -> None:
        self._limits = limits
        self._directory, self._timers = trust.directory, trust.timers
        self._trust = trust
        self._doubt = doubt
        self._requests = requests
        self._epochs = 0

    def attached(self, event: NodeAttached, now_s: float) -> list[Action]:
        """Admit a node in a new epoch; an older connection of the same node ends."""
        old = self._directory.nodes.get(event.node_id)
        if old is None and not self._has_room():
            failure = Failure(
                FailureCode.OVERLOADED, f"this mesh has its {self._limits.nodes_max} nodes already"
            )
            return [CloseConnection(event.connection_id, failure)]
        replaced = old if old is not None and old.connected else None
        actions: list[Action] = []
        if replaced is not None:
            if replaced.state is not NodeState.SUSPECT and not replaced.takeovers.take(now_s):
                return self._contested(replaced, event, now_s)
            if now_s - replaced.attached_s >= AT_ONCE_S:
                actions += self._trust.connection_lost(replaced, now_s)
            actions.append(CloseConnection(replaced.connection_id, _SUPERSEDED))
        node = self._admit(event, old, now_s)
        actions.append(AdmitNode(event.connection_id, node.node_id, node.epoch))
        if replaced is not None:
            actions += self._requests.node_replaced(replaced, _SUPERSEDED.message, now_s)
        return actions + self._requests.slots_freed(node.node_id, now_s)

    def _admit(self, event: NodeAttached, old: Node | None, now_s: float) -> Node:
        self._epochs += 1
        drained = old.drained_by_operator if old is not None else ""
        node = Node(
            node_id=event.node_id,
            machine=event.machine,
            epoch=Epoch(self._epochs),
            connection_id=event.connection_id,
            on_coordinator_host=event.on_coordinator_host,
            address=event.address,
            load=event.load,
            reported_s=now_s,
            heard_s=now_s,
            state=NodeState.DRAINING if drained else NodeState.ALIVE,
            state_since_s=now_s,
            state_reason=drained,
            rtt_s=old.rtt_s if old is not None else 0.0,
            drained_by_operator=drained,
            attached_s=now_s,
        )
        if old is not None:
            node.losses, node.breakers = old.losses, old.breakers
            node.takeovers = old.takeovers
        node.hold(event.offers)
        node.update(event.statuses)
        self._directory.index(node)
        self._doubt.listen_if_resting(now_s)
        self._timers.set(now_s + self._limits.suspect_after_s, Due.SILENCE, node.node_id)
        return node

    def _contested(self, node: Node, event: NodeAttached, now_s: float) -> list[Action]:
        """Whoever is there stays: the newcomer has taken its place too often."""
        line = (
            f"two machines take turns as {node.name}, from {node.address or 'here'} and as "
            f"{event.machine.name} from {event.address or 'here'}: they share one identity; "
            "on one of them remove `identity/` and join it anew"
        )
        told = self._trust.tell(node.node_id, "contested", line, now_s)
        return [CloseConnection(event.connection_id, _CONTESTED), *told]

    def _has_room(self) -> bool:
        """Is there room for one more node, at need that of the one that is gone for longest?"""
        nodes = self._directory.nodes
        if len(nodes) < self._limits.nodes_max:
            return True
        gone = [node for node in nodes.values() if not node.connected]
        if not gone:
            return False
        longest = min(gone, key=lambda node: node.state_since_s)
        self._timers.clear(Due.SILENCE, longest.node_id)
        self._directory.forget(longest.node_id)
        return True
