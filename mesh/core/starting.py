"""Attempts begin: written into the books, with the action that lets a node or an upstream begin."""

from dataclasses import dataclass

from mesh.core import told
from mesh.core.actions import StartAttempt, StartCloudAttempt
from mesh.core.books import Books
from mesh.core.cloud import as_candidate
from mesh.core.leaving import cloud_for
from mesh.core.progress import Attempt, Progress
from mesh.core.routing import Placed
from mesh.core.types import CloudModel


@dataclass(frozen=True, slots=True)
class Starting:
    """Begins attempts; where, its callers decide."""

    books: Books

    def on_node(self, progress: Progress, placed: Placed, now_s: float) -> StartAttempt:
        """Begin on the machine that was chosen."""
        progress.candidates, progress.why = placed.candidates, placed.why
        told.note(progress, placed.look, self.books.directory, now_s)
        return self._start(progress, self.books.begin(progress, placed.chosen, now_s), now_s)

    def second(self, progress: Progress, placed: Placed, now_s: float) -> StartAttempt:
        """Begin on another machine, beside the attempt that is under way."""
        second = self.books.begin_second(progress, placed.chosen, now_s)
        return self._start(progress, second, now_s)

    def in_cloud(self, progress: Progress, model: CloudModel, now_s: float) -> StartCloudAttempt:
        """Begin at the upstream."""
        request, chosen = progress.request, as_candidate(model)
        # What a machine gave before it failed was not shown; an upstream's answer is not judged.
        progress.held, progress.first_token_s = None, None
        progress.candidates, progress.look, progress.passed_by = (chosen,), None, ()
        attempt = self.books.begin_in_cloud(progress, chosen, now_s)
        remaining_s = request.deadline_s - now_s
        others = [each for each in progress.clouds if each != model]
        return StartCloudAttempt(
            attempt.attempt_id,
            request.key,
            model,
            request.tier,
            remaining_s,
            spent_microusd=sum(past.cost_microusd for past in progress.past),
            others=cloud_for(progress, others) is not None,
        )

    def _start(self, progress: Progress, attempt: Attempt, now_s: float) -> StartAttempt:
        return StartAttempt(
            attempt.attempt_id,
            attempt.connection_id,
            attempt.epoch,
            progress.request.key,
            attempt.candidate.model_id,
            progress.request.deadline_s - now_s,
            resumed_tokens=progress.given.tokens,
            signs=progress.held is not None,
        )
