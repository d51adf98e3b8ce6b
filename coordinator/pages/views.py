"""The mesh in the words and numbers of the page: what a template is given, and nothing else.

Views are compared with the last ones, and only what differs is drawn and sent again. So they hold
what people see, rounded as they see it: a value that nobody could tell apart is no news.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nsmallest

from coordinator.pages.flow import NAME_SHOWN_MAX, Flow, Passing
from coordinator.pages.shown import gpus_of, memory, rtt, since, step
from mesh.core.fleet import Fleet
from mesh.core.node import Node, Replica
from mesh.core.trust import doubts
from mesh.core.types import NodeState, ReplicaState, ReplicaStatus

NODES_SHOWN_MAX = 250  # a screen's worth of scrolling; a mesh of 4,096 would be four megabytes
MODELS_SHOWN_MAX = 4  # of one node; its own page has them all
REASON_SHOWN_MAX = 120
KEY_DIGITS = 16  # of a node's fingerprint: 64 bits, more than anyone can make collide by chance

OWNER_BUSY = "owner"  # beside the states of a node: alive, and its owner comes first

# What needs a look comes first. Within a rank by name, so that rows stay where they are.
_RANKS = {"lost": 0, "suspect": 1, "draining": 3, "alive": 4, OWNER_BUSY: 4, "asleep": 5}
_RANK_OF_FAILED_MODEL = 2

STATUSES = {
    "alive": "alive",
    OWNER_BUSY: "owner busy",
    "draining": "draining",
    "suspect": "suspect",
    "lost": "lost",
    "asleep": "asleep",
}


@dataclass(frozen=True, slots=True)
class ModelView:
    """One model on one node."""

    name: str
    state: str  # "available", "loading", "warm", "failed"
    word: str  # for it
    taken: int
    slots: int
    test: bool


@dataclass(frozen=True, slots=True)
class NodeView:
    """One row of the table, and one cell of the glance."""

    key: str
    name: str
    machine: str
    status: str  # a key of ``STATUSES``
    why: str
    models: tuple[ModelView, ...]
    models_more: int
    taken: int
    slots: int
    cpu: int  # per cent
    memory: int
    on_battery: bool
    rtt: str

    @property
    def word(self) -> str:
        return STATUSES[self.status]

    @property
    def filled(self) -> int:
        """How much of its slots is taken, in per cent."""
        return step(self.taken / self.slots) if self.slots else 0


@dataclass(frozen=True, slots=True)
class CellView:
    """A node at a glance."""

    key: str
    name: str
    status: str
    filled: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The mesh in five numbers."""

    nodes: int
    able: int
    slots: int
    taken: int
    running: int
    waiting: int
    arrivals: tuple[int, ...]
    first_token_s: float | None

    @property
    def filled(self) -> int:
        return step(self.taken / self.slots) if self.slots else 0

    @property
    def per_minute(self) -> int:
        return sum(self.arrivals)

    @property
    def curve(self) -> str:
        """The arrivals as points of a polyline, 20 high."""
        most = max(max(self.arrivals, default=0), 1)
        return " ".join(
            f"{second},{20 - 18 * count / most:.0f}" for second, count in enumerate(self.arrivals)
        )


@dataclass(frozen=True, slots=True)
class MeshView:
    """All that the page shows of nodes."""

    figures: Figures
    nodes: tuple[NodeView, ...]  # at most ``NODES_SHOWN_MAX``
    nodes_more: int
    statuses: tuple[tuple[str, str, int], ...]  # each that a node has, its word, and how many


@dataclass(frozen=True, slots=True)
class PassingView:
    """One request as it stands."""

    number: int
    state: str
    asked: str
    model: str
    machine: str
    tier: str
    why: str
    arrived_at_s: int
    tokens: int
    first_token_s: float
    total_s: float
    cost_microusd: int


def view_mesh(fleet: Fleet, flow: Flow, now_s: float) -> MeshView:
    nodes = fleet.directory.nodes.values()
    statuses = Counter(status_of(node) for node in nodes)
    shown = nsmallest(NODES_SHOWN_MAX, nodes, key=_place)
    figures = _figures(fleet, flow)
    return MeshView(
        figures=figures,
        nodes=tuple(view_node(node, now_s) for node in shown),
        nodes_more=len(nodes) - len(shown),
        statuses=tuple(
            (each, STATUSES[each], statuses[each]) for each in STATUSES if statuses[each]
        ),
    )


def view_node(node: Node, now_s: float) -> NodeView:
    machine = node.machine
    replicas = sorted(node.replicas.values(), key=_model_place)
    taken, slots = slots_of(node)
    cores = f"{machine.cores}\u00a0core{'' if machine.cores == 1 else 's'}"
    away = not node.connected
    return NodeView(
        key=key_of(node),
        name=node.name,
        machine=" · ".join(
            each
            for each in (machine.platform, cores, memory(machine.memory_bytes), gpus_of(machine))
            if each
        ),
        status=status_of(node),
        why=_why(node, now_s),
        models=tuple(_view_model(replica, away=away) for replica in replicas[:MODELS_SHOWN_MAX]),
        models_more=max(0, len(replicas) - MODELS_SHOWN_MAX),
        taken=0 if away else taken,
        slots=0 if away else slots,
        cpu=0 if away else step(node.load.cpu),
        memory=0 if away else step(node.load.memory),
        on_battery=node.load.on_battery and not away,
        rtt="" if away else rtt(node.rtt_s),
    )


def view_cell(node: NodeView) -> CellView:
    return CellView(node.key, node.name, node.status, node.filled)


def view_passing(passing: Passing) -> PassingView:
    return PassingView(
        number=passing.number,
        state=passing.state,
        asked=passing.asked,
        model=passing.model,
        machine=" → ".join((*passing.before, passing.machine)),
        tier=passing.tier.name.lower() if passing.tier else "",
        why=passing.why,
        arrived_at_s=int(passing.arrived_at_s),
        tokens=passing.tokens,
        first_token_s=passing.first_token_s,
        total_s=passing.total_s,
        cost_microusd=passing.cost_microusd,
    )


def key_of(node: Node) -> str:
    return node.node_id[:KEY_DIGITS]


def status_of(node: Node) -> str:
    if node.state is NodeState.ALIVE and node.load.owner_busy:
        return OWNER_BUSY
    return node.state.value


def slots_of(node: Node) -> tuple[int, int]:
    """Return how many slots are taken, of how many: those of models in memory, or on the way."""
    taken = slots = 0
    for replica in node.replicas.values():
        if replica.status.state in (ReplicaState.WARM, ReplicaState.LOADING):
            slots += replica.status.slots
            taken += min(replica.status.slots, replica.ours + replica.others)
    return taken, slots


def word_of(status: ReplicaStatus) -> str:
    """Return how people call the state of a model."""
    if status.state is ReplicaState.AVAILABLE:
        return "on disk"
    if status.state is ReplicaState.LOADING and status.load_progress:
        return f"{status.state} {status.load_progress:.0%}"
    return status.state.value


def _figures(fleet: Fleet, flow: Flow) -> Figures:
    able = taken = slots = 0
    for node in fleet.directory.nodes.values():
        if any(replica.able for replica in node.replicas.values()):
            able += 1
        if node.connected:
            of_node = slots_of(node)
            taken, slots = taken + of_node[0], slots + of_node[1]
    first_token_s = flow.first_token_s
    return Figures(
        nodes=len(fleet.directory.nodes),
        able=able,
        slots=slots,
        taken=taken,
        running=fleet.requests.running,
        waiting=fleet.requests.waiting,
        arrivals=tuple(flow.arrivals()),
        first_token_s=None if first_token_s is None else round(first_token_s, 2),
    )


def _why(node: Node, now_s: float) -> str:
    """Say why a node is in its state, and since when, where it is not simply alive."""
    if node.state is NodeState.ALIVE:
        failed = [each for each in node.replicas.values() if _has_failed(each)]
        parts = ["nothing new until its owner is idle"] if node.load.owner_busy else []
        parts += [f"{failed[0].model.name}: {failed[0].status.reason}"] if failed else []
        parts.append(doubts(node))
        if node.load.files_unread:
            parts.append(f"reading {node.load.files_unread} more model files")
    else:
        parts = [node.state_reason, f"{since(now_s - node.state_since_s)} ago"]
        if node.state is NodeState.DRAINING:
            parts.append(f"{len(node.attempts)} running")
    return ", ".join(part[:REASON_SHOWN_MAX] for part in parts if part)


def _view_model(replica: Replica, *, away: bool) -> ModelView:
    """What was in the memory of a machine that is away is on its disk, as far as anyone knows."""
    status = ReplicaStatus() if away else replica.status
    on_disk = status.state is ReplicaState.AVAILABLE  # its slots may count as taken: no memory
    return ModelView(
        name=replica.model.name[:NAME_SHOWN_MAX],
        state=status.state.value,
        word=_word(replica, status),
        taken=0 if on_disk else min(status.slots, replica.ours + replica.others),
        slots=replica.status.slots,
        test=replica.model.test,
    )


def _word(replica: Replica, status: ReplicaStatus) -> str:
    engine = replica.offer.engine
    return f"{word_of(status)} by {engine}" if engine else word_of(status)


def _place(node: Node) -> tuple[int, list[tuple[int, str | int]], str]:
    rank = _RANKS[status_of(node)]
    if rank > _RANK_OF_FAILED_MODEL and node.connected and _any_failed(node.replicas.values()):
        rank = _RANK_OF_FAILED_MODEL
    return rank, natural(node.name), node.node_id


def _model_place(replica: Replica) -> tuple[int, str]:
    order: Sequence[ReplicaState] = (
        ReplicaState.FAILED,
        ReplicaState.WARM,
        ReplicaState.LOADING,
        ReplicaState.AVAILABLE,
    )
    return order.index(replica.status.state), replica.model.name


def _any_failed(replicas: Iterable[Replica]) -> bool:
    return any(_has_failed(replica) for replica in replicas)


def _has_failed(replica: Replica) -> bool:
    return replica.status.state is ReplicaState.FAILED


def natural(name: str) -> list[tuple[int, str | int]]:
    """Order names as people do: ``mac-9`` before ``mac-10``."""
    parts = re.split(r"([0-9]{1,18})", name.lower())
    return [(1, int(part)) if part.isdecimal() else (0, part) for part in parts if part]
