"""Recorded requests, decided anew under another policy: what would they have cost, how good be?

The ladder is built by the same code as for a real request (``climb_of``), from what was known of
its rungs then. Both sides are told in the same measure, so that they can be compared: a rung's
expected cost, and P(ok) or, where nobody knew it, the guess that the order went by.

What a replay cannot know: what the operator's rules of today would do (those of then count),
whether a machine would have been free, and how confident a model would have been that was not
asked. Such an answer counts as accepted as often as it is expected to be right, and accepted ones
as wrong at the policy's risk.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mesh.core.climb import Climb, Step, climb_of
from mesh.core.policies import Policy
from mesh.core.receipt import RungAccount
from mesh.core.types import CloudModel, Tier


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request that was answered, without its words."""

    rungs: Sequence[RungAccount]
    tier: Tier  # how far its prompt was allowed to travel
    paid_microusd: int = 0
    score: float | None = None  # what somebody said of its answer


@dataclass(slots=True)
class Totals:
    """Sums over requests."""

    requests: int = 0
    cost_microusd: float = 0.0  # expected
    right: float = 0.0  # expected
    in_cloud: float = 0.0  # requests that reach it, expected
    first: Counter[str] = field(default_factory=Counter)  # model -> requests that begin on it

    @property
    def quality(self) -> float:
        """The expected share of right answers."""
        return self.right / self.requests if self.requests else 0.0

    @property
    def cloud_share(self) -> float:
        return self.in_cloud / self.requests if self.requests else 0.0

    def add(self, expected: "_Expected") -> None:
        self.requests += 1
        self.cost_microusd += expected.cost_microusd
        self.right += expected.right
        self.in_cloud += expected.in_cloud
        self.first[expected.first] += 1


@dataclass(slots=True)
class Replay:
    """What happened, and what would have, side by side."""

    recorded: Totals = field(default_factory=Totals)
    replayed: Totals = field(default_factory=Totals)
    paid_microusd: int = 0
    scores: list[float] = field(default_factory=list)  # that people gave, of what happened
    other_first: int = 0  # requests that would begin on another model
    left_out: int = 0  # of which nothing may answer under the other policy, or nothing did


@dataclass(frozen=True, slots=True)
class _Expected:
    first: str
    cost_microusd: float
    right: float
    in_cloud: float


def replay(requests: Iterable[Recorded], policy: Policy) -> Replay:
    """Decide ``requests`` anew under ``policy``."""
    found = Replay()
    for each in requests:
        happened = _happened(each)
        climb = climb_of([_step(rung, each.tier, policy) for rung in each.rungs], policy)
        if happened is None or climb.step is None:
            found.left_out += 1
            continue
        would = _would(climb, policy)
        found.recorded.add(happened)
        found.replayed.add(would)
        found.paid_microusd += each.paid_microusd
        found.other_first += would.first != happened.first
        if each.score is not None:
            found.scores.append(each.score)
    return found


def _happened(request: Recorded) -> _Expected | None:
    """Add up the rungs that were tried: those whose confidence was read, and who answered."""
    chosen = next((each for each in request.rungs if each.chosen), None)
    if chosen is None:
        return None
    given_up = [each for each in request.rungs if each.threshold > 0 and each is not chosen]
    tried = [*given_up, chosen]
    first = min(given_up, key=lambda each: each.basis.rank, default=chosen)
    believed = chosen.confidence if chosen.threshold > 0 else chosen.basis.rank
    return _Expected(
        first=first.model_name,
        cost_microusd=sum(each.basis.cost_microusd for each in tried),
        right=believed,
        in_cloud=float(any(each.basis.in_cloud for each in tried)),
    )


def _would(climb: Climb, policy: Policy) -> _Expected:
    """Follow the ladder from its first step, with the chances that it stops at each."""
    first = step = climb.step
    assert first is not None, "whoever asks has seen that there is one"
    reached, cost, right, in_cloud = 1.0, 0.0, 0.0, 0.0
    cloud_seen = False
    while step is not None:
        above = climb.above(step.model_id) if step.judged and policy.cascade else None
        cost += reached * step.cost_microusd
        if step.cloud is not None and not cloud_seen:
            in_cloud, cloud_seen = reached, True
        if above is None:
            right += reached * step.rank
            break
        accepted = step.rank
        right += reached * accepted * (1.0 - policy.risk)
        reached *= 1.0 - accepted
        step = above
    return _Expected(first.name, cost, right, in_cloud)


def _step(rung: RungAccount, tier: Tier, policy: Policy) -> Step:
    basis = rung.basis
    removed_by = rung.removed_by
    if basis.in_cloud and not basis.by_rule:
        kept = removed_by.startswith("policy ") and tier is Tier.CLOUD  # by the policy of then
        removed_by = "" if kept else removed_by
        if not removed_by and not policy.cloud:
            removed_by = f"policy {policy} keeps the prompt in the mesh"
    return Step(
        model_id=rung.model_id,
        name=rung.model_name,
        p_ok=rung.p_ok,
        rank=basis.rank,
        cost_microusd=basis.cost_microusd,
        guess=basis.guess,
        parameters=basis.parameters,
        stays=basis.stays,
        judged=basis.judged,
        preferred=basis.preferred,
        removed_by=removed_by,
        by_rule=basis.by_rule,
        cloud=CloudModel(rung.model_name, "recorded") if basis.in_cloud else None,
    )
