"""What is asked: requests arrive, their attempts live, and each request ends exactly once."""

from random import Random

from mesh.core import told
from mesh.core.actions import (
    AcceptDelivery,
    Action,
    EndDelivery,
    FailRequest,
    FinishRequest,
    RejectDelivery,
    SendDelta,
    SendMoved,
)
from mesh.core.books import Books, Running
from mesh.core.dispatch import Dispatch
from mesh.core.events import (
    AnswersJudged,
    AttemptCharged,
    AttemptFailed,
    AttemptFinished,
    AttemptProgressed,
    AttemptRefused,
    AttemptStarted,
    CloudOffered,
    CoordinatorReturned,
    DeliveryOpened,
    LadderConfigured,
    RequestCancelled,
)
from mesh.core.held import Judgement
from mesh.core.limits import FleetLimits
from mesh.core.node import Node
from mesh.core.patience import PATIENCE_MIN_S, late_s
from mesh.core.progress import ESCALATED, Attempt, Progress
from mesh.core.receipt import Receipt
from mesh.core.refusals import in_use, time_is_up, told_by
from mesh.core.timers import Due
from mesh.core.trust import Trust
from mesh.core.types import (
    AttemptId,
    CloudModel,
    Failure,
    FailureCode,
    NodeId,
    Refusal,
    ReplicaState,
    Request,
    RequestKey,
)


class Requests:
    """Decides what an event means for the requests that have not ended."""

    def __init__(self, limits: FleetLimits, trust: Trust, rng: Random) -> None:
        self._timers = trust.timers
        self._trust = trust
        self._books = Books(limits, trust.directory, trust.timers)
        self._dispatch = Dispatch(self._books, rng)
        self.choosing = self._dispatch.choosing
        self.total = 0  # requests since the start

    def __repr__(self) -> str:
        return f"{self.running} running, {self.waiting} waiting, {self.total} in all"

    @property
    def running(self) -> int:
        return len(self._books.running)

    @property
    def waiting(self) -> int:
        return len(self._books.line)

    @property
    def clouds(self) -> tuple[CloudModel, ...]:
        """What answers for money, the first to ask first."""
        return self.choosing.clouds

    def cloud_offered(self, event: CloudOffered) -> list[Action]:
        """Requests from now on may be answered by other cloud models, or by none."""
        self.choosing.clouds = event.models
        return []

    def ladder_configured(self, event: LadderConfigured) -> list[Action]:
        """Requests from now on climb by this."""
        self.choosing.configure(event)
        return []

    def answers_judged(self, event: AnswersJudged, now_s: float) -> list[Action]:
        """Requests from now on climb by what these labels teach."""
        return self.choosing.judged(event.labels, now_s)

    def coordinator_returned(self, event: CoordinatorReturned) -> list[Action]:
        """Until then, a request that no node can serve waits for those that are not back yet."""
        self._dispatch.settled_s = event.settled_s
        return []

    def under_way(self) -> list[RequestKey]:
        """Return the requests that have not ended, in the order of their arrival."""
        return list(self._books.open)

    def so_far(self, key: RequestKey, now_s: float) -> tuple[Request, Receipt] | None:
        """Return what a request asks for and what became of it yet; None if it has ended."""
        progress = self._books.open.get(key)
        return (progress.wanted, progress.so_far(now_s)) if progress is not None else None

    # -- a request's beginning and end -------------------------------------------------------------

    def arrived(self, request: Request, now_s: float) -> list[Action]:
        self.total += 1
        progress = Progress(request, self.total, arrived_s=now_s)
        if request.key in self._books.open:
            return [FailRequest(request.key, progress.receipt(now_s), in_use(request.key))]
        return self._dispatch.admit(progress, now_s)

    def cancelled(self, event: RequestCancelled, now_s: float) -> list[Action]:
        progress = self._books.open.get(event.key)
        if progress is None:
            return []
        failure = Failure(FailureCode.CANCELLED, event.reason)
        return self._dispatch.end(progress, failure, event.reason, now_s)

    def deadline_passed(self, key: RequestKey, now_s: float) -> list[Action]:
        progress = self._books.open.get(key)
        if progress is None:
            return []
        return self._dispatch.end(progress, time_is_up(progress), "deadline", now_s)

    # -- an attempt's life -------------------------------------------------------------------------

    def delivery_opened(self, event: DeliveryOpened, now_s: float) -> list[Action]:
        running = self._books.running.get(event.attempt_id)
        if running is None or running[1].epoch != event.epoch or running[1].delivered:
            return [RejectDelivery(event.delivery_id, event.attempt_id)]
        progress, attempt = running
        attempt.delivered = True
        self._timers.clear(Due.DELIVERY, event.attempt_id)
        attempt.heard_s = now_s
        self._books.watch(attempt, now_s)
        return [AcceptDelivery(event.delivery_id, event.attempt_id, progress.request.key)]

    def started(self, event: AttemptStarted, now_s: float) -> list[Action]:
        running = self._books.running.get(event.attempt_id)
        if running is None:
            return [EndDelivery(event.attempt_id)]
        progress, attempt = running
        if attempt.started:
            return self._broke_protocol(running, "it began its answer twice", now_s)
        attempt.started_s = now_s
        attempt.prompt_tokens, attempt.numerics = event.prompt_tokens, event.numerics
        attempt.heard_s = now_s
        attempt.resumable, attempt.payload = event.resumable, event.payload
        given = progress.given
        if progress.held is not None and attempt is not progress.second:
            progress.held.begin()
        if given.seen:
            given.go_on(event.numerics)
            told = progress.request.key, event.attempt_id, attempt.candidate, attempt.tier
            return [SendMoved(*told, token=given.tokens, why=progress.why)]
        if attempt is progress.second or progress.held is not None:
            return []  # the client hears of it once it is the quicker one, and good enough
        return [self._dispatch.hedging.started(progress, attempt)]

    def progressed(self, event: AttemptProgressed, now_s: float) -> list[Action]:
        running = self._books.running.get(event.attempt_id)
        if running is None:
            return [EndDelivery(event.attempt_id)]
        progress, attempt = running
        if not attempt.started:
            return self._broke_protocol(running, "it answered before it began", now_s)
        if event.token_offset != attempt.tokens or event.token_count < 0:
            jumped = f"its answer jumped from token {attempt.tokens} to {event.token_offset}"
            return self._broke_protocol(running, jumped, now_s)
        settled = self._dispatch.hedging.settle(progress, attempt, now_s)
        attempt.tokens += event.token_count
        attempt.heard_s = now_s
        if attempt.first_token_s is None:
            attempt.first_token_s = now_s
            self._books.read(attempt)
        if progress.first_token_s is None:
            progress.first_token_s = now_s
        if (held := progress.held) is not None:
            judged = held.add(event)
            return settled + self._judged(progress, attempt, judged, now_s)
        if progress.visible_s is None:
            progress.visible_s = now_s
        progress.given.add(event.token_count)
        return [*settled, SendDelta(progress.request.key, event.payload)]

    def finished(self, event: AttemptFinished, now_s: float) -> list[Action]:
        running = self._books.running.get(event.attempt_id)
        if running is None:
            return [EndDelivery(event.attempt_id)]
        progress, attempt = running
        if not attempt.started:
            return self._broke_protocol(running, "it finished before it began", now_s)
        settled = self._dispatch.hedging.settle(progress, attempt, now_s)
        attempt.charge(event.cost_microusd, event.price_version)
        self._books.learn(progress, attempt, event.usage, now_s)
        if progress.held is not None:
            if progress.held.judge() is Judgement.ESCALATE:
                return settled + self._dispatch.escalate(progress, attempt, now_s)
            settled += self._judged(progress, attempt, Judgement.ACCEPT, now_s)
        self.choosing.answered(progress, attempt.candidate.model_id, event.usage.prompt_tokens)
        self._books.release(attempt)
        self._trust.attempt_succeeded(attempt.node_id, attempt.candidate.model_id)
        progress.close("answered", "", now_s, event.usage)
        self._books.forget(progress)
        explained = progress.passed_by or told.others(progress, self._books.directory, now_s)
        receipt = progress.receipt(now_s, explained)
        done = FinishRequest(progress.request.key, receipt, event.payload)
        return [*settled, done, *self._dispatch.slots_freed(attempt.node_id, now_s)]

    def charged(self, event: AttemptCharged) -> list[Action]:
        """An upstream has the prompt: whoever ends the attempt now, it has cost something."""
        running = self._books.running.get(event.attempt_id)
        if running is not None:
            running[1].charge(event.cost_microusd, event.price_version)
        return []

    def attempt_failed(self, event: AttemptFailed, now_s: float) -> list[Action]:
        running = self._books.running.get(event.attempt_id)
        if running is not None:
            running[1].charge(event.cost_microusd, event.price_version)
        return self.failed(event.attempt_id, event.failure, now_s)

    def failed(self, attempt_id: AttemptId, failure: Failure, now_s: float) -> list[Action]:
        """The attempt is over: try elsewhere if the client has seen nothing of it yet."""
        running = self._books.running.get(attempt_id)
        if running is None:
            return []
        progress, attempt = running
        failure = told_by(failure, in_cloud=attempt.in_cloud)
        progress.avoid[attempt.place] = f"failed this request: {failure.message}"
        model_id, began_s = attempt.candidate.model_id, attempt.began_s
        told = self._trust.attempt_failed(attempt.node_id, model_id, failure.code, began_s, now_s)
        if progress.second is not None:
            return told + self._drop(progress, attempt, failure, now_s)
        return told + self._dispatch.move(progress, attempt, failure, now_s)

    def refused(self, event: AttemptRefused, now_s: float) -> list[Action]:
        """The node did not begin. It is not a failure, and costs no retry budget."""
        running = self._books.running.get(event.attempt_id)
        if running is None or running[1].epoch != event.epoch or running[1].started:
            return []
        progress, attempt = running
        node = self._books.release(attempt)
        if node is not None:
            self._books.believe(node, attempt.candidate.model_id, event.refusal)
        said = f"the node said {event.refusal}"
        if event.refusal is Refusal.NO_MEMORY:
            progress.avoid[attempt.node_id] = "has not enough free memory for the model"
        ended: list[Action] = [EndDelivery(event.attempt_id)] if attempt.delivered else []
        if progress.second is not None:
            progress.drop(attempt, event.refusal, said, now_s)
            return ended
        progress.close(event.refusal, said, now_s)
        return ended + self._dispatch.place(progress, now_s)

    def delivery_overdue(self, attempt_id: AttemptId, now_s: float) -> list[Action]:
        running = self._books.running.get(attempt_id)
        if running is None:
            return []
        attempt = running[1]
        waited_s = now_s - attempt.began_s
        failure = Failure(FailureCode.NODE_LOST, f"did not begin within {waited_s:.1f} s")
        stopped = self._dispatch.stop(attempt, "overdue")
        return stopped + self.failed(attempt_id, failure, now_s)

    def standstill_due(self, attempt_id: AttemptId, now_s: float) -> list[Action]:
        """The attempt may be stuck: let another machine have it, if there is one."""
        running = self._books.running.get(attempt_id)
        if running is None:
            return []
        progress, attempt = running
        replica = self._books.replica_of(attempt)
        if replica is not None and replica.status.state is ReplicaState.LOADING:
            attempt.heard_s = now_s  # its node tells of a load that stands still
        silent_s = now_s - attempt.heard_s
        stuck = now_s >= self._books.stuck_s(attempt)
        if not stuck or not self._can_do_without(progress, attempt, now_s):
            late = now_s >= late_s(attempt)
            begun = self._dispatch.hedging.begin(progress, attempt, now_s) if late else []
            self._books.watch(attempt, now_s)
            return begun
        failure = Failure(FailureCode.NODE_LOST, f"gave nothing for {silent_s:.1f} s")
        return self._dispatch.stop(attempt, "stuck") + self.failed(attempt_id, failure, now_s)

    # -- what membership and time tell -------------------------------------------------------------

    def excuse(self, away_s: float, now_s: float) -> None:
        """Hold the last ``away_s`` seconds against no attempt: we did not listen."""
        for _, attempt in self._books.running.values():
            attempt.heard_s = min(now_s, attempt.heard_s + away_s)

    def node_suspected(self, node: Node, now_s: float) -> list[Action]:
        """The node went silent: what gives nothing moves, if there is anywhere to go.

        Answers under way may still come, and so may the others: until the node is lost, staying
        is better than failing.
        """
        actions: list[Action] = []
        failure = Failure(FailureCode.NODE_LOST, "the node went silent")
        for progress, attempt in self._books.running_on(node):
            comes = progress.given.seen and now_s < attempt.heard_s + PATIENCE_MIN_S
            if not comes and self._can_do_without(progress, attempt, now_s):
                actions += self._dispatch.stop(attempt, failure.message)
                actions += self.failed(attempt.attempt_id, failure, now_s)
        return actions

    def node_lost(self, node: Node, reason: str, now_s: float) -> list[Action]:
        """The node is gone, and so are its attempts."""
        actions: list[Action] = []
        failure = Failure(FailureCode.NODE_LOST, reason)
        for _, attempt in self._books.running_on(node):
            actions += self._dispatch.stop(attempt, reason)
            actions += self.failed(attempt.attempt_id, failure, now_s)
        return actions

    def node_replaced(self, old: Node, reason: str, now_s: float) -> list[Action]:
        """The node attached anew: its old attempts are lost, and it may have them again itself."""
        actions: list[Action] = []
        failure = Failure(FailureCode.NODE_LOST, reason)
        for progress, attempt in self._books.running_on(old):
            actions += self._dispatch.stop(attempt, reason)
            if progress.second is not None:
                actions += self._drop(progress, attempt, failure, now_s)
            else:
                actions += self._dispatch.move(progress, attempt, failure, now_s)
        return actions

    def relieve(self, node: Node, reason: str, now_s: float) -> list[Action]:
        """The node wants its machine back: what can go on elsewhere at once does.

        The rest stays: to end it would help nobody but the owner, who can end it all the same.
        """
        actions: list[Action] = []
        for progress, attempt in self._books.running_on(node):
            own = progress.request.from_coordinator_host and node.on_coordinator_host
            alone = progress.second is None  # else the other one may go on
            if not own and alone and self._dispatch.elsewhere.is_free(progress, attempt, now_s):
                actions += self._dispatch.relieve(progress, attempt, reason, now_s)
        return actions

    def slots_freed(self, node_id: NodeId, now_s: float) -> list[Action]:
        """Give the free slots of a node to those that wait, in order of arrival."""
        return self._dispatch.slots_freed(node_id, now_s)

    def line_checked(self, now_s: float) -> list[Action]:
        """Tell those who wait for machines that have all gone."""
        return self._dispatch.waiting.check_line(now_s)

    def _judged(
        self, progress: Progress, attempt: Attempt, judgement: Judgement, now_s: float
    ) -> list[Action]:
        """Show what was held back, go on holding it, or let the next rung answer."""
        if judgement is Judgement.WAIT:
            return []
        if judgement is Judgement.ESCALATE:
            stopped = self._dispatch.stop(attempt, ESCALATED)
            return stopped + self._dispatch.escalate(progress, attempt, now_s)
        held, progress.held = progress.held, None
        assert held is not None, "it was judged"
        assert progress.climb is not None, "it was judged"
        model_id = attempt.candidate.model_id
        self.choosing.learn(progress.climb, progress.request, model_id, held)
        progress.climb.read[model_id] = held.confidence, held.threshold
        started = self._dispatch.hedging.started(progress, attempt)
        progress.visible_s = now_s
        progress.given.add(held.tokens)
        return [started, *(SendDelta(progress.request.key, each) for each in held.payloads)]

    def _can_do_without(self, progress: Progress, attempt: Attempt, now_s: float) -> bool:
        """Is there another attempt, or could there be one?"""
        if progress.second is not None:
            return self._dispatch.hedging.alive_beside(progress, attempt)
        return self._dispatch.elsewhere.is_one(progress, attempt, now_s)

    def _drop(
        self, progress: Progress, attempt: Attempt, failure: Failure, now_s: float
    ) -> list[Action]:
        """One of two attempts has failed: the other one goes on."""
        told = failure.code, failure.message
        dropped = self._dispatch.hedging.drop(progress, attempt, *told, now_s)
        return dropped + self._dispatch.slots_freed(attempt.node_id, now_s)

    def _broke_protocol(self, running: Running, message: str, now_s: float) -> list[Action]:
        progress, attempt = running
        progress.unforgiving = True  # who did so once is not asked again
        failure = Failure(FailureCode.NODE_LOST, message)
        end: list[Action] = [EndDelivery(attempt.attempt_id)]
        if attempt.in_cloud:
            end = self._dispatch.stop(attempt, message)
        return end + self.failed(attempt.attempt_id, failure, now_s)
