"""The account of a request: what could have served it, what was tried, and how long it took."""

from dataclasses import dataclass, field

from mesh.core.look import Look
from mesh.core.types import AttemptId, ModelId, NodeId, Policy, RequestKey, Tier, Usage


@dataclass(frozen=True, slots=True)
class Candidate:
    """One replica that could serve a request, with what was predicted for it. Seconds."""

    node_id: NodeId
    node_name: str
    model_id: ModelId
    model_name: str
    first_token_s: float
    completion_s: float
    cost: float  # what the pick minimised
    free: bool  # a slot is free right now
    reading_s: float = 0.0  # of first_token_s, for what of the prompt it does not hold yet
    decode_s: float = 0.0  # a token of the answer
    prompt_tokens: float = 0.0  # expected, without those it holds
    cached_tokens: float = 0.0  # of the prompt, expected to be held there
    reason: str = ""  # why it was not chosen, for people; "" if it was, or if nobody asked
    engine: str = ""  # as ``Offer.engine``


@dataclass(frozen=True, slots=True)
class RuledOut:
    """A node that could not serve a request, and why, for people."""

    node_id: NodeId
    node_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptAccount:
    """One try of one model on one node."""

    attempt_id: AttemptId
    node_id: NodeId
    node_name: str
    model_id: ModelId
    model_name: str
    outcome: str  # "answered", "busy", "node_lost", ...
    reason: str
    predicted_first_token_s: float
    first_token_s: float  # from the attempt's start; 0: none came
    duration_s: float
    usage: Usage
    numerics: str
    tier: Tier  # how far the prompt travelled for it
    cost_microusd: int = 0
    price_version: str = ""  # "" for what costs nothing
    accepted_s: float = 0.0  # from the attempt's start until its prompt was begun; 0: it was not
    hedge: bool = False  # begun while another one was late
    tokens_given: int = 0  # by it, whatever its usage counts of those that were given before
    engine: str = ""  # as ``Offer.engine``


@dataclass(frozen=True, slots=True)
class Basis:
    """What the ladder knew of a rung when it put it into its order, and people are not told."""

    guess: float = 0.0  # P(ok) before anything was learned from judged answers; 0: none was made
    rank: float = 0.0  # P(ok), or a guess where nobody knows
    cost_microusd: float = 0.0  # expected
    parameters: int = 0
    stays: float = 0.0
    judged: bool = False  # its confidence could be believed
    preferred: bool = False
    by_rule: bool = False  # removed by a rule or a limit, whatever the policy
    in_cloud: bool = False
    on_trial: bool = False  # a newcomer, whose answer is compared with another's


NO_BASIS = Basis()


@dataclass(frozen=True, slots=True)
class RungAccount:
    """One model that could answer, and why it did or did not."""

    model_id: ModelId
    model_name: str
    p_ok: float = 0.0  # 0: no scorer is trusted
    confidence: float = 0.0  # of its answer, where it was read
    threshold: float = 0.0  # that was wanted
    expected_cost_microusd: int = 0
    removed_by: str = ""  # the rule or fact that removed it; "" if it may answer
    chosen: bool = False  # it answered last
    standing: str = ""  # of a newcomer: "shadow", "canary", "promoted" or "rolled back"
    basis: Basis = field(default=NO_BASIS, repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Everything the coordinator can tell of one request. Seconds from its arrival."""

    key: RequestKey
    asked_model: str
    tier: Tier  # how far the prompt did travel; without an attempt, how far it was allowed to
    policy: Policy
    attempts: tuple[AttemptAccount, ...]
    candidates: tuple[Candidate, ...]
    ruled_out: tuple[RuledOut, ...]
    why: str
    queued_s: float
    first_token_s: float  # 0: none came
    total_s: float
    tokens_per_s: float
    test_model: bool
    cost_microusd: int = 0  # of all attempts
    price_version: str = ""
    numerics_changed_at_token: int = 0  # whoever went on there rounds otherwise; 0: never
    notes: tuple[str, ...] = ()
    ladder: tuple[RungAccount, ...] = ()
    first_visible_token_s: float = 0.0  # when the client got it; later, if it was held
    look: Look | None = field(default=None, repr=False)  # what the last pick weighed, if any did
