"""How far a request has come: its attempts, and the receipt they add up to."""

from dataclasses import dataclass, field, replace
from math import inf

from mesh.core.climb import Climb, Step
from mesh.core.explaining import explained, weighed
from mesh.core.given import Given
from mesh.core.held import Held
from mesh.core.look import Look
from mesh.core.receipt import AttemptAccount, Candidate, Receipt, RuledOut, RungAccount
from mesh.core.substitutes import substituted
from mesh.core.types import (
    AttemptId,
    CloudModel,
    Epoch,
    Failure,
    FailureCode,
    NodeId,
    Refusal,
    Request,
    Tier,
    Usage,
    engine_at,
)

# Outcomes of attempts that nobody failed.
ESCALATED = "escalated"  # its answer was not good enough
RELIEVED = "relieved"  # its machine was wanted back

FORGIVEN_EVERY_S = 2.0
# What fails one model of a ladder, and not the next: what it lacks, or what it may not cost.
_OTHER_RUNGS_MAY = frozenset(
    {
        FailureCode.CONTEXT_OVERFLOW,
        FailureCode.UNSUPPORTED,
        FailureCode.MODEL_NOT_FOUND,
        FailureCode.FORBIDDEN,
    }
)
_FULL = frozenset(Refusal)
CANDIDATES_KEPT = 4  # on the receipt of a request that does not ask for more
RATED_TOKENS_MIN = 16  # fewer arrive in one burst or two, and their rate means nothing


@dataclass(slots=True)
class Attempt:
    """One try. Mutable; only ``Fleet.handle`` changes it."""

    attempt_id: AttemptId
    candidate: Candidate
    epoch: Epoch
    connection_id: int
    began_s: float
    test_model: bool
    tier: Tier  # how far the prompt travels for it
    delivered: bool = False  # its answer stream is open
    started_s: float | None = None  # when the prompt was accepted, on the fleet's clock
    first_token_s: float | None = None  # on the fleet's clock
    heard_s: float = 0.0  # when it last gave something, or began
    tokens: int = 0  # of the answer from its start, whoever gave them
    from_tokens: int = 0  # that were given before it began
    others_tokens: int = 0  # those of them that earlier attempts gave
    prompt_tokens: int = 0
    numerics: str = ""
    resumable: bool = False
    payload: object = None  # of its start, for the client
    hedges: bool = False  # another attempt is late
    cost_microusd: int = 0
    price_version: str = ""

    @property
    def node_id(self) -> NodeId:
        return self.candidate.node_id

    @property
    def place(self) -> NodeId:
        """Return what the request avoids if this fails: the node, or the upstream's model.

        An engine on the node that is not ours fails alone: the node may have the model itself.
        """
        candidate = self.candidate
        if self.in_cloud:
            return NodeId(candidate.model_id)
        engine = candidate.engine
        return engine_at(candidate.node_id, candidate.model_id) if engine else candidate.node_id

    @property
    def started(self) -> bool:
        """Was the prompt accepted?"""
        return self.started_s is not None

    @property
    def in_cloud(self) -> bool:
        return self.tier is Tier.CLOUD

    def account(self, outcome: str, reason: str, now_s: float, usage: Usage) -> AttemptAccount:
        first_token_s = self.first_token_s if self.first_token_s is not None else self.began_s
        return AttemptAccount(
            attempt_id=self.attempt_id,
            node_id=self.candidate.node_id,
            node_name=self.candidate.node_name,
            model_id=self.candidate.model_id,
            model_name=self.candidate.model_name,
            outcome=outcome,
            reason=reason,
            predicted_first_token_s=self.candidate.first_token_s,
            first_token_s=first_token_s - self.began_s,
            duration_s=now_s - self.began_s,
            usage=usage,
            numerics=self.numerics,
            tier=self.tier,
            cost_microusd=self.cost_microusd,
            price_version=self.price_version,
            accepted_s=self.started_s - self.began_s if self.started_s is not None else 0.0,
            hedge=self.hedges,
            tokens_given=self.tokens - self.from_tokens,
            engine=self.candidate.engine,
        )

    def charge(self, cost_microusd: int, price_version: str) -> None:
        """Put down what the attempt cost, in place of what was put down before."""
        self.cost_microusd, self.price_version = cost_microusd, price_version

    def own(self, whole: Usage) -> Usage:
        """Return this attempt's part of an answer's usage, so that attempts add up to it."""
        completion = max(0, whole.completion_tokens - self.others_tokens)
        reasoning = min(whole.reasoning_tokens, completion)
        return replace(whole, completion_tokens=completion, reasoning_tokens=reasoning)

    def usage(self) -> Usage:
        """What is known of an attempt that did not finish."""
        return Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.tokens - self.others_tokens,
            estimated=self.in_cloud,  # an upstream tells at its end, and counts for itself
        )


@dataclass(slots=True)
class Progress:
    """A request that has not ended: it waits while ``attempt`` is None. Mutable, as Attempt is."""

    request: Request
    number: int  # of its arrival
    arrived_s: float
    attempt: Attempt | None = None
    second: Attempt | None = None  # hedges the first one, until either gives a token
    last: Attempt | None = None  # the one that ended last
    past: list[AttemptAccount] = field(default_factory=list)
    first_token_s: float | None = None  # when the first one came that counts, on the fleet's clock
    lost: Failure | None = None  # how its machine failed, for as long as another may take over
    goes_on_until_s: float = -inf  # until when it waits for a machine, on the fleet's clock
    unforgiving: bool = False  # machines that failed it are not asked again
    forgiven_s: float = -inf  # when they were forgiven last
    avoid: dict[NodeId, str] = field(default_factory=dict)  # node -> why not again
    candidates: tuple[Candidate, ...] = ()
    look: Look | None = field(default=None, repr=False)  # what the last pick weighed
    passed_by: tuple[RuledOut, ...] = ()  # whom it did not weigh, if the request wants to know
    why: str = ""
    first_attempt_s: float | None = None
    instead_of: Failure | None = None  # why no machine could, if the cloud was asked for that
    climb: Climb | None = None  # None: it names its model
    clouds: tuple[CloudModel, ...] = ()  # on offer when it came; of equals, the drawn one first
    models_changed: int = 0  # as the directory counts it, when the ladder was made
    held: Held | None = None  # what of its answer is held back
    restarts: int = 0  # how often it began anew
    void_attempts: int = 0  # of the past ones: what they gave counts no more
    visible_s: float | None = None  # when the client got the first token, on the fleet's clock

    given: Given = field(init=False)
    as_asked: Request = field(init=False, repr=False)  # before any ladder narrowed it

    def __post_init__(self) -> None:
        self.given = Given(self.request.resumed_tokens)
        self.as_asked = self.request

    @property
    def wanted(self) -> Request:
        """What the next attempt asks of a machine."""
        return self.given.wanted(self.request)

    def fruitless(self, now_s: float) -> int:
        """How many attempts in a row have ended that gave the client no token.

        An answer that was held back and not good enough is none: the next rung had its turn.

        While an answer that was cut may still go on, machines that are full for a moment do not
        count: all that are left may have been sent what the lost ones had.
        """
        spared = _FULL if self.may_go_on(now_s) else frozenset()
        count = 0
        for each in reversed(self.past):
            if each.tokens_given and self.given.seen:
                break
            count += each.outcome not in spared and each.outcome != ESCALATED
        return count

    def forgive(self, now_s: float, *, but_the_last: bool = False) -> bool:
        """Let machines that failed the answer go on with it, where no others can now.

        An engine that died is there again within seconds, and so is an agent.

        Args:
            but_the_last: leave out the one that failed it last.
        """
        due = now_s >= self.forgiven_s + FORGIVEN_EVERY_S
        if not due or not self.given.seen or self.unforgiving:
            return False
        kept = self.past[-1].node_id if but_the_last and self.past else None
        forgiven = [node_id for node_id in self.avoid if node_id != kept]
        for node_id in forgiven:
            del self.avoid[node_id]
        if forgiven:
            self.forgiven_s = now_s
        return bool(forgiven)

    def may_go_on(self, now_s: float) -> bool:
        """May a machine that can go on with the answer come back in time?"""
        return self.given.movable and now_s < self.goes_on_until_s

    @property
    def may_begin_anew(self) -> bool:
        """May it, where nobody can go on with what its client has? Not what that client resumes:
        it began elsewhere, and was shown there."""
        return self.request.accept_restart and self.given.seen and not self.request.resumed_tokens

    def begin_anew(self) -> None:
        """What the client has of the answer is void."""
        self.given = Given(0)
        self.lost = self.first_token_s = self.visible_s = self.held = None
        self.goes_on_until_s = -inf
        self.void_attempts = len(self.past)
        self.restarts += 1

    @property
    def untried(self) -> bool:
        """Has nobody begun it yet?"""
        return self.attempt is None and not self.past

    def take(self, climb: Climb | None) -> None:
        """Follow this ladder from now on."""
        self.climb = climb
        if climb is not None and climb.tier_max is not None:
            self.request = replace(self.request, tier=min(self.request.tier, climb.tier_max))
        self.replan()

    def replan(self) -> None:
        """The climb has moved: those that may answer now are others."""
        climb = self.climb
        plan = climb.plan if climb is not None and not climb.plain else None
        if plan != self.request.plan:
            self.request = replace(self.request, plan=plan)

    @property
    def step(self) -> Step | None:
        """The rung to be tried now; None where the ladder is plain, or at its end."""
        return self.climb.step if self.climb is not None and not self.climb.plain else None

    def pass_by(self) -> bool:
        """Nobody on the rungs of the plan can answer: are there others?"""
        if self.climb is None or self.climb.plain or self.given.seen:
            return False
        others = self.climb.pass_by()
        self.replan()
        return others

    def other_rungs(self, code: FailureCode) -> bool:
        """May another rung answer where one failed so? One with a longer context, say."""
        return self.step is not None and self.other_models(code)

    def other_models(self, code: FailureCode) -> bool:
        """May another model answer where one failed so?"""
        return not self.given.seen and code in _OTHER_RUNGS_MAY

    def drop(self, attempt: Attempt, outcome: str, reason: str, now_s: float) -> None:
        """End one of two attempts: the other one is under way alone."""
        other = self.attempt if attempt is self.second else self.second
        self.attempt, self.second = other, None
        self.past.append(attempt.account(outcome, reason, now_s, attempt.usage()))

    def close(self, outcome: str, reason: str, now_s: float, usage: Usage | None = None) -> None:
        """End the attempt under way, if any, and put it on the account."""
        if self.attempt is None:
            return
        self.last, self.attempt = self.attempt, None
        known = self.last.own(usage) if usage is not None else self.last.usage()
        self.past.append(self.last.account(outcome, reason, now_s, known))

    def receipt(self, now_s: float, ruled_out: tuple[RuledOut, ...] = ()) -> Receipt:
        """Add up what happened; call after ``close``."""
        first_token_s, tokens_per_s = 0.0, 0.0
        last = self.last
        if last is not None and self.first_token_s is not None:  # so it ended just now
            first_token_s = self.first_token_s - self.arrived_s
            decoding_s = now_s - self.first_token_s
            counted = self.past[self.void_attempts :]
            decoded = sum(each.usage.completion_tokens for each in counted)
            decoded -= self.request.resumed_tokens
            if decoding_s > 0 and decoded >= RATED_TOKENS_MIN:
                tokens_per_s = (decoded - 1) / decoding_s
        queued_until_s = self.first_attempt_s if self.first_attempt_s is not None else now_s
        return Receipt(
            key=self.request.key,
            asked_model=self.request.model,
            tier=max((past.tier for past in self.past), default=self.request.tier),
            policy=self.request.policy,
            attempts=tuple(self.past),
            candidates=self._candidates(),
            ruled_out=ruled_out,
            why=self.why,
            queued_s=queued_until_s - self.arrived_s,
            first_token_s=first_token_s,
            total_s=now_s - self.arrived_s,
            tokens_per_s=tokens_per_s,
            test_model=last is not None and last.test_model,
            cost_microusd=sum(past.cost_microusd for past in self.past),
            price_version=next((p.price_version for p in self.past if p.price_version), ""),
            numerics_changed_at_token=self.given.numerics_changed_at_token,
            ladder=self._ladder(),
            notes=self._notes(),
            first_visible_token_s=self._since(self.visible_s) if last is not None else 0.0,
            look=self.look,
        )

    def so_far(self, now_s: float) -> Receipt:
        """Add up what happened until now to a request that has not ended."""
        receipt, attempt = self.receipt(now_s), self.attempt
        if attempt is None:
            return receipt
        under_way = [each for each in (attempt, self.second) if each is not None]
        accounts = [each.account("running", "", now_s, each.usage()) for each in under_way]
        seen_s = self.first_token_s
        return replace(
            receipt,
            attempts=(*receipt.attempts, *accounts),
            tier=max([attempt.tier, *[past.tier for past in self.past]]),
            first_token_s=seen_s - self.arrived_s if seen_s is not None else 0.0,
            test_model=attempt.test_model,
        )

    def _since(self, at_s: float | None) -> float:
        return at_s - self.arrived_s if at_s is not None else 0.0

    def _notes(self) -> tuple[str, ...]:
        if not self.past:
            return ()
        last, notes = self.past[-1], []
        if self.climb is not None and self.climb.stands_in:
            notes.append(substituted(self.request.model, last.model_name))
        if self.restarts:
            times = f", {self.restarts} times" if self.restarts > 1 else ""
            notes.append(f"the answer began anew, as nobody could go on with it{times}")
        if last.engine:
            notes.append(f"cannot be continued elsewhere: served by {last.engine}")
        return tuple(notes)

    def _ladder(self) -> tuple[RungAccount, ...]:
        if self.climb is not None:
            answering = self.past[-1].model_id if self.past else None
            return self.climb.accounts(answering)
        models = {each.model_id: each.model_name for each in self.past}
        return tuple(RungAccount(*each, chosen=True) for each in list(models.items())[-1:])

    def _candidates(self) -> tuple[Candidate, ...]:
        if self.look is None:
            return self.candidates
        if self.request.explain:
            return explained(self.look)
        return weighed(self.look, CANDIDATES_KEPT)
