"""The steps of a request: placed, begun on a node, made to wait, moved elsewhere, ended.

``Requests`` decides which step an event calls for.
"""

from math import inf
from random import Random

from mesh.core import told
from mesh.core.actions import (
    Action,
    CancelAttempt,
    FailRequest,
    SendRestarted,
    StopCloudAttempt,
)
from mesh.core.admission import in_time
from mesh.core.books import Books
from mesh.core.choosing import Choosing
from mesh.core.cloud import may_leave, named, stays_here
from mesh.core.elsewhere import Elsewhere
from mesh.core.filter import lost_since
from mesh.core.finding import Finding
from mesh.core.hedging import Hedging
from mesh.core.leaving import cloud_for, for_cloud_alone
from mesh.core.progress import ESCALATED, RELIEVED, Attempt, Progress
from mesh.core.receipt import RuledOut
from mesh.core.refusals import (
    ANSWER_WAITS,
    MACHINE_RETURNS,
    MACHINES_RETURN,
    all_busy,
    cloud_failed,
    cloud_lacks,
    no_attempts_left,
    no_slot_in_time,
    node_failed,
    not_for_the_cloud,
    queue_full,
    time_is_up,
)
from mesh.core.refusing import by_rule, refusal
from mesh.core.retry import RetryBudget
from mesh.core.routing import (
    AllBusy,
    Placed,
    Unplaceable,
)
from mesh.core.starting import Starting
from mesh.core.types import CloudModel, Failure, FailureCode, NodeId
from mesh.core.waiting import Waiting

# Nothing that a machine failed at: the client left, or its time was over.
_ENDS_BY_ITSELF = frozenset({FailureCode.CANCELLED, FailureCode.DEADLINE_EXCEEDED})


class Dispatch:
    """Decides where requests go, and leaves what it decided in the books."""

    def __init__(self, books: Books, rng: Random) -> None:
        self._books = books
        self._limits, self._directory = books.limits, books.directory
        self._rng = rng
        self._budget = RetryBudget()
        self.hedging = Hedging(books, self._budget, rng)
        self.elsewhere = Elsewhere(books, self._budget, rng)
        self._starting = Starting(books)
        self.choosing = Choosing(books.directory)
        self._finding = Finding(books, rng, self.choosing)
        self.waiting = Waiting(books, rng, self.choosing, self._finding, self.place, self._start)
        self.settled_s = -inf  # before it, nodes are on their way back from a restart

    # -- steps: each returns what must be done -----------------------------------------------------

    def admit(self, progress: Progress, now_s: float) -> list[Action]:
        """Take in a request and give it its first place."""
        self._budget.earn()
        self._books.enter(progress, now_s)
        progress.clouds = self.choosing.shares.drawn(self.choosing.clouds, self._rng)
        told = self.choosing.choose(progress, self._rng, now_s)
        return told + self.place(progress, now_s)

    def place(self, progress: Progress, now_s: float, last: Failure | None = None) -> list[Action]:
        """Start an attempt, or wait for a slot, or fail: with ``last`` if nowhere is left."""
        self._look_again(progress)
        request = progress.wanted
        if not now_s < request.deadline_s:
            return self.fail(progress, time_is_up(progress), now_s)
        if progress.fruitless(now_s) >= self._limits.attempts_max:
            return self._leave_or_fail(progress, no_attempts_left(progress), now_s)
        if self._clouds and for_cloud_alone(request, self._clouds, self._directory):
            return self._ask_cloud(progress, last, now_s)
        if (step := progress.step) is not None and step.cloud is not None:
            return self._step_into_cloud(progress, step.cloud, last, now_s)
        match self._finding.find(progress, request, now_s):
            case Placed() as placed:
                return [self._start(progress, placed, now_s)]
            case AllBusy() as busy:
                return self._wait(progress, all_busy(busy), now_s, busy)
            case Unplaceable() if now_s < self.settled_s and self._for_machines_alone(progress):
                return self._wait(progress, MACHINES_RETURN, now_s)
            case Unplaceable() if progress.forgive(now_s) or self._onwards(progress):
                return self.place(progress, now_s, last)
            case Unplaceable() if resort := self._finding.last_resort(progress, request):
                return [self._start(progress, resort, now_s)]
            case Unplaceable() if hope := self._hope(progress, last, now_s):
                return self._wait(progress, hope, now_s)
            case Unplaceable() as unplaceable if last is None:
                return self._refuse(progress, unplaceable, now_s)
            case Unplaceable():
                return self._leave_or_fail(progress, last, now_s)

    def move(
        self, progress: Progress, attempt: Attempt, failure: Failure, now_s: float
    ) -> list[Action]:
        """Close an attempt that failed, and begin the next one if there may be one."""
        self._books.release(attempt)
        progress.close(failure.code, failure.message, now_s)
        seen = progress.given.seen
        # Whoever goes on may have less context, or an older version: another one may not.
        goes_on = progress.lost is not None and failure.code not in _ENDS_BY_ITSELF
        elsewhere = failure.code.elsewhere or goes_on or progress.other_rungs(failure.code)
        if not elsewhere:
            unfit = self.elsewhere.fitter(progress, attempt, failure.code)
            elsewhere = unfit is not None
            progress.avoid.update(unfit or {})
        other_cloud = attempt.in_cloud and self._other_cloud_may(progress, failure.code)
        if attempt.in_cloud and progress.instead_of is not None and not seen:
            failure = cloud_failed(progress.instead_of, failure)
            elsewhere = failure.code.elsewhere or other_cloud
        elif elsewhere := elsewhere or other_cloud:
            failure = node_failed(attempt.candidate.node_name, failure, seen=seen)
        if seen and elsewhere:
            progress.lost = failure
            progress.goes_on_until_s = now_s + self._books.limits.goes_on_within_s
        # An answer that goes on is no retry: there is one for each machine that failed, at most.
        if elsewhere and progress.given.movable and (seen or self._budget.spend()):
            actions = self.place(progress, now_s, failure)
        else:
            anew = self._anew(progress, failure, now_s) if elsewhere else []
            actions = anew or self.fail(progress, failure, now_s)
        return actions + self.slots_freed(attempt.node_id, now_s)

    def stop(self, attempt: Attempt, reason: str) -> list[Action]:
        """Tell the attempt's node to stop."""
        if attempt.in_cloud:
            return [StopCloudAttempt(attempt.attempt_id)]
        return [CancelAttempt(attempt.attempt_id, attempt.connection_id, attempt.epoch, reason)]

    def end(self, progress: Progress, failure: Failure, reason: str, now_s: float) -> list[Action]:
        """Stop whatever is under way for the request, and end it badly."""
        under_way = (progress.attempt, progress.second)
        stopped = [each for one in under_way if one is not None for each in self.stop(one, reason)]
        return stopped + self.fail(progress, failure, now_s)

    def fail(
        self,
        progress: Progress,
        failure: Failure,
        now_s: float,
        explained: tuple[RuledOut, ...] = (),
    ) -> list[Action]:
        """End the request badly. Of an answer that could not go on, the first failure counts."""
        if progress.lost is not None and failure.code not in _ENDS_BY_ITSELF:
            failure = progress.lost
        actions: list[Action] = []
        freed = [each for each in (progress.attempt, progress.second) if each is not None]
        if (second := progress.second) is not None:
            self._books.release(second)
            progress.drop(second, failure.code, failure.message, now_s)
        if progress.attempt is not None:
            self._books.release(progress.attempt)
            progress.close(failure.code, failure.message, now_s)
        self._books.forget(progress)
        receipt = progress.receipt(
            now_s, explained or told.others(progress, self._directory, now_s)
        )
        actions.append(FailRequest(progress.request.key, receipt, failure))
        for each in freed:
            actions += self.slots_freed(each.node_id, now_s)
        return actions

    def slots_freed(self, node_id: NodeId, now_s: float) -> list[Action]:
        """Give the free slots of a node to those that wait, in the order of the line."""
        return self.waiting.slots_freed(node_id, now_s)

    def relieve(
        self, progress: Progress, attempt: Attempt, reason: str, now_s: float
    ) -> list[Action]:
        """Let another node have the attempt. It is nobody's failure, and costs no budget."""
        stopped = self.stop(attempt, "relieved")
        self._books.release(attempt)
        progress.close(RELIEVED, reason, now_s)
        progress.avoid[attempt.node_id] = reason
        return stopped + self.place(progress, now_s)

    def escalate(self, progress: Progress, attempt: Attempt, now_s: float) -> list[Action]:
        """An answer was not good enough: let the next rung have the request.

        It is nobody's failure, and costs no retry.
        """
        held, climb = progress.held, progress.climb
        assert held is not None, "nothing else is judged"
        assert climb is not None, "nothing else is judged"
        self._books.release(attempt)
        self.choosing.learn(climb, progress.request, attempt.candidate.model_id, held)
        climb.escalate(attempt.candidate.model_id, held.confidence, held.threshold)
        progress.close(ESCALATED, held.why, now_s)
        progress.held = None
        progress.replan()
        return self.place(progress, now_s) + self.slots_freed(attempt.node_id, now_s)

    # -- below the steps ---------------------------------------------------------------------------

    def _look_again(self, progress: Progress) -> None:
        """Make the ladder of a request that nobody has begun anew, if it is outdated."""
        if self.choosing.outdated(progress):
            self._books.line.leave(progress.request.key)
            self.choosing.choose_again(progress)

    def _refuse(self, progress: Progress, found: Unplaceable, now_s: float) -> list[Action]:
        known = found.model_known
        failure, explained = refusal(progress, self._directory, now_s, model_known=known)
        return self._leave_or_fail(progress, failure, now_s, explained)

    def _ask_cloud(self, progress: Progress, last: Failure | None, now_s: float) -> list[Action]:
        """Serve a request that names the cloud: there, or not at all."""
        request = progress.request
        asked = named(request.model, self._clouds)
        if (ruled := by_rule(progress.climb)) is not None:
            return self.fail(progress, ruled, now_s)
        if stays_here(request, asked):
            return self.fail(progress, not_for_the_cloud(asked[0], request), now_s)
        model = cloud_for(progress, asked)
        if model is None:
            return self.fail(progress, last or cloud_lacks(asked[0], request.needs), now_s)
        progress.why = f"{request.model} was asked for"
        return [self._starting.in_cloud(progress, model, now_s)]

    @property
    def _clouds(self) -> tuple[CloudModel, ...]:
        return self.choosing.clouds

    def _onwards(self, progress: Progress) -> bool:
        """Go on to the next rungs of its ladder, if there are any."""
        if not progress.pass_by():
            return False
        self._books.line.leave(progress.request.key)
        return True

    def _step_into_cloud(
        self, progress: Progress, model: CloudModel, last: Failure | None, now_s: float
    ) -> list[Action]:
        """The ladder's rung is in the cloud."""
        open_to = (model,) if model in self._clouds else ()
        if may_leave(progress.request, open_to, progress.avoid) is not None:
            assert progress.climb is not None, "it has a step"
            progress.why = progress.climb.why_cloud(last.message if last is not None else "")
            return [self._starting.in_cloud(progress, model, now_s)]
        if self._onwards(progress):
            return self.place(progress, now_s, last)
        return self._leave_or_fail(progress, last or cloud_lacks(model, frozenset()), now_s)

    def _leave_or_fail(
        self,
        progress: Progress,
        failure: Failure,
        now_s: float,
        explained: tuple[RuledOut, ...] = (),
    ) -> list[Action]:
        """No machine can: ask the cloud if the request may go there, else end it."""
        if self._onwards(progress):
            return self.place(progress, now_s, failure)
        if anew := self._anew(progress, failure, now_s):
            return anew
        model = cloud_for(progress, self._clouds)
        if model is None or progress.given.seen:  # nobody else goes on with an answer of a machine
            return self.fail(progress, failure, now_s, explained)
        progress.instead_of = failure
        progress.why = f"cloud: {failure.message}"
        return [self._starting.in_cloud(progress, model, now_s)]

    def _anew(self, progress: Progress, failure: Failure, now_s: float) -> list[Action]:
        """Begin an answer anew that nobody can go on with, if its client takes that; else []."""
        if not progress.may_begin_anew or not self._budget.spend():
            return []
        cut = progress.past[-1].attempt_id
        failure = progress.lost or failure  # the first one counts, as in ``fail``
        progress.begin_anew()
        restarted = SendRestarted(progress.request.key, cut, failure.message)
        return [restarted, *self.place(progress, now_s, failure)]

    def _hope(self, progress: Progress, last: Failure | None, now_s: float) -> str:
        """Return what it waits for that no machine can take now: one that may be back; else "".

        Of a request that gave no token, a machine that was lost moments ago and never had it.
        """
        if progress.may_go_on(now_s):
            return ANSWER_WAITS if progress.given.seen else MACHINE_RETURNS
        if last is None or last.code is not FailureCode.NODE_LOST:
            return ""
        within_s = self._limits.goes_on_within_s
        lost = lost_since(now_s - within_s, progress.wanted, self._directory, progress.avoid)
        if not lost or cloud_for(progress, self._clouds):
            return ""
        progress.lost, progress.goes_on_until_s = last, now_s + within_s
        return MACHINE_RETURNS

    def _other_cloud_may(self, progress: Progress, code: FailureCode) -> bool:
        """Is there another cloud model that may answer where one failed so?"""
        return progress.other_models(code) and cloud_for(progress, self._clouds) is not None

    def _for_machines_alone(self, progress: Progress) -> bool:
        """The cloud, where it may, answers at once; and a failed node is not to be waited for."""
        return not (progress.avoid or cloud_for(progress, self._clouds))

    def _wait(
        self,
        progress: Progress,
        why: str,
        now_s: float,
        busy: AllBusy | None = None,
    ) -> list[Action]:
        request, line = progress.request, self._books.line
        if request.key in line:
            return []
        if busy is not None and not in_time(busy.first_token_s, request, now_s):
            return self._leave_or_fail(progress, no_slot_in_time(progress, busy, now_s), now_s)
        displaced: list[Action] = []
        if len(line) >= self._limits.waiting_max:
            first_token_s = busy.first_token_s if busy is not None else 0.0
            full = queue_full(self._limits.waiting_max, first_token_s)
            last = line.displaced_by(request.key.principal)
            if last is None:
                return self._leave_or_fail(progress, full, now_s)
            displaced = self._leave_or_fail(self._books.open[last], full, now_s)
            if len(line) >= self._limits.waiting_max:  # it waits again, for another rung
                return displaced + self._leave_or_fail(progress, full, now_s)
        progress.candidates, progress.why = busy.candidates if busy is not None else (), why
        told.note(progress, busy.look if busy is not None else None, self._directory, now_s)
        if progress.climb is not None:
            progress.climb.exhausted = False  # others may come before its turn does
        self._books.join_line(progress, now_s)
        return displaced

    def _start(self, progress: Progress, placed: Placed, now_s: float) -> Action:
        climb = progress.climb
        if not progress.given.seen:  # whatever it waited for
            progress.lost, progress.goes_on_until_s = None, -inf
        if climb is not None and not progress.given.seen:
            model_id = placed.chosen.model_id
            climb.settle_on(model_id)
            progress.first_token_s = None
            progress.held = self.choosing.held(climb, progress.request, model_id)
        return self._starting.on_node(progress, placed, now_s)
