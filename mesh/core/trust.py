"""What a node's failures do to its standing: per model it serves, and for its connection.

Failures that are the node's count: it was lost, its engine failed, it broke the protocol, it let an
attempt wait. Refusals do not, nor what the client or the request did. Lives of a connection count
if they were short; whoever stayed for ``STEADY_S`` begins anew.
"""

from dataclasses import dataclass, field
from math import inf

from mesh.core.actions import Action, TellOperator
from mesh.core.breaker import Breaker, Standing
from mesh.core.directory import Directory
from mesh.core.node import Node
from mesh.core.timers import Due, Timers
from mesh.core.types import FailureCode, ModelId, NodeId

STEADY_S = 60.0  # a node that was there for so long does not flap
TELL_EVERY_S = 60.0  # at most one line of a kind for each node
DOUBTS_SHOWN_MAX = 3  # of one node: the rest is more of the same

BLAMED = frozenset({FailureCode.NODE_LOST, FailureCode.INTERNAL_ERROR})


def doubts(node: Node) -> str:
    """Say what is wrong with a node that is alive; "" for nothing."""
    if node.contested:
        return "another machine has the same identity, and tries to take its place"
    if node.losses.standing is not Standing.TRUSTED:
        return f"doubted: lost its connection {node.losses.failures} times in a row"
    failed = [
        f"{node.replicas[model_id].model.name} failed {breaker.failures} requests in a row"
        for model_id, breaker in node.breakers.items()
        if breaker.standing is not Standing.TRUSTED
    ]
    return f"doubted: {'; '.join(failed[:DOUBTS_SHOWN_MAX])}" if failed else ""


@dataclass(slots=True)
class Trust:
    """Moves breakers, tells the directory, and tells the operator of the turns."""

    directory: Directory
    timers: Timers
    _told_s: dict[tuple[NodeId, str], float] = field(default_factory=dict)

    def attempt_failed(
        self, node_id: NodeId, model_id: ModelId, code: FailureCode, began_s: float, now_s: float
    ) -> list[Action]:
        """An attempt that began at ``began_s`` ended badly."""
        node = self.directory.nodes.get(node_id)
        if node is None or code not in BLAMED or model_id not in node.replicas:
            return []
        breaker = node.breakers.setdefault(model_id, Breaker())
        before = breaker.standing
        if not breaker.failed(began_s=began_s, now_s=now_s):
            return []
        self._moved(node)
        if before is not Standing.TRUSTED:
            return []  # the operator knows
        replica = node.replicas[model_id]
        what_now = f"the next one goes there in {breaker.until_s - now_s:.0f} s"
        if replica.pardoned:
            what_now = "more than half of those that have it fail, so that none is left out"
        line = (
            f"{node.name} failed {breaker.failures} requests of {replica.model.name} in a row "
            f"({code}): {what_now}"
        )
        return self.tell(node_id, f"failed {model_id}", line, now_s)

    def attempt_succeeded(self, node_id: NodeId, model_id: ModelId) -> None:
        """A whole answer came."""
        node = self.directory.nodes.get(node_id)
        if node is None:
            return
        breaker = node.breakers.pop(model_id, None)
        on_trial = node.losses.standing is Standing.ON_TRIAL
        if on_trial:
            node.losses.trust()
        if on_trial or (breaker is not None and breaker.standing is not Standing.TRUSTED):
            self._moved(node)

    def connection_lost(self, node: Node, now_s: float) -> list[Action]:
        """A connection ended without a goodbye; call while the node is still in the directory."""
        losses, before = node.losses, node.losses.standing
        if now_s - node.attached_s >= STEADY_S:
            losses.forgive()
        if not losses.failed(began_s=node.attached_s, now_s=now_s):
            return []
        self._moved(node)
        if before is not Standing.TRUSTED:
            return []
        line = (
            f"{node.name} lost its connection {losses.failures} times in a row, each within "
            f"{STEADY_S:.0f} s: no requests go there until it has stayed for a while"
        )
        return self.tell(node.node_id, "flaps", line, now_s)

    def waited(self, node_id: NodeId, now_s: float) -> None:
        """Ejections of a node may be over."""
        node = self.directory.nodes.get(node_id)
        if node is None:
            return
        for breaker in (node.losses, *node.breakers.values()):
            breaker.waited(now_s)
        self._moved(node)

    def tell(self, node_id: NodeId, kind: str, line: str, now_s: float) -> list[Action]:
        """Tell the operator something of a node, unless they have just been told."""
        if now_s < self._told_s.get((node_id, kind), -inf) + TELL_EVERY_S:
            return []
        for each in [each for each, at_s in self._told_s.items() if now_s >= at_s + TELL_EVERY_S]:
            del self._told_s[each]  # so that it holds a minute's lines and no more
        self._told_s[node_id, kind] = now_s
        return [TellOperator(line)]

    def _moved(self, node: Node) -> None:
        node.weigh()
        self.directory.refresh(node)
        ejections = (node.losses, *node.breakers.values())
        until_s = min(each.until_s for each in ejections)
        if until_s < inf:
            self.timers.set(until_s, Due.EJECTION, node.node_id)
