"""What is under way: open requests, the line, attempts, timers, and the nodes' share in them.

``Dispatch`` decides the steps; here each is written down once, everywhere where it counts.
"""

from math import inf

from mesh.core.directory import Directory
from mesh.core.learning import learn
from mesh.core.limits import FleetLimits
from mesh.core.line import Line
from mesh.core.node import Node, Replica
from mesh.core.patience import PATIENCE_MIN_S, late_s, patience_s
from mesh.core.progress import Attempt, Progress
from mesh.core.receipt import Candidate
from mesh.core.timers import Due, Timers
from mesh.core.types import (
    AttemptId,
    Epoch,
    ModelId,
    Refusal,
    RequestKey,
    Tier,
    Usage,
)

Running = tuple[Progress, Attempt]

NO_EPOCH = Epoch(0)  # of an attempt that no node attached for


class Books:
    """Keeps requests, nodes' books, directory, line and timers in step with each other."""

    def __init__(self, limits: FleetLimits, directory: Directory, timers: Timers) -> None:
        self.limits = limits
        self.directory = directory
        self._timers = timers
        self._attempts_made = 0
        self.open: dict[RequestKey, Progress] = {}  # every request that has not ended
        self.line = Line()  # those of them that wait
        self.running: dict[AttemptId, Running] = {}  # the attempts of the others

    # -- requests ----------------------------------------------------------------------------------

    def enter(self, progress: Progress, now_s: float) -> None:
        """Take in a request that has just arrived."""
        key, deadline_s = progress.request.key, progress.request.deadline_s
        self.open[key] = progress
        if now_s < deadline_s < inf:
            self._timers.set(deadline_s, Due.DEADLINE, key)

    def forget(self, progress: Progress) -> None:
        """Take the request off all books; its last action follows."""
        key = progress.request.key
        del self.open[key]
        self.line.leave(key)
        self._timers.clear(Due.DEADLINE, key)

    def join_line(self, progress: Progress, now_s: float) -> None:
        """Make a request wait for a slot."""
        self.line.join(progress.wanted, progress.number, progress.arrived_s)
        self.watch_line(now_s)

    def watch_line(self, now_s: float) -> None:
        """Look at the line again in a while, if there is one."""
        if len(self.line) and not self._timers.is_set(Due.LINE):
            self._timers.set(now_s + self.limits.line_checked_every_s, Due.LINE)

    # -- attempts ----------------------------------------------------------------------------------

    def begin(self, progress: Progress, chosen: Candidate, now_s: float) -> Attempt:
        """Begin an attempt on the candidate's node."""
        attempt = self._begin(progress, chosen, now_s)
        self._write(progress, attempt)
        return attempt

    def begin_second(self, progress: Progress, chosen: Candidate, now_s: float) -> Attempt:
        """Begin an attempt beside the one that is under way."""
        attempt = self._begin(progress, chosen, now_s)
        attempt.hedges = True
        progress.second = attempt
        self.running[attempt.attempt_id] = (progress, attempt)
        return attempt

    def _begin(self, progress: Progress, chosen: Candidate, now_s: float) -> Attempt:
        node = self.directory.nodes[chosen.node_id]
        attempt = Attempt(
            self._next_attempt(),
            chosen,
            node.epoch,
            node.connection_id,
            now_s,
            node.replicas[chosen.model_id].model.test,
            # A prompt that may go to the cloud has still travelled no further than this.
            min(progress.request.tier, Tier.MESH),
            heard_s=now_s,
            tokens=progress.given.tokens,
            from_tokens=progress.given.tokens,
            others_tokens=progress.given.tokens - progress.request.resumed_tokens,
        )
        node.begin(attempt.attempt_id, chosen.model_id, chosen.reading_s)
        self.directory.refresh(node, (chosen.model_id,))
        within_s = self.limits.delivery_within_s
        self._timers.set(now_s + within_s, Due.DELIVERY, attempt.attempt_id)
        return attempt

    def begin_in_cloud(self, progress: Progress, chosen: Candidate, now_s: float) -> Attempt:
        """Begin an attempt upstream, where no node's books are touched."""
        attempt = Attempt(
            self._next_attempt(), chosen, NO_EPOCH, 0, now_s, test_model=False, tier=Tier.CLOUD
        )
        attempt.delivered = True  # its answer comes by no node's stream
        self._write(progress, attempt)
        return attempt

    def release(self, attempt: Attempt) -> Node | None:
        """Take the attempt off its node's books; the caller closes it next."""
        del self.running[attempt.attempt_id]
        self._timers.clear(Due.DELIVERY, attempt.attempt_id)
        self._timers.clear(Due.STANDSTILL, attempt.attempt_id)
        node = self.directory.nodes.get(attempt.node_id)
        if node is not None:
            node.end(attempt.attempt_id)
            self.directory.refresh(node, (attempt.candidate.model_id,))
        return node

    def replica_of(self, attempt: Attempt) -> Replica | None:
        """Return where the attempt runs, if the node is known still."""
        node = self.directory.nodes.get(attempt.node_id)
        return node.replicas.get(attempt.candidate.model_id) if node is not None else None

    def stuck_s(self, attempt: Attempt) -> float:
        """Return when the attempt counts as stuck, unless it is heard before."""
        return attempt.heard_s + patience_s(attempt, self.replica_of(attempt))

    def watch(self, attempt: Attempt, now_s: float) -> None:
        """Look at the attempt again when it might be stuck, and not at once."""
        due_s = max(self.stuck_s(attempt), now_s + PATIENCE_MIN_S / 2)
        if attempt.first_token_s is None and now_s < late_s(attempt) < due_s:
            due_s = late_s(attempt)
        self._timers.set(due_s, Due.STANDSTILL, attempt.attempt_id)

    def read(self, attempt: Attempt) -> None:
        """The attempt's first token came: whoever is sent to its node need not wait for it."""
        node = self.directory.nodes.get(attempt.node_id)
        if node is not None and (model_id := node.has_read(attempt.attempt_id)) is not None:
            self.directory.refresh(node, (model_id,))

    def learn(self, progress: Progress, attempt: Attempt, usage: Usage, now_s: float) -> None:
        """Take what a whole answer teaches, before it is released."""
        node = self.directory.nodes.get(attempt.node_id)
        replica = node.replicas.get(attempt.candidate.model_id) if node is not None else None
        if replica is not None:
            learn(replica, self.directory.habits, progress, usage, now_s)

    def running_on(self, node: Node) -> list[Running]:
        return [self.running[attempt_id] for attempt_id in node.attempts]

    def believe(self, node: Node, model_id: ModelId, refusal: Refusal) -> None:
        """Start nothing more of a kind that the node has just refused, until it reports."""
        node.refuse(model_id, refusal)
        self.directory.refresh(node)

    def _next_attempt(self) -> AttemptId:
        self._attempts_made += 1
        return AttemptId(self._attempts_made)

    def _write(self, progress: Progress, attempt: Attempt) -> None:
        progress.attempt = attempt
        if progress.first_attempt_s is None:
            progress.first_attempt_s = attempt.began_s
        self.running[attempt.attempt_id] = (progress, attempt)
        self.line.leave(progress.request.key, served=True)
