"""The ladder of one request for ``auto``: which rung it begins on, and where it goes from there.

It begins on the cheapest rung whose P(ok) meets the policy's target. A cheaper one comes before it
if its answers can be judged (``mesh.core.held``) and it is right often enough to be worth the try;
else, where none meets the target, the one most likely to be right. What is not known to be good
enough is no cheaper choice: then the policy's own order holds, and the cloud comes last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mesh.core.policies import Order, Policy
from mesh.core.receipt import Basis, RungAccount
from mesh.core.types import CloudModel, ModelId, Plan, Tier
from mesh.core.verdict import Applied, Effect

# What takes models away may take one that comes while the request waits: it is none of its rungs.
_TAKES_AWAY = frozenset({Effect.FORBID, Effect.ALLOW, Effect.PIN, Effect.COST_MAX})
# A rung that is right less often than this is no try: three of four such answers are thrown away.
TRIED_FROM_P_OK = 0.25


@dataclass(frozen=True, slots=True)
class Step:
    """One rung, as this request sees it."""

    model_id: ModelId
    name: str
    p_ok: float  # of a head that is trusted; 0: nobody knows
    rank: float  # P(ok), or a guess where nobody knows: for the order alone
    cost_microusd: float  # expected
    guess: float = 0.0  # P(ok) before anything was learned from judged answers; 0: none was made
    parameters: int = 0
    stays: float = 0.0  # what P(ok) may lack, as the session's prompt is read there already
    scored: bool = False  # it has a head, whether or not that is to be believed of this prompt
    judged: bool = False  # its answers' confidence can be believed, so that a wrong one is noticed
    able: bool = True  # somebody could serve it when the request came
    preferred: bool = False  # by a rule of the operator
    removed_by: str = ""  # why it may not answer; "" if it may
    by_rule: bool = False  # a rule or a limit removed it, and not what the model is
    specialist: bool = False  # the prompt is of a domain that the model was made for
    on_ground: bool = True  # the same, or the model was made for any
    standing: str = ""  # of a newcomer, see ``mesh.core.canary``
    cloud: CloudModel | None = None

    @property
    def known(self) -> bool:
        return self.p_ok > 0

    def good_enough(self, policy: Policy) -> bool:
        return self.known and self.p_ok + self.stays >= policy.target


@dataclass(slots=True)
class Climb:
    """Mutable; only ``Fleet.handle`` changes it."""

    order: tuple[Step, ...]  # to be tried one after the other
    removed: tuple[Step, ...]
    why: str
    at: int = 0  # the place in ``order`` of the step that is tried now
    knows: bool = True  # of some of them how good they are
    exhausted: bool = False  # all of ``order`` was passed by since an attempt began, or it waited
    stands_in: bool = False  # the model that was asked for is not there, and these may answer
    moved: bool = False  # a newcomer's standing has changed the order
    on_trial: ModelId | None = None  # the newcomer whose answer is compared with another's
    together: int = 0  # so many of the first ones are of equal standing
    tier_max: Tier | None = None  # by a rule
    applied: tuple[Applied, ...] = ()  # what each rule did
    read: dict[ModelId, tuple[float, float]] = field(default_factory=dict)  # confidence, threshold

    @property
    def step(self) -> Step | None:
        """The step that is tried now; None: there is none left."""
        return self.order[self.at] if self.at < len(self.order) else None

    @property
    def plan(self) -> Plan:
        """The models of the mesh that may answer now: none in the cloud, and none that is worse.

        A request that may have a slot of a better model at once takes it; it rather waits than
        to take a worse one, which comes where the others cannot answer at all.
        """
        run = self._run()
        if self.at < self.together:
            return Plan((tuple(step.model_id for step in run),), self.why)
        return Plan(tuple((step.model_id,) for step in run), self.why)

    def _run(self) -> list[Step]:
        if self.at < self.together:
            return list(self.order[self.at : self.together])
        run: list[Step] = []
        for step in self.order[self.at :]:
            # Nobody waits for a canary: whoever would have answered otherwise is as good.
            first = next((each for each in run if each.model_id != self.on_trial), step)
            worse = self.knows and step.rank < first.rank
            if step.cloud is not None or worse:
                break
            run.append(step)
        return run

    @property
    def plain(self) -> bool:
        """Is there nothing that any model's chances or a rule would change?"""
        ruled = any(step.by_rule for step in self.removed)
        ruled = ruled or any(each.effect in _TAKES_AWAY for each in self.applied)
        liked = any(step.preferred for step in self.order)
        return not (self.knows or ruled or liked or self.stands_in or self.moved)

    def of(self, model_id: ModelId) -> Step | None:
        return next((step for step in self.order if step.model_id == model_id), None)

    def try_first(self, newcomer: Step, why: str) -> None:
        """Let a newcomer answer; those who would have come after it, in their order."""
        self.order = (newcomer, *(step for step in self.order if step is not newcomer))
        self.on_trial, self.why, self.moved = newcomer.model_id, why, True

    def let_take_turns(self, clouds: Sequence[CloudModel]) -> None:
        """Put cloud models that are equals into the order of ``clouds``, on the rungs they have.

        Whichever of them is the cheapest, none is better: their operator says so.
        """
        steps = {step.cloud: step for step in self.order if step.cloud is not None}
        groups = {each.equals for each in clouds}
        turns = {name: iter([each for each in clouds if each.equals == name]) for name in groups}
        order = []
        for step in self.order:
            if step.cloud is None or not step.cloud.equals:
                order.append(step)
                continue
            among = turns[step.cloud.equals]
            order.append(next(steps[cloud] for cloud in among if cloud in steps))
        if order and order[0] is not self.order[0]:
            self.why += f"; it is the turn of its equal {order[0].name}"
        self.order = tuple(order)

    def hold_equal(self, asked: str) -> None:
        """Whatever goes by the name that was asked for is as good, unless somebody knows better."""
        if self.knows or any(step.preferred for step in self.order):
            return
        self.together = sum(step.cloud is None for step in self.order)
        self.why = f"{asked} was asked for"

    def settle_on(self, model_id: ModelId) -> None:
        """A replica of this model was found: it is the step that is tried."""
        places = (place for place, step in enumerate(self.order) if step.model_id == model_id)
        self.at, self.exhausted = next(places, self.at), False

    def above(self, model_id: ModelId) -> Step | None:
        """Return the step that would be tried if an answer of this model is not good enough."""
        step = self.of(model_id)
        if step is None:
            return None
        after = self.order[self.order.index(step) + 1 :]
        return next((each for each in after if each.able and each.rank > step.rank), None)

    def why_cloud(self, failed: str) -> str:
        """Why the rung that is tried now is in the cloud; ``failed``: what became of the last."""
        if not self.at or self.read:
            return self.why
        return f"cloud: {failed or 'no machine can serve the rungs before it'}"

    def pass_by(self) -> bool:
        """None of those planned now can answer: go on to the next ones, if there are any.

        After the last ones it begins anew, and says so once: whoever asks further is at an end.
        """
        if self.exhausted:
            return False
        self.at += max(1, len(self._run()))
        if self.at < len(self.order):
            return True
        self.at, self.exhausted = 0, True
        return False

    def escalate(self, model_id: ModelId, confidence: float, threshold: float) -> None:
        """An answer of this model was not good enough."""
        self.read[model_id] = confidence, threshold
        step, above = self.of(model_id), self.above(model_id)
        assert step is not None, "it was tried"
        assert above is not None, "else it would not have been judged"
        rest = [each for each in self.order if each is not step]
        self.order = (*rest, step)  # the last resort, if all others fail
        self.at, self.exhausted = self.order.index(above), False

    def accounts(self, chosen: ModelId | None) -> tuple[RungAccount, ...]:
        """Return the rungs for the receipt, those that were removed last."""
        return tuple(
            RungAccount(
                model_id=step.model_id,
                model_name=step.name,
                p_ok=step.p_ok,
                standing=step.standing,
                basis=_basis(step, on_trial=step.model_id == self.on_trial),
                confidence=self.read.get(step.model_id, (0.0, 0.0))[0],
                threshold=self.read.get(step.model_id, (0.0, 0.0))[1],
                expected_cost_microusd=round(step.cost_microusd),
                removed_by=step.removed_by,
                chosen=step.model_id == chosen,
            )
            for step in (*self.order, *self.removed)
        )


def _basis(step: Step, *, on_trial: bool) -> Basis:
    return Basis(
        guess=step.guess,
        rank=step.rank,
        cost_microusd=step.cost_microusd,
        parameters=step.parameters,
        stays=step.stays,
        judged=step.judged,
        preferred=step.preferred,
        by_rule=step.by_rule,
        in_cloud=step.cloud is not None,
        on_trial=on_trial,
    )


def climb_of(steps: Sequence[Step], policy: Policy) -> Climb:
    """Put the steps into the order in which they are tried."""
    allowed = [step for step in steps if not step.removed_by]
    removed = tuple(step for step in steps if step.removed_by)
    if not any(step.known for step in allowed):
        if any(step.scored for step in allowed):
            return _foreign(allowed, removed)
        order = _unknown(allowed, policy)
        mesh = sum(step.cloud is None for step in order)
        together = mesh if policy.models is Order.ANY else 0
        why = _why_unknown(order, policy)
        return Climb(tuple(order), removed, why, knows=False, together=together)
    by_cost = sorted(allowed, key=lambda step: (not step.preferred, step.cost_microusd))
    good = next((step for step in by_cost if step.good_enough(policy)), None)
    best = max(allowed, key=lambda step: step.rank)
    first = good or best
    tried = _worth_a_try(by_cost, first, policy)
    order = [tried or first]
    upwards = [step for step in by_cost if step.rank > order[0].rank]
    upwards.sort(key=lambda step: step is not first and step.rank < first.rank)
    order += upwards
    taken = {step.model_id for step in order}
    others = [step for step in allowed if step.model_id not in taken]
    order += sorted(others, key=lambda step: -step.rank)
    if policy.models is Order.ANY and good is not None:
        return _quickest(order, removed, policy)
    return Climb(tuple(order), removed, _why(order[0], good, tried, policy))


def _foreign(allowed: Sequence[Step], removed: tuple[Step, ...]) -> Climb:
    """Models were learned of, and no prompts like this one: let the best of them have it."""
    order = sorted(allowed, key=lambda step: (not step.preferred, -step.rank))
    why = f"no prompt like this one was learned from, {order[0].name} is the best by its size"
    return Climb(tuple(order), removed, why)


def _quickest(order: Sequence[Step], removed: tuple[Step, ...], policy: Policy) -> Climb:
    """Let the prediction choose among all that are good enough."""
    good = [each for each in order if each.good_enough(policy) and each.cloud is None]
    rest = [each for each in order if each not in good]
    why = f"the fastest answer of those good enough (policy {policy})"
    return Climb((*good, *rest), removed, why, together=len(good))


def _worth_a_try(by_cost: Sequence[Step], first: Step, policy: Policy) -> Step | None:
    """Return a cheaper step whose answers can be judged, if trying it saves money on average.

    A try costs its own price, and with 1 - P(ok) that of ``first`` as well: it is worth it from
    P(ok) > own price / price of ``first``, as in FrugalGPT's cascades (arXiv:2305.05176).
    """
    if not policy.cascade:
        return None
    for step in by_cost:
        if step is first or step.cost_microusd >= first.cost_microusd:
            continue
        least = max(TRIED_FROM_P_OK, step.cost_microusd / first.cost_microusd)
        if step.judged and step.known and step.p_ok > least and step.rank < first.rank:
            return step
    return None


def _unknown(allowed: Sequence[Step], policy: Policy) -> list[Step]:
    """Nobody knows what is good enough: the policy decides where to begin, the cloud is last."""
    mesh = [step for step in allowed if step.cloud is None]
    mesh.sort(key=lambda step: (step.parameters, step.model_id))
    if policy.models is not Order.SMALLEST:
        mesh.reverse()
    mesh.sort(key=lambda step: not step.preferred)
    return mesh + [step for step in allowed if step.cloud is not None]


def _why_unknown(order: Sequence[Step], policy: Policy) -> str:
    if not order:
        return "no model may answer"
    if order[0].preferred:
        return f"a rule prefers {order[0].name}"
    size = "smallest" if policy.models is Order.SMALLEST else "largest"
    return f"the {size} model (policy {policy})"


def _why(chosen: Step, good: Step | None, tried: Step | None, policy: Policy) -> str:
    p_ok = f"P(ok) {chosen.p_ok:.2f}"
    if tried is not None:
        return f"{chosen.name} is worth a try: {p_ok}, and its answer is judged (policy {policy})"
    if good is not None:
        return (
            f"{chosen.name} is the cheapest that is good enough: "
            f"{p_ok} of at least {policy.target:.2f} (policy {policy})"
        )
    likely = p_ok if chosen.known else "by its size"
    return f"none is known to be good enough, {chosen.name} is the likeliest: {likely}"
