"""What a request costs on the replicas of a rung: the arithmetic of a pick. Changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from random import Random

from mesh.core.blocks import BLOCK_BYTES
from mesh.core.cost import Demand, Prediction, factor_of, predict
from mesh.core.directory import Directory, Holders
from mesh.core.filter import BYTES_PER_TOKEN_MAX, unfit
from mesh.core.ladder import Rung
from mesh.core.look import Look, Scored, Waiting
from mesh.core.node import Replica
from mesh.core.prefix_index import Found
from mesh.core.receipt import Candidate
from mesh.core.types import ModelId, NodeId, Request, Tier

CANDIDATES_MAX = 64  # predicted for one pick: bounds a decision's time in a mesh of any size
# They come the quickest first, so half as many of one model do, unless all are to be explained; and
# where ``ENOUGH`` are found, none is looked at that is four times as slow for a usual request.
OF_A_MODEL_MAX, ENOUGH, FAR_RANKS = 32, 16, 4
HASHED_MODELS_MAX = 4  # of one pick: to hash a long prompt takes as long as the pick itself
WAITED_FOR_MAX = 8  # full replicas that are looked at, the quickest, beside the free ones
# Who waits knows that all slots are taken, and guesses when they end. So many times as much counts
# the guess: of 200 simulated unequal nodes (`python -m bench fleet`) the p99 first token was 7.9 s
# at 1, 5.2 s at 2, 3.9 s at 4, 3.3 s at 8.
WAIT_DOUBT = 8.0

Held = tuple[ModelId, Holders]


@dataclass(slots=True)
class Pick:
    """One request on one rung: what it demands of each model, and who holds its beginning."""

    request: Request
    rung: Rung
    directory: Directory
    avoid: Mapping[NodeId, str]  # nodes that failed or refused it already, with the reason
    rng: Random
    declined: list[Scored] = field(default_factory=list)  # free, and not worth taking
    _held: list[Held] = field(init=False)
    _demands: dict[ModelId, Demand] = field(default_factory=dict)
    _waited_for: dict[ModelId, list[tuple[float, Replica]]] = field(default_factory=dict)
    _turns: dict[ModelId, float] = field(default_factory=dict)  # seconds between two free slots
    _found: dict[ModelId, Mapping[NodeId, Found]] = field(default_factory=dict)
    _passed: list[Waiting] = field(default_factory=list)  # full ones, weighed against a free one

    def __post_init__(self) -> None:
        self._held = [(each, self.directory.holders(each)) for each in self.rung.model_ids]

    def free(self) -> list[Scored]:
        """Return the replicas that can begin now, with their costs."""
        open_to = [each for each in self._held if len(each[1].free)]
        share = share_of(len(open_to))
        if not self.request.explain:
            share = min(share, OF_A_MODEL_MAX)
        scored: list[Scored] = []
        for model_id, holders in some_of(open_to, self.rng):
            scored += self._score(model_id, holders, share)
        return scored

    def _score(self, model_id: ModelId, holders: Holders, share: int) -> list[Scored]:
        """Return at most ``share`` free replicas of a model, the quickest ones, with their costs.

        This loop is most of a decision: it writes out ``unfit`` for a request that wants nothing
        special, and ``cost_of(policy, predict(...))`` for one that holds nothing of the prompt.
        """
        request, policy, avoid = self.request, self.request.policy, self.avoid
        demand = self.demand(model_id)
        prompt_tokens, again_tokens = demand.prompt_tokens, demand.again_tokens
        per_first_token = policy.first_token + policy.completion
        per_token = policy.completion * demand.output_tokens
        tokens_min = request.prompt_bytes / BYTES_PER_TOKEN_MAX
        special = bool(avoid or request.needs or request.tier is Tier.DEVICE or holders.embeds)
        foreign = not request.from_coordinator_host
        scored: list[Scored] = []
        far = holders.free.first_rank + FAR_RANKS
        for replica in holders.free.walk(self.rng):
            if replica.rank >= far and len(scored) >= ENOUGH:
                break
            node = replica.node
            if replica.offer.context_tokens < tokens_min:
                continue
            if special and unfit(request, replica, avoid) is not None:
                continue
            if foreign and node.load.owner_busy:
                continue
            speed = replica.speed
            wait_s, decode_s = node.rtt_s + replica.ready_s, speed.decode_s
            read_s = prompt_tokens * speed.prefill_s + again_tokens * decode_s
            if node.working > replica.works:
                crowd = replica.crowd
                wait_s += crowd * (decode_s + read_s)
                decode_s *= 1 + crowd
            wait_s += read_s
            cost = per_first_token * wait_s + per_token * decode_s
            if node.strain is not None:
                cost *= factor_of(policy, node.strain)
            scored.append((cost, replica, wait_s, decode_s))
            if len(scored) >= share:
                break
        found = self._holding(holders, model_id)
        return self._with_holders(scored, holders, found) if found else scored

    def _with_holders(
        self, scored: list[Scored], holders: Holders, found: Mapping[NodeId, Found]
    ) -> list[Scored]:
        """Add those who hold the prompt's beginning, or tell their costs anew."""
        able = [
            replica
            for node_id in found
            if (replica := holders.free.of(node_id)) is not None
            and unfit(self.request, replica, self.avoid) is None
        ]
        told = [self.weigh(replica) for replica in able]
        return told + [each for each in scored if each[1].node.node_id not in found]

    def busy(self, ahead: int) -> list[Waiting]:
        """Return those that could serve the request, were their slots not taken.

        Args:
            ahead: requests that wait before it.
        """
        held = [each for each in self._held if len(each[1].full)]
        most = share_of(len(held))
        waiting: list[Waiting] = []
        for model_id, holders in some_of(held, self.rng):
            full = self._full(model_id, holders, most if self.request.explain else WAITED_FOR_MAX)
            for frees_s, replica in full:
                wait_s = frees_s + ahead * self._turns[model_id]
                cost, _, first_token_s, decode_s = self.weigh(replica, wait_s)
                waiting.append((cost, wait_s, replica, first_token_s, decode_s))
        return waiting

    def better_waits(self, best: Scored, ahead: int) -> bool:
        """Is a quicker replica, all of whose slots are taken, expected to begin so much sooner?"""
        rank = best[1].rank
        for model_id, holders in self._held:
            if not len(holders.full) or holders.full.first_rank >= rank:
                continue
            for frees_s, replica in self._full(model_id, holders, WAITED_FOR_MAX):
                if replica.refused is not None:
                    continue  # it said that a slot was free, and began nothing: when is not known
                wait_s = frees_s + ahead * self._turns[model_id]
                doubt_s = (WAIT_DOUBT - 1) * wait_s
                cost, _, first_token_s, decode_s = self.weigh(replica, wait_s + doubt_s)
                if cost < best[0]:
                    return True
                told = (cost, wait_s, replica, first_token_s - doubt_s, decode_s)
                self._passed.append(told)
        return False

    def _full(self, model_id: ModelId, holders: Holders, most: int) -> list[tuple[float, Replica]]:
        """Return the quickest replicas all of whose slots are taken, and when one comes free.

        One that waits expects answers like its own to end before it.
        """
        known = self._waited_for.get(model_id)
        if known is not None and most <= WAITED_FOR_MAX:
            return known
        request, avoid = self.request, self.avoid
        eligible = (
            each for each in holders.full.walk(self.rng) if unfit(request, each, avoid) is None
        )
        full = []
        for replica in islice(eligible, most):
            demand = self.demand_of(replica)
            full.append((replica.frees_s(demand.prompt_tokens, demand.output_tokens), replica))
        self._waited_for[model_id] = full
        self._turns[model_id] = _turn_s(holders, full)
        return full

    def demand(self, model_id: ModelId) -> Demand:
        """What the request demands of one that holds nothing of its prompt."""
        known = self._demands.get(model_id)
        if known is None:
            known = Demand.of(self.request, model_id, self.directory.habits)
            self._demands[model_id] = known
        return known

    def demand_of(self, replica: Replica) -> Demand:
        """What the request demands of one that may hold its beginning."""
        model_id = replica.model_id
        demand = self.demand(model_id)
        holders = self.directory.holders(model_id)
        if not len(holders.prefixes):
            return demand
        found = self._holding(holders, model_id).get(replica.node.node_id)
        if found is None:
            return demand
        return demand.less(found.of(self.request.prompt_bytes, demand.prompt_tokens))

    def look(self, free: list[Scored], full: list[Waiting] | None = None) -> Look:
        """Keep what was looked at, for those who ask why: ``free``, whose first one was chosen."""
        full = self._passed if full is None else full
        avoid = dict(self.avoid) if self.avoid else {}
        policy, rung = self.request.policy, self.rung
        return Look(policy, rung.model_ids, rung.why, self._demands, free, full, True, avoid)

    def weigh(self, replica: Replica, wait_s: float = 0.0) -> Scored:
        """What ``cost_of(policy, predict(...))`` would say, written out: a pick asks it often."""
        node, speed, policy, demand = (
            replica.node,
            replica.speed,
            self.request.policy,
            self.demand_of(replica),
        )
        crowd = replica.crowd
        first_token_s = node.rtt_s + wait_s + replica.ready_s + crowd * speed.decode_s
        first_token_s += (1 + crowd) * demand.prompt_tokens * speed.prefill_s
        first_token_s += (1 + crowd) * demand.again_tokens * speed.decode_s
        decode_s = (1 + crowd) * speed.decode_s
        cost = policy.weigh(first_token_s, first_token_s + demand.output_tokens * decode_s)
        if node.strain is not None:
            cost *= factor_of(policy, node.strain)
        return cost, replica, first_token_s, decode_s

    def candidate(self, cost: float, replica: Replica, wait_s: float | None = None) -> Candidate:
        """Put a replica on the receipt; ``wait_s`` if it has no free slot."""
        node, model, speed, demand = (
            replica.node,
            replica.model,
            replica.speed,
            self.demand_of(replica),
        )
        predicted = predicted_for(demand, replica, wait_s or 0.0)
        shared = 1 + replica.crowd
        return Candidate(
            node.node_id,
            node.machine.name,
            replica.model_id,
            model.name,
            predicted.first_token_s,
            predicted.completion_s,
            cost,
            wait_s is None,
            reading_s=shared * demand.prompt_tokens * speed.prefill_s,
            decode_s=shared * speed.decode_s,
            prompt_tokens=demand.prompt_tokens,
            cached_tokens=self.demand(replica.model_id).prompt_tokens - demand.prompt_tokens,
            engine=replica.offer.engine,
        )

    def _holding(self, holders: Holders, model_id: ModelId) -> Mapping[NodeId, Found]:
        """Return who holds the prompt's beginning. The prompt is hashed where somebody may."""
        if not len(holders.prefixes) or self.request.prompt_bytes < BLOCK_BYTES:
            return {}
        known = self._found.get(model_id)
        if known is None:
            hashed = len(self._found) < HASHED_MODELS_MAX
            hashes = self.request.block_hashes(model_id) if hashed else ()
            known = self._found[model_id] = holders.prefixes.find(hashes)
        return known


def _turn_s(holders: Holders, full: list[tuple[float, Replica]]) -> float:
    """Return how often a slot comes free at one of those as quick as the ones looked at."""
    if not full:
        return 0.0
    frees_per_s = sum([1 / frees_s for frees_s, _ in full]) / len(full)
    return 1 / (frees_per_s * holders.full.within(max([each.rank for _, each in full])))


def predicted_for(demand: Demand, replica: Replica, wait_s: float = 0.0) -> Prediction:
    """Predict for a replica as it stands, ``wait_s`` before it has a slot."""
    return predict(
        demand,
        replica.speed,
        replica.node.rtt_s,
        wait_s=wait_s + replica.ahead_s,
        crowd=replica.crowd,
    )


def share_of(models: int) -> int:
    """How many replicas of each model a pick looks at."""
    return max(1, CANDIDATES_MAX // max(1, models))


def some_of(held: list[Held], rng: Random) -> list[Held]:
    """Return as many models' replicas as a pick looks at, from a random place if there are more."""
    start = int(rng.random() * len(held)) if len(held) > CANDIDATES_MAX else 0
    return (held[start:] + held[:start])[:CANDIDATES_MAX] if start else held[:CANDIDATES_MAX]
