"""Chooses the rungs of a request: what is known of each model, put before the rules and the policy.

``Choosing`` holds what does not depend on a request: the catalogue, the operator's rules, the cloud
models on offer, the heads that judge answers, and on which rung each session is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from mesh.core.actions import Action, TellOperator
from mesh.core.asked import BIG, SMALL, Assessment
from mesh.core.calibration import ConfidenceHead
from mesh.core.canary import Newcomers, on_trial
from mesh.core.catalogue import Catalogue, Entry
from mesh.core.climb import Climb, Step, climb_of
from mesh.core.cloud import named
from mesh.core.directory import Directory
from mesh.core.events import LadderConfigured
from mesh.core.facts import facts_of
from mesh.core.filter import BYTES_PER_TOKEN_MAX
from mesh.core.held import Held, threshold_of
from mesh.core.ladder import is_automatic
from mesh.core.limits import HELD_TOKENS_MAX
from mesh.core.outcomes import Label, Outcomes, Source, label
from mesh.core.progress import Progress
from mesh.core.rules import Rules
from mesh.core.rung_cost import USD_PER_KWH, expected_microusd
from mesh.core.sessions import LastAnswer, Sessions
from mesh.core.shares import Shares
from mesh.core.substitutes import substitutes
from mesh.core.trial import Standing
from mesh.core.types import Capability, CloudModel, Model, ModelId, Request, Tier
from mesh.core.verdict import NOTHING_SAID, Verdict

MODELS_MAX = 64  # of a ladder: at 2 us each; a mesh of hundreds has its smallest and largest there
# What a cloud model counts as whose price nobody knows. The gate lets no request pass to it either.
UNPRICED_MICROUSD = 1e6
# What a session's model may lack of the target, so that a prefix of so many tokens is not read
# again elsewhere for a hair's breadth: on a desk, that is ten seconds and more.
STAYS_P_OK, STAYS_TOKENS = 0.1, 4000
CALLS_WORK = 0.5  # a model most of whose last calls failed has no claim to its session


@dataclass(slots=True)
class Choosing:
    """Mutable; only ``Fleet.handle`` changes it."""

    directory: Directory
    catalogue: Catalogue = field(default_factory=Catalogue)
    rules: Rules = field(default_factory=Rules)
    usd_per_kwh: float = USD_PER_KWH
    clouds: tuple[CloudModel, ...] = ()
    # By the model's name and the prompt's class.
    heads: Mapping[tuple[str, str], ConfidenceHead] = field(default_factory=dict)
    sessions: Sessions = field(default_factory=Sessions)
    shares: Shares = field(default_factory=Shares)
    outcomes: Outcomes = field(default_factory=Outcomes)
    newcomers: Newcomers = field(init=False)

    def __post_init__(self) -> None:
        self.newcomers = Newcomers(self.outcomes)

    def configure(self, event: LadderConfigured) -> None:
        self.newcomers.share = event.canary_share
        self.catalogue, self.rules, self.heads = event.catalogue, event.rules, event.heads
        self.usd_per_kwh = event.usd_per_kwh

    def choose(self, progress: Progress, rng: Random, now_s: float) -> list[Action]:
        """Make a request's ladder of the models there are now; tell an operator of new ones."""
        progress.models_changed = self.directory.models_changed
        progress.request = progress.as_asked
        climb, told = self.begin(progress.request, progress.clouds, rng, now_s)
        progress.take(climb)
        return told

    def choose_again(self, progress: Progress) -> None:
        """Make the ladder of a request that waits anew; a model that is new has no part in it."""
        progress.models_changed = self.directory.models_changed
        progress.request = progress.as_asked
        progress.take(self.climb(progress.request, progress.clouds))

    def outdated(self, progress: Progress) -> bool:
        """Was its ladder made of other models than there are now? Once begun, it is kept."""
        changed = progress.models_changed != self.directory.models_changed
        return changed and progress.climb is not None and progress.untried

    def climb(self, request: Request, clouds: Sequence[CloudModel]) -> Climb | None:
        """Return the ladder of a request; None for one that names its model, where no rule is.

        Args:
            clouds: the cloud models on offer; of equals, the one to ask first is first.
        """
        automatic = is_automatic(request)
        if not automatic and request.accept_substitute and not self._is_there(request, clouds):
            steps, entries, verdict = self._weighed(request, clouds, automatic=True)
            climb = self._in_its_place(request, entries, steps)
            if climb.order:
                return _by(climb, verdict)
        if not (automatic or self.rules):
            return None
        steps, _, verdict = self._weighed(request, clouds, automatic=automatic)
        climb = climb_of(steps, request.policy)
        climb.let_take_turns(clouds)
        if automatic:
            self.newcomers.put_back(climb)
        else:
            climb.hold_equal(request.model)
        return _by(climb, verdict)

    def begin(
        self, request: Request, clouds: Sequence[CloudModel], rng: Random, now_s: float
    ) -> tuple[Climb | None, list[Action]]:
        """Return the ladder of a request that is here, and what an operator is to be told.

        ``rng`` draws whether a model that is new has a part in it.
        """
        told = self._executed(request, now_s)
        climb = self.climb(request, clouds)
        if climb is None or not is_automatic(request):
            return climb, told
        considered = self.newcomers.consider(climb, request, rng, now_s)
        return climb, told + [TellOperator(line) for line in considered]

    def judged(self, labels: Iterable[Label], now_s: float) -> list[Action]:
        """Answers were judged: requests from now on climb by what that teaches."""
        told: list[str] = []
        in_cloud = {cloud.model_id for cloud in self.clouds}
        for each in labels:
            self.outcomes.learn(each)
            if each.model_id in in_cloud and each.instead_of is None:  # shares take no score back
                self.shares.learn(each.model_id, each.score)
            told += self.newcomers.judged(each, now_s)
        return [TellOperator(line) for line in told]

    def answered(self, progress: Progress, model_id: ModelId, prompt_tokens: int) -> None:
        """A request has its whole answer, of this model."""
        request, climb = progress.request, progress.climb
        step = climb.of(model_id) if climb is not None else None
        guess = step.guess if step is not None else 0.0
        last = LastAnswer(model_id, prompt_tokens, request.assessment.task_class, guess)
        self.sessions.answered(request, last)

    def _executed(self, request: Request, now_s: float) -> list[Action]:
        """Learn what execution said of the calls in the session's last answer."""
        score = request.assessment.calls_worked
        last = self.sessions.take_untold(request) if score is not None else None
        if score is None or last is None or not last.guess:
            return []
        told = label(
            Source.EXECUTION, last.model_id, last.task_class, guess=last.guess, score=score
        )
        return self.judged([told], now_s)

    def _weighed(
        self, request: Request, clouds: Sequence[CloudModel], *, automatic: bool
    ) -> tuple[list[Step], list[Entry], Verdict]:
        """Look at each model that could answer, and at what the rules say of it."""
        models = self._models(request, clouds, automatic=automatic)
        entries = [self.catalogue.entry(each) for each in models]
        verdict = self.rules.judge(facts_of(request), entries) if self.rules else NOTHING_SAID
        steps = [
            self._step(request, model, entry, verdict)
            for model, entry in zip(models, entries, strict=True)
        ]
        return steps, entries, verdict

    def _is_there(self, request: Request, clouds: Sequence[CloudModel]) -> bool:
        """Is anybody there who could serve the model that was asked for?"""
        held = any(self._able(each) for each in self.directory.resolve(request.model))
        return held or bool(named(request.model, clouds))

    def _in_its_place(
        self, request: Request, entries: Sequence[Entry], steps: Sequence[Step]
    ) -> Climb:
        """Let models answer that may stand in for the one that was asked for, the likest first."""
        known = [self.directory.model(each) for each in self.directory.resolve(request.model)]
        there = next((each for each in known if each is not None), None)
        asked = self.catalogue.by_name(request.model)
        asked = self.catalogue.entry(there) if there is not None else asked
        alike = substitutes(asked, entries) if asked is not None else ()
        by_id = {step.model_id: step for step in steps}
        order = [by_id[each.model_id] for each in alike if not by_id[each.model_id].removed_by]
        why = f"{request.model} is not there, and a substitute is accepted"
        removed = tuple(step for step in steps if step.removed_by)
        return Climb(tuple(order), removed, why, knows=False, stands_in=True)

    def held(self, climb: Climb, request: Request, model_id: ModelId) -> Held | None:
        """Return how an answer of this model is to be judged; None if it is given as it comes."""
        step = climb.of(model_id)
        if step is None or not step.judged or model_id in climb.read:
            return None
        if not request.policy.cascade or climb.above(model_id) is None:
            return None
        head = self._head(step.name, request.assessment)
        threshold = threshold_of(head, request.policy.risk) if head is not None else None
        if head is None or threshold is None:
            return None
        # Judged sooner than its head was fitted for, an answer's risk would be anybody's guess.
        hold_tokens = max(request.hold_tokens or request.policy.hold_tokens, head.tokens)
        if Capability.TOOLS in request.needs:
            hold_tokens = HELD_TOKENS_MAX
        return Held(head, threshold, step.guess, hold_tokens)  # as the head was fitted

    def learn(self, climb: Climb, request: Request, model_id: ModelId, held: Held) -> None:
        """An answer was judged while it was held back. Right or wrong, it teaches the same way:
        if only those that were not good enough did, every model would seem worse than it is.
        """
        step, score = climb.of(model_id), held.score
        if step is None or score is None:
            return
        source = Source.TEST if held.broken_calls else Source.CONFIDENCE
        task_class = request.assessment.task_class
        self.outcomes.learn(label(source, model_id, task_class, guess=step.guess, score=score))

    def _models(
        self, request: Request, clouds: Sequence[CloudModel], *, automatic: bool
    ) -> list[Model | CloudModel]:
        if automatic:
            model_ids = list(self.directory.automatic())
            half = MODELS_MAX // 2
            if len(model_ids) > MODELS_MAX:
                model_ids = model_ids[:half] + model_ids[-half:]
        else:
            model_ids = list(self.directory.resolve(request.model))
        found = [self.directory.model(each) for each in model_ids]
        clouds = clouds if automatic else named(request.model, clouds)
        return [*(each for each in found if each is not None), *clouds]

    def _step(
        self, request: Request, model: Model | CloudModel, entry: Entry, verdict: Verdict
    ) -> Step:
        assessment = request.assessment
        head = head_of(entry, assessment)
        trusted = head in assessment.trusted and self._alone_so_called(head, entry)
        guess = assessment.p_ok[head] if trusted else _guess(entry, assessment)
        specialist = bool(assessment.domain) and assessment.domain in entry.domains
        on_ground = specialist or not entry.domains
        learned, known = guess, trusted
        if trusted or on_ground:  # what a specialist does well says nothing of other ground
            learned = self.outcomes.p_ok(model.model_id, assessment.task_class, guess)
            known = trusted or self.outcomes.trusted(model.model_id)
        scored = known
        if assessment.foreign:
            learned, known = entry.quality, False
        cost = self.cost_microusd(entry, request)
        step = Step(
            model_id=model.model_id,
            name=model.name,
            p_ok=learned if known else 0.0,
            rank=learned,
            guess=guess,
            cost_microusd=cost,
            parameters=entry.parameters,
            scored=scored,
            judged=self._alone_so_called(model.name, entry) and self._judged(model.name, request),
            stays=self._stays(request, model.model_id),
            able=isinstance(model, CloudModel) or self._able(model.model_id),
            preferred=model.model_id in verdict.preferred,
            removed_by=verdict.removed.get(model.model_id, ""),
            specialist=specialist,
            on_ground=on_ground,
            cloud=model if isinstance(model, CloudModel) else None,
        )
        if not scored or self.newcomers.standing(model.model_id) is Standing.PROMOTED:
            step = on_trial(step, self.newcomers.standing(model.model_id))
        if not step.removed_by and (reason := _too_dear(step, request, verdict)):
            step = replace(step, removed_by=reason)
        if step.removed_by:
            return replace(step, by_rule=True)
        barred = _barred(step, request)
        return replace(step, removed_by=barred) if barred else step

    def cost_microusd(self, entry: Entry, request: Request) -> float:
        """Return what an answer of this model is expected to cost: money, or the machines' energy.

        The part of the prompt that the session's model holds already is not paid again.
        """
        habits = self.directory.habits
        read = habits.prompt_tokens(entry.model_id, request.prompt_bytes)
        written = habits.output_tokens(entry.model_id, request)
        read -= min(read, self.sessions.held_tokens(request, entry.model_id))
        if not entry.local and entry.price is None:
            return UNPRICED_MICROUSD
        return expected_microusd(entry, read, written, usd_per_kwh=self.usd_per_kwh)

    def _able(self, model_id: ModelId) -> bool:
        return len(self.directory.holders(model_id).able) > 0

    def _stays(self, request: Request, model_id: ModelId) -> float:
        worked = request.assessment.calls_worked
        if worked is not None and worked < CALLS_WORK:
            return 0.0
        held = self.sessions.held_tokens(request, model_id)
        return STAYS_P_OK * min(1.0, held / STAYS_TOKENS)

    def _alone_so_called(self, name: str, entry: Entry) -> bool:
        """Can a head of this name mean no other weights than these?

        What was learned of a model holds for one identity, and a machine calls its weights as it
        likes: where several go by a name, a head of that name is believed of none of the mesh. One
        named by the identity itself always is, and one of an upstream, which the operator named.
        """
        if not entry.local or name == entry.model_id:
            return True
        return len(self.directory.resolve(name)) <= 1 and not named(name, self.clouds)

    def _judged(self, name: str, request: Request) -> bool:
        head = self._head(name, request.assessment)
        return head is not None and threshold_of(head, request.policy.risk) is not None

    def _head(self, name: str, assessment: Assessment) -> ConfidenceHead | None:
        """Only one of this very class: thresholds of another say nothing here.

        A prompt of no known class has none.
        """
        if not assessment.task_class:
            return None
        return self.heads.get((name, assessment.task_class))


def _by(climb: Climb, verdict: Verdict) -> Climb:
    """Let the ladder be climbed as the rules say."""
    climb.tier_max, climb.applied = verdict.tier_max, verdict.applied
    return climb


def head_of(entry: Entry, assessment: Assessment) -> str:
    """Return the scorer's head for a model: one of its own, or "" if there is none.

    The identity is the most exact of its names.
    """
    for name in (entry.model_id, entry.name):
        if name in assessment.p_ok:
            return name
    return next((each for each in entry.names if each in assessment.p_ok), "")


def _guess(entry: Entry, assessment: Assessment) -> float:
    """Return a measure of how good a model is that no head knows: for an order, no probability."""
    small, big = assessment.p_ok.get(SMALL), assessment.p_ok.get(BIG)
    if small is None or big is None:
        return entry.quality
    return small + (big - small) * entry.quality


def _too_dear(step: Step, request: Request, verdict: Verdict) -> str:
    cap = min(filter(None, (verdict.cost_microusd_max, request.cost_microusd_max)), default=None)
    if cap is None or step.cost_microusd <= cap:
        return ""
    return f"expected to cost {step.cost_microusd:.0f} micro-USD, and {cap} are allowed"


def _barred(step: Step, request: Request) -> str:
    """Return the fact that keeps a rung in the cloud from answering, or ""."""
    if step.cloud is None:
        return ""
    if request.tier is not Tier.CLOUD:
        return f"the prompt may not leave its {request.tier.name.lower()}"
    if not request.policy.cloud:
        return f"policy {request.policy} keeps the prompt in the mesh"
    # As of machines: only what cannot fit at twice the usual bytes a token is ruled out here.
    context_tokens = step.cloud.context_tokens
    if context_tokens and request.prompt_bytes > BYTES_PER_TOKEN_MAX * context_tokens:
        return f"the prompt is far longer than its context of {context_tokens}"
    missing = request.needs - step.cloud.capabilities
    return f"cannot do {', '.join(sorted(missing))}" if missing else ""
