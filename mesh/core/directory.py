"""Who holds what: an index from names to models, and from models to nodes.

A routing decision looks at the holders of a model only, and first at those with a free slot for
it, however large the mesh is.

Who failed often is left out for a while, unless more than half of a model's replicas did: then
something else is wrong, or the rest would drown, and all of them are tried again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mesh.core.breaker import Standing
from mesh.core.experience import Experience, Habits
from mesh.core.node import Node, Replica
from mesh.core.pool import Pool, Ranked
from mesh.core.prefix_index import PrefixIndex
from mesh.core.types import Model, ModelId, NodeId


@dataclass(slots=True)
class Holders:
    """The replicas of a model."""

    model: Model
    embeds: bool = False  # a fact of its file, so the first who holds it may tell
    every: Pool = field(default_factory=Pool)
    able: Pool = field(default_factory=Pool)  # those that may serve, now or once a slot is free
    free: Ranked = field(default_factory=Ranked)  # those that can begin one more attempt now
    full: Ranked = field(default_factory=Ranked)  # the other able ones
    prefixes: PrefixIndex = field(default_factory=PrefixIndex)
    _fit: set[NodeId] = field(default_factory=set)  # those that may serve, but for their failures
    _doubted: dict[NodeId, Replica] = field(default_factory=dict)  # of them, those not trusted
    panics: bool = False  # more than half are not trusted, so that none is left out

    def refresh(self, replica: Replica) -> bool:
        """Take note of what changed about ``replica``; return whether all are pardoned now."""
        node_id = replica.node.node_id
        if not replica.fit:
            self._fit.discard(node_id)
            self._doubted.pop(node_id, None)
        else:
            self._fit.add(node_id)
            if replica.standing is Standing.TRUSTED:
                self._doubted.pop(node_id, None)
            else:
                self._doubted[node_id] = replica
        replica.pardoned = self.panics
        self._keep(replica)
        return self._weigh()

    def discard(self, node_id: NodeId) -> bool:
        """Drop a node; return whether all others are pardoned now."""
        for pool in (self.every, self.able, self.free, self.full):
            pool.discard(node_id)
        self.prefixes.keep(node_id, ())
        self._fit.discard(node_id)
        self._doubted.pop(node_id, None)
        return self._weigh()

    @property
    def doubted(self) -> Iterable[NodeId]:
        return self._doubted.keys()

    def doubtful(self) -> Iterable[Replica]:
        """Those that are not trusted for their failures, and could serve but for that."""
        return self._doubted.values()

    def _weigh(self) -> bool:
        panics = 2 * len(self._doubted) > len(self._fit)
        if panics is self.panics:
            return False
        self.panics = panics
        for replica in self._doubted.values():
            replica.pardoned = panics
            self._keep(replica)
        return panics

    def _keep(self, replica: Replica) -> None:
        able = replica.able
        free = able and replica.slots_free > 0
        self.able.keep(replica, able)
        self.free.keep(replica, free)
        self.full.keep(replica, able and not free)
        held = replica.status.prefixes if able and replica.warm else ()
        self.prefixes.keep(replica.node.node_id, held)


@dataclass(slots=True)
class Directory:
    """Kept in step with the nodes by ``index``, ``refresh`` and ``forget``."""

    nodes: dict[NodeId, Node] = field(default_factory=dict)
    # How often a model came that nobody had held, or went.
    models_changed: int = field(default=0, compare=False, repr=False)
    habits: Habits = field(default_factory=Habits)
    _holders: dict[ModelId, Holders] = field(default_factory=dict)
    # name -> model -> how many nodes call it so
    _by_name: dict[str, dict[ModelId, int]] = field(default_factory=dict)
    _held: dict[NodeId, tuple[Model, ...]] = field(default_factory=dict)
    _pardoned: list[NodeId] = field(default_factory=list, repr=False)
    # What is known of what a node holds; a node that attaches anew is not a stranger.
    _experience: dict[NodeId, dict[ModelId, Experience]] = field(default_factory=dict, repr=False)
    # Worked out when asked for; None: again.
    _automatic: dict[ModelId, None] | None = field(default=None, repr=False)

    def index(self, node: Node) -> None:
        """Make ``node`` findable by what it holds now."""
        held = tuple(replica.model for replica in node.replicas.values())
        known = self._experience.get(node.node_id, {})
        for model_id, replica in node.replicas.items():
            replica.remember(known.get(model_id))
        self._experience[node.node_id] = {
            model_id: replica.experience for model_id, replica in node.replicas.items()
        }
        for replica in node.replicas.values():  # before the old ones go: a kept model stays
            self._add(replica)
        self._release(self._held.get(node.node_id, ()), node.node_id, kept=node.replicas)
        self.nodes[node.node_id] = node
        self._held[node.node_id] = held
        self.refresh(node)

    def refresh(self, node: Node, model_ids: Iterable[ModelId] | None = None) -> None:
        """Take note that ``node`` can, or cannot, begin on ``model_ids``; None: on any of its."""
        for model_id in node.replicas if model_ids is None else model_ids:
            if (replica := node.replicas.get(model_id)) is not None:
                holders = self._holders[model_id]
                if holders.refresh(replica):
                    self._pardoned += holders.doubted

    def take_pardoned(self) -> list[NodeId]:
        """Return who is no longer left out since this was last asked: they may take who waits."""
        pardoned, self._pardoned = self._pardoned, []
        return pardoned

    def forget(self, node_id: NodeId) -> None:
        """Drop a node, and each model that nobody holds any more."""
        if self.nodes.pop(node_id, None) is not None:
            del self._experience[node_id]
            self._release(self._held.pop(node_id), node_id, kept={})

    def resolve(self, name: str) -> tuple[ModelId, ...]:
        """Return the identities that ``name`` stands for: an identity itself, or an alias."""
        if name in self._holders:
            return (ModelId(name),)
        return tuple(self._by_name.get(name.lower(), ()))

    def model(self, model_id: ModelId) -> Model | None:
        """Return what a model is, or None if no node holds it."""
        holders = self._holders.get(model_id)
        return holders.model if holders else None

    def holders(self, model_id: ModelId) -> Holders:
        """Return the replicas of a model which ``resolve`` or ``automatic`` named."""
        return self._holders[model_id]

    def automatic(self) -> dict[ModelId, None]:
        """What `auto` may choose from, the smallest first: test models only if all are.

        Likewise those that write no text, so that a refusal can say what there is.
        """
        if self._automatic is None:
            every = self._holders.values()
            writers = [holders for holders in every if not holders.embeds] or every
            models = [holders.model for holders in writers]
            models = [model for model in models if not model.test] or models
            models.sort(key=lambda model: (model.parameters, model.model_id))
            self._automatic = dict.fromkeys(model.model_id for model in models)
        return self._automatic

    def names(self) -> list[str]:
        """The name to show of each model, sorted."""
        return sorted({holders.model.name for holders in self._holders.values()})

    def _add(self, replica: Replica) -> None:
        model = replica.model
        model_id = model.model_id
        holders = self._holders.get(model_id)
        if holders is None:
            holders = self._holders[model_id] = Holders(model, replica.offer.embeds)
            self._automatic = None
            self.models_changed += 1
        holders.every.keep(replica, True)
        if model != holders.model:  # its owner has named it anew, or told what it is made for
            holders.model = _fullest(holders)
        for name in _spellings(model):
            called = self._by_name.setdefault(name, {})
            called[model_id] = called.get(model_id, 0) + 1

    def _release(
        self, models: Iterable[Model], node_id: NodeId, *, kept: Iterable[ModelId]
    ) -> None:
        """Undo ``_add``, apart from the node's place among the holders of ``kept`` models."""
        kept = set(kept)
        for model in models:
            model_id = model.model_id
            for name in _spellings(model):
                self._uncall(name, model_id)
            if model_id in kept:
                continue
            holders = self._holders[model_id]
            if holders.discard(node_id):
                self._pardoned += holders.doubted
            if not len(holders.every):
                del self._holders[model_id]
                self._automatic = None
                self.models_changed += 1

    def _uncall(self, name: str, model_id: ModelId) -> None:
        called = self._by_name[name]
        called[model_id] -= 1
        if not called[model_id]:
            del called[model_id]
        if not called:
            del self._by_name[name]


def _fullest(holders: Holders) -> Model:
    """Of those who hold a model, let one describe it who says what it is a specialist of."""
    told = [replica.model for replica in holders.every.walk()]
    return next((model for model in told if model.domains), told[0])


def _spellings(model: Model) -> set[str]:
    """Names are found in any case."""
    return {name.lower() for name in model.names}
