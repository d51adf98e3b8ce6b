"""Who is there, by what the fleet was told: a second account beside its membership."""

from dataclasses import dataclass

from mesh.core import events
from mesh.core.actions import AdmitNode, CloseConnection, StartAttempt
from mesh.core.directory import Directory
from mesh.core.events import Event
from mesh.core.limits import FleetLimits
from mesh.core.types import Epoch, NodeId

ROUNDING_S = 1e-6


@dataclass(slots=True)
class Present:
    """A node that attached, in its newest connection."""

    node_id: NodeId
    connection_id: int
    heard_s: float  # apart from the time in which the fleet was away
    spoke_s: float
    epoch: Epoch | None = None  # None: not admitted
    gone: str = ""  # why it is not there any more
    drained: str = ""
    drained_by_operator: bool = False


class Attendance:
    """Mutable. Told of events after the fleet was."""

    def __init__(self, limits: FleetLimits) -> None:
        self._limits = limits
        self._nodes: dict[NodeId, Present] = {}
        self._by_connection: dict[int, Present] = {}
        self._told_s = 0.0  # when the fleet last was told of time
        self._ended: list[int] = []  # connections

    def heard(self, event: events.NodeReported, now_s: float) -> None:
        present = self._nodes.get(event.node_id)
        if present is not None and present.epoch == event.epoch:
            present.heard_s = present.spoke_s = now_s

    def admitted(self, action: AdmitNode) -> None:
        self._by_connection[action.connection_id].epoch = action.epoch

    def closed(self, action: CloseConnection) -> None:
        """The fleet closed the connection; if it was the node's newest, for its silence."""
        present = self._by_connection.get(action.connection_id)
        if present is not None and not present.gone:
            silent_s = self._told_s - present.spoke_s
            name = present.node_id[:8]
            assert silent_s >= self._limits.lost_after_s - ROUNDING_S, f"{name} did speak"
            self._gone(present, action.failure.message)

    def take_ended(self) -> list[int]:
        """Return the connections that ended since this was last asked."""
        ended, self._ended = self._ended, []
        return ended

    def excuse(self, away_s: float, now_s: float) -> None:
        """The fleet was away for so long, and may hold nobody's silence of that time against it."""
        for present in self._nodes.values():
            present.heard_s = min(now_s, present.heard_s + away_s)

    def time_told(self, now_s: float) -> None:
        self._told_s = now_s

    def note(self, event: Event, now_s: float) -> None:
        match event:
            case events.NodeAttached():
                self._attached(event, now_s)
            case events.NodeLeft():
                left = self._nodes.get(event.node_id)
                if left is not None and left.epoch == event.epoch and not left.gone:
                    self._gone(left, "it said goodbye")
            case events.ConnectionLost():
                lost = self._by_connection.pop(event.connection_id, None)
                if lost is not None:
                    self._gone(lost, lost.gone or event.reason)
            case events.NodeDrained():
                self._drained(event)

    def check(self, start: StartAttempt) -> NodeId:
        """May anything be sent there? Returns whom ``start`` is for."""
        present = self._by_connection[start.connection_id]
        name = present.node_id[:8]
        assert self._nodes[present.node_id] is present, f"{name} attached again since"
        assert not present.gone, f"{name} is gone: {present.gone}"
        assert not present.drained, f"{name} is drained: {present.drained}"
        silent_s = self._told_s - present.heard_s
        assert silent_s < self._limits.suspect_after_s, f"{name} is silent for {silent_s:.1f} s"
        return present.node_id

    def compare(self, directory: Directory) -> None:
        """Does the fleet's membership say the same? Silence aside, of which it is the judge."""
        for present in self._nodes.values():
            node, name = directory.nodes[present.node_id], present.node_id[:8]
            assert node.epoch == present.epoch, f"{name} is in another epoch"
            if present.gone:
                assert not node.connected, f"{name} is gone: {present.gone}"
            else:
                assert node.connected, f"{name} is there, and taken for {node.state}"

    def _gone(self, present: Present, why: str) -> None:
        present.gone = why
        self._ended.append(present.connection_id)

    def _attached(self, event: events.NodeAttached, now_s: float) -> None:
        old = self._nodes.get(event.node_id)
        present = Present(event.node_id, event.connection_id, now_s, now_s)
        if old is not None and old.drained_by_operator:
            present.drained, present.drained_by_operator = old.drained, True
        if old is not None and not old.gone:
            self._gone(old, "it attached again")
        self._nodes[event.node_id] = self._by_connection[event.connection_id] = present

    def _drained(self, event: events.NodeDrained) -> None:
        present = self._nodes.get(event.node_id)
        if present is None:
            return
        if event.by_operator:
            present.drained_by_operator = not event.resumed
        present.drained = "" if event.resumed else event.reason or "drained"
