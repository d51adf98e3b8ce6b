"""Who is there: nodes attach, report, fall silent, sleep, leave.

=========  ======================================  =======================================
state      entered when                            what it means
=========  ======================================  =======================================
alive      it attaches, or reports again           may get work
suspect    silent for ``suspect_after_s``          nothing new; unseen work moves if it can
draining   an operator or its owner asked          nothing new; running work finishes
asleep     it said so                              its return is expected
lost       its stream broke, or silent too long    its attempts are lost
=========  ======================================  =======================================
"""

from collections.abc import Iterable

from mesh.core.actions import Action, AdmitNode, CloseConnection
from mesh.core.directory import Directory
from mesh.core.events import (
    ConnectionLost,
    InventoryReported,
    NodeAttached,
    NodeDrained,
    NodeLeft,
    NodeReported,
    RoundTripMeasured,
)
from mesh.core.limits import FleetLimits
from mesh.core.node import Node
from mesh.core.requests import Requests
from mesh.core.timers import Due, Timers
from mesh.core.types import Epoch, Failure, FailureCode, NodeId, NodeState

RTT_WEIGHT = 0.2  # of a new sample in the moving average: five pings settle it
RTT_S_MAX = 60.0  # beyond it a node is lost; NaN and infinity are no measurements either
_SILENT = "silent for {:.1f} s"
_SUPERSEDED = Failure(
    FailureCode.SUPERSEDED,
    "this node attached again",
    "if that was not you, two machines share one identity: join one of them anew",
)


class Membership:
    """Keeps the directory's nodes true, and tells requests when one fails them."""

    def __init__(
        self, limits: FleetLimits, directory: Directory, timers: Timers, requests: Requests
    ) -> None:
        self._limits = limits
        self._directory = directory
        self._timers = timers
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
        node = self._admit(event, old, now_s)
        actions: list[Action] = [AdmitNode(event.connection_id, node.node_id, node.epoch)]
        if old is not None and old.connected:
            actions.insert(0, CloseConnection(old.connection_id, _SUPERSEDED))
            actions += self._requests.node_replaced(old, _SUPERSEDED.message, now_s)
        return actions + self._requests.slots_freed(node.node_id, now_s)

    def reported(self, event: NodeReported, now_s: float) -> list[Action]:
        node = self._current(event.node_id, event.epoch)
        if node is None or event.sequence <= node.sequence:
            return []
        whole = node.state is NodeState.SUSPECT or event.load.owner_busy != node.load.owner_busy
        returned = event.load.owner_busy and not node.load.owner_busy
        node.sequence, node.reported_s, node.load = event.sequence, now_s, event.load
        about = node.update(event.statuses)
        if node.state is NodeState.SUSPECT:
            node.become(NodeState.ALIVE, now_s)
            self._timers.set(now_s + self._limits.suspect_after_s, Due.SILENCE, node.node_id)
        self._directory.refresh(node, None if whole else about)
        if returned:
            return self._requests.relieve(node, "its owner is using it", now_s)
        if not (whole or about):
            return []  # it is alive, and nothing else is new
        return self._requests.slots_freed(node.node_id, now_s)

    def inventory(self, event: InventoryReported, now_s: float) -> list[Action]:
        node = self._current(event.node_id, event.epoch)
        if node is None:
            return []
        node.hold(event.offers)
        self._directory.index(node)
        return self._requests.slots_freed(node.node_id, now_s)

    def measured(self, event: RoundTripMeasured) -> list[Action]:
        node = self._current(event.node_id, event.epoch)
        if node is not None and 0 <= event.rtt_s <= RTT_S_MAX:
            known = node.rtt_s or event.rtt_s
            node.rtt_s = known + RTT_WEIGHT * (event.rtt_s - known)
        return []

    def left(self, event: NodeLeft, now_s: float) -> list[Action]:
        node = self._current(event.node_id, event.epoch)
        if node is None:
            return []
        state = NodeState.ASLEEP if event.asleep else NodeState.LOST
        return self._gone(node, state, "went to sleep" if event.asleep else "shut down", now_s)

    def drained(self, event: NodeDrained, now_s: float) -> list[Action]:
        """Let nothing new begin on a node, or let it again. An operator's word holds until taken
        back, even if the node is away or attaches anew in between; an owner's until it does."""
        node = self._directory.nodes.get(event.node_id)
        if node is None:
            return []
        if event.by_operator:
            node.drained_by_operator = "" if event.resumed else event.reason or "drained"
        if not node.connected:
            return []
        if not event.resumed:
            node.become(NodeState.DRAINING, now_s, event.reason)
        elif node.state is NodeState.DRAINING:
            silent = now_s >= node.reported_s + self._limits.suspect_after_s
            node.become(NodeState.SUSPECT if silent else NodeState.ALIVE, now_s)
        self._directory.refresh(node)
        if node.state is NodeState.DRAINING:
            return self._requests.relieve(node, event.reason or "draining", now_s)
        return self._requests.slots_freed(node.node_id, now_s)

    def connection_lost(self, event: ConnectionLost, now_s: float) -> list[Action]:
        node = self._directory.nodes.get(event.node_id)
        if node is None or node.connection_id != event.connection_id or not node.connected:
            return []
        return self._gone(node, NodeState.LOST, event.reason, now_s)

    def silences(self, node_ids: Iterable[NodeId], now_s: float) -> list[Action]:
        """Limits of silence may have passed. Work moves only once every node is judged, or it
        would move to one that is as silent."""
        known = [node for each in node_ids if (node := self._directory.nodes.get(each))]
        verdicts = [(node, self._judge(node, now_s)) for node in known]
        actions: list[Action] = []
        for node, verdict in verdicts:
            if verdict is NodeState.LOST:
                failure = Failure(FailureCode.NODE_LOST, node.state_reason)
                actions.append(CloseConnection(node.connection_id, failure))
                actions += self._requests.node_lost(node, node.state_reason, now_s)
            elif verdict is NodeState.SUSPECT:
                actions += self._requests.node_suspected(node, now_s)
        return actions

    def _judge(self, node: Node, now_s: float) -> NodeState | None:
        """Say what a node's silence means by now; look again when the next limit may pass."""
        if not node.connected:  # for long enough: the timer was set when it went
            self._directory.forget(node.node_id)
            return None
        # Compared as they were set: a difference may round to less than the limit when due.
        suspect_s = node.reported_s + self._limits.suspect_after_s
        lost_s = node.reported_s + self._limits.lost_after_s
        silent = _SILENT.format(now_s - node.reported_s)
        if now_s >= lost_s:
            self._mark_gone(node, NodeState.LOST, silent, now_s)
            return NodeState.LOST
        if now_s < suspect_s:
            self._timers.set(suspect_s, Due.SILENCE, node.node_id)
            return None
        self._timers.set(lost_s, Due.SILENCE, node.node_id)
        if node.state is NodeState.ALIVE:  # a draining one stays so
            node.become(NodeState.SUSPECT, now_s, silent)
            self._directory.refresh(node)
        return NodeState.SUSPECT

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
            state=NodeState.DRAINING if drained else NodeState.ALIVE,
            state_since_s=now_s,
            state_reason=drained,
            rtt_s=old.rtt_s if old is not None else 0.0,
            drained_by_operator=drained,
        )
        node.hold(event.offers)
        node.update(event.statuses)
        self._directory.index(node)
        self._timers.set(now_s + self._limits.suspect_after_s, Due.SILENCE, node.node_id)
        return node

    def _gone(self, node: Node, state: NodeState, reason: str, now_s: float) -> list[Action]:
        self._mark_gone(node, state, reason, now_s)
        return self._requests.node_lost(node, reason, now_s)

    def _mark_gone(self, node: Node, state: NodeState, reason: str, now_s: float) -> None:
        node.become(state, now_s, reason)
        self._directory.refresh(node)
        self._timers.set(now_s + self._limits.forget_after_s, Due.SILENCE, node.node_id)

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

    def _current(self, node_id: NodeId, epoch: Epoch) -> Node | None:
        node = self._directory.nodes.get(node_id)
        if node is None or node.epoch != epoch or not node.connected:
            return None
        return node
