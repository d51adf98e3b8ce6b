"""Who is there: nodes report, fall silent, sleep, leave. How they come: ``mesh.core.arrivals``.

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

from mesh.core.actions import Action, CloseConnection
from mesh.core.doubt import Doubt
from mesh.core.events import (
    ConnectionLost,
    InventoryReported,
    NodeDrained,
    NodeLeft,
    NodeReported,
    RoundTripMeasured,
)
from mesh.core.limits import FleetLimits
from mesh.core.node import Node
from mesh.core.requests import Requests
from mesh.core.timers import Due
from mesh.core.trust import Trust
from mesh.core.types import Epoch, Failure, FailureCode, NodeId, NodeState

RTT_WEIGHT = 0.2  # of a new sample in the moving average: five pings settle it
RTT_S_MAX = 60.0  # beyond it a node is lost; NaN and infinity are no measurements either
_SILENT = "silent for {:.1f} s"


class Membership:
    """Keeps the directory's nodes true, and tells requests when one fails them."""

    def __init__(self, limits: FleetLimits, trust: Trust, doubt: Doubt, requests: Requests) -> None:
        self._limits = limits
        self._directory, self._timers = trust.directory, trust.timers
        self._trust = trust
        self._doubt = doubt
        self._requests = requests

    def reported(self, event: NodeReported, now_s: float) -> list[Action]:
        node = self._current(event.node_id, event.epoch)
        if node is None or event.sequence <= node.sequence:
            return []
        whole = node.state is NodeState.SUSPECT or event.load.owner_busy != node.load.owner_busy
        returned = event.load.owner_busy and not node.load.owner_busy
        node.sequence, node.load = event.sequence, event.load
        node.reported_s = node.heard_s = now_s
        node.takeovers.calm_down(now_s)
        about = node.update(event.statuses)
        if node.state is NodeState.SUSPECT:
            node.become(NodeState.ALIVE, now_s)
            self._timers.set(now_s + self._limits.suspect_after_s, Due.SILENCE, node.node_id)
        self._directory.refresh(node, None if whole else about)
        moved = self._requests.relieve(node, "its owner is using it", now_s) if returned else []
        if not (whole or about):
            return moved  # it is alive, and nothing else is new
        return moved + self._requests.slots_freed(node.node_id, now_s)  # the owner's own may wait

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
            suspect_s = node.heard_s + self._limits.suspect_after_s
            node.become(NodeState.SUSPECT if now_s >= suspect_s else NodeState.ALIVE, now_s)
            if now_s < suspect_s:  # while it drained, only its loss may have been looked for
                self._timers.set(suspect_s, Due.SILENCE, node.node_id)
        self._directory.refresh(node)
        if node.state is NodeState.DRAINING:
            return self._requests.relieve(node, event.reason or "draining", now_s)
        return self._requests.slots_freed(node.node_id, now_s)

    def connection_lost(self, event: ConnectionLost, now_s: float) -> list[Action]:
        node = self._directory.nodes.get(event.node_id)
        if node is None or node.connection_id != event.connection_id or not node.connected:
            return []
        actions = self._gone(node, NodeState.LOST, event.reason, now_s)
        return actions + self._trust.connection_lost(node, now_s)

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
                actions += self._trust.connection_lost(node, now_s)
            elif verdict is NodeState.SUSPECT:
                actions += self._requests.node_suspected(node, now_s)
        return actions

    def ejection_over(self, node_id: NodeId, now_s: float) -> list[Action]:
        """A node that failed often may be tried again."""
        self._trust.waited(node_id, now_s)
        return self._requests.slots_freed(node_id, now_s)

    def excuse(self, away_s: float, now_s: float) -> None:
        """Count nobody's silence of the last ``away_s`` seconds: we did not listen."""
        for node in self._directory.nodes.values():
            if node.connected:
                node.heard_s = min(now_s, node.heard_s + away_s)

    def felt_pulse(self, now_s: float) -> None:
        """We are awake; go on feeling our pulse while there is anyone to listen to."""
        if any(node.connected for node in self._directory.nodes.values()):
            self._doubt.listen(now_s)
        else:
            self._doubt.rest()

    def _judge(self, node: Node, now_s: float) -> NodeState | None:
        """Say what a node's silence means by now; look again when the next limit may pass."""
        if not node.connected:  # for long enough: the timer was set when it went
            self._directory.forget(node.node_id)
            return None
        # Compared as they were set: a difference may round to less than the limit when due.
        suspect_s = node.heard_s + self._limits.suspect_after_s
        lost_s = node.heard_s + self._limits.lost_after_s
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

    def _gone(self, node: Node, state: NodeState, reason: str, now_s: float) -> list[Action]:
        self._mark_gone(node, state, reason, now_s)
        return self._requests.node_lost(node, reason, now_s)

    def _mark_gone(self, node: Node, state: NodeState, reason: str, now_s: float) -> None:
        node.become(state, now_s, reason)
        self._directory.refresh(node)
        asleep = state is NodeState.ASLEEP
        limits = self._limits
        kept_s = limits.forget_asleep_after_s if asleep else limits.forget_after_s
        self._timers.set(now_s + kept_s, Due.SILENCE, node.node_id)

    def _current(self, node_id: NodeId, epoch: Epoch) -> Node | None:
        node = self._directory.nodes.get(node_id)
        if node is None or node.epoch != epoch or not node.connected:
            return None
        return node
