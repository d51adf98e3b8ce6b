"""A second machine for a request whose first one is late: whoever gives a token first goes on.

Until then nothing of either reaches the client but that one has begun. Only machines of the mesh
are asked twice, never the cloud; only with a slot that is free; and a hedge counts as a retry, so
that a mesh that is late everywhere is not asked everything twice.
"""

from dataclasses import replace
from random import Random

from mesh.core.actions import Action, CancelAttempt, SendStarted
from mesh.core.books import Books
from mesh.core.progress import Attempt, Progress
from mesh.core.retry import RetryBudget
from mesh.core.routing import place_now
from mesh.core.starting import Starting
from mesh.core.types import NodeState

OUTRUN = "outrun"  # the outcome of the one that was slower


class Hedging:
    """Begins second attempts, and ends one of the two."""

    def __init__(self, books: Books, budget: RetryBudget, rng: Random) -> None:
        self._books = books
        self._starting = Starting(books)
        self._budget = budget
        self._rng = rng

    def begin(self, progress: Progress, attempt: Attempt, now_s: float) -> list[Action]:
        """Ask a second machine, if there is one and it may be asked."""
        room = progress.fruitless(now_s) + 2 <= self._books.limits.attempts_max
        if attempt.first_token_s is not None:  # it gives, though nobody has seen it yet
            return []
        if progress.given.seen or progress.second is not None or attempt.in_cloud or not room:
            return []
        if not self._budget.allows or not now_s < progress.request.deadline_s:
            return []
        wanted = replace(progress.request, model=attempt.candidate.model_id, plan=None)
        avoid = {**progress.avoid, attempt.node_id: "answers it already"}
        placed = place_now(wanted, self._books.directory, avoid, self._rng)
        if placed is None:
            return []
        self._budget.spend()
        return [self._starting.second(progress, placed, now_s)]

    def alive_beside(self, progress: Progress, attempt: Attempt) -> bool:
        """Is there another attempt, on a node that is well?"""
        other = progress.attempt if attempt is progress.second else progress.second
        node = self._books.directory.nodes.get(other.node_id) if other is not None else None
        return node is not None and node.state is NodeState.ALIVE

    def settle(self, progress: Progress, winner: Attempt, now_s: float) -> list[Action]:
        """Let ``winner`` go on alone, if there are two: it is about to give the first token."""
        loser = progress.attempt if winner is progress.second else progress.second
        if loser is None or loser is winner:
            return []
        stop = CancelAttempt(loser.attempt_id, loser.connection_id, loser.epoch, OUTRUN)
        reason = f"{winner.candidate.node_name} was quicker"
        return [stop, *self.drop(progress, loser, OUTRUN, reason, now_s)]

    def drop(
        self, progress: Progress, attempt: Attempt, outcome: str, reason: str, now_s: float
    ) -> list[Action]:
        """End one of two attempts; the other one is the request's attempt then."""
        other = progress.attempt if attempt is progress.second else progress.second
        assert other is not None, "there are two of them"
        told = attempt is not progress.second and other.started and progress.held is None
        self._books.release(attempt)
        progress.drop(attempt, outcome, reason, now_s)
        return [self.started(progress, other)] if told else []

    def started(self, progress: Progress, attempt: Attempt) -> Action:
        """Tell the client who answers."""
        candidate = attempt.candidate
        progress.given.begin(candidate.model_id, attempt.numerics, resumable=attempt.resumable)
        return SendStarted(
            progress.request.key,
            attempt.attempt_id,
            candidate,
            attempt.tier,
            why=progress.why,
            payload=attempt.payload,
        )
