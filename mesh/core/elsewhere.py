"""Could another machine have an attempt? Asked before one is given up that may still come."""

from dataclasses import dataclass
from random import Random

from mesh.core.books import Books
from mesh.core.filter import capable
from mesh.core.progress import Attempt, Progress
from mesh.core.retry import RetryBudget
from mesh.core.routing import place_now


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Speculates, and changes nothing."""

    books: Books
    budget: RetryBudget
    rng: Random

    def is_one(self, progress: Progress, attempt: Attempt, now_s: float) -> bool:
        """Is there a node that could take over the attempt, and may it?"""
        given = progress.given
        if not self._may_move(progress, now_s) or not (given.seen or self.budget.allows):
            return False
        request, avoid = progress.wanted, {**progress.avoid, attempt.node_id: "silent"}
        directory = self.books.directory
        if place_now(request, directory, avoid, self.rng) is not None:
            return True
        room = len(self.books.line) < self.books.limits.waiting_max
        return room and capable(request, directory, avoid)

    def is_free(self, progress: Progress, attempt: Attempt, now_s: float) -> bool:
        """Has another node a free slot for the attempt, which may be moved?"""
        if not self._may_move(progress, now_s):
            return False
        avoid = {**progress.avoid, attempt.node_id: "wants to be relieved"}
        return place_now(progress.wanted, self.books.directory, avoid, self.rng) is not None

    def _may_move(self, progress: Progress, now_s: float) -> bool:
        left = progress.fruitless(now_s) + 1 < self.books.limits.attempts_max
        return progress.given.movable and left
