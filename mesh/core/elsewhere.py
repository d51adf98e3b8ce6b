"""Could another machine have an attempt? Asked before one is given up that may still come."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from random import Random

from mesh.core.books import Books
from mesh.core.filter import SUSPECTS_MAX, capable, unfit
from mesh.core.ladder import ladder
from mesh.core.node import Replica
from mesh.core.progress import Attempt, Progress
from mesh.core.retry import RetryBudget
from mesh.core.routing import place_now
from mesh.core.types import FailureCode, NodeId, Request


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

    def fitter(
        self, progress: Progress, attempt: Attempt, code: FailureCode
    ) -> Mapping[NodeId, str] | None:
        """Could another do what the attempt's node cannot? Return who cannot either; None: nobody.

        For a request that names its model: the ladder of ``auto`` has other rungs.
        """
        match code:
            case FailureCode.CONTEXT_OVERFLOW:
                return self._roomier(progress, attempt) or None
            case FailureCode.UNSUPPORTED if self._abler(progress, attempt):
                return {}
            case _:
                return None

    def _abler(self, progress: Progress, attempt: Attempt) -> bool:
        """An adopted engine says that it cannot what it was taken for: is there one that can?

        What such an engine can is its own word, or a guess where it says nothing. Of our own
        engines it is a fact, and one says for all of them that a request asks too much.
        """
        if not attempt.candidate.engine or progress.given.seen:
            return False
        return capable(progress.wanted, self.books.directory, progress.avoid)

    def _roomier(self, progress: Progress, attempt: Attempt) -> Mapping[NodeId, str]:
        """Return who cannot do what was too long for the attempt's node; nobody if nobody can.

        Machines serve a model with the context that their memory has room for, and engines that
        were adopted with the one that their owner gave them.
        """
        mine = self.books.replica_of(attempt)
        if attempt.in_cloud or progress.given.seen or mine is None:
            return {}
        most, request = mine.offer.context_tokens, progress.wanted
        every = list(islice(self._able(request), SUSPECTS_MAX))
        roomy = {
            other.node.node_id
            for other in every
            if other.offer.context_tokens > most and unfit(request, other, progress.avoid) is None
        }
        if not roomy:
            return {}
        small = {each.place for each in every if each.offer.context_tokens <= most}
        return dict.fromkeys(small - roomy, f"the prompt is longer than its context of {most}")

    def _able(self, request: Request) -> Iterator[Replica]:
        """Yield whoever could serve what ``request`` asks for."""
        directory = self.books.directory
        for rung in ladder(request, directory):
            for model_id in rung.model_ids:
                yield from directory.holders(model_id).able.walk()

    def _may_move(self, progress: Progress, now_s: float) -> bool:
        left = progress.fruitless(now_s) + 1 < self.books.limits.attempts_max
        return progress.given.movable and left
