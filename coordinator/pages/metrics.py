"""``/metrics``: the mesh in Prometheus's text format, from a registry of its own.

Labels are enumerations, but for a node's id and name: nodes are bounded, and a label that a client
could write (a model it asks for, who it is) is none.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import nsmallest

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from coordinator.pages.views import key_of, slots_of
from mesh.core.actions import SendMoved, SendStarted
from mesh.core.fleet import Fleet
from mesh.core.node import Node
from mesh.core.receipt import Receipt
from mesh.core.types import Failure, NodeState, ReplicaState, Request, Tier

CONTENT_TYPE = CONTENT_TYPE_LATEST
NODES_MAX = 512  # with series of their own, six each; `deskmesh_nodes` counts all of them
# A warm small model begins in 50 ms; one that must be loaded from a slow disk takes a minute.
FIRST_TOKEN_S = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 2.0, 3.5, 5.0, 10.0, 30.0, 60.0)
TOTAL_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)


class Metrics:
    """Counts requests as they end (a ``Watcher``), and looks at the fleet when it is asked."""

    def __init__(
        self, fleet: Fleet, version: str, *, lag_s: Callable[[], float], pages: Callable[[], int]
    ) -> None:
        """``lag_s`` tells how late the event loop is, ``pages`` how many pages are open."""
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self._registry.register(FleetNow(fleet, version, lag_s, pages))
        self._requests = Counter(
            "deskmesh_requests",
            "Requests that have ended, by how far the prompt travelled and how they ended.",
            ("tier", "outcome"),
            registry=self._registry,
        )
        self._handoffs = Counter(
            "deskmesh_handoffs",
            "Answers that another machine went on with, in their middle.",
            registry=self._registry,
        )
        self._attempts = Counter(
            "deskmesh_attempts",
            "Tries of one model on one machine, by whether it was answered.",
            ("tier", "answered"),
            registry=self._registry,
        )
        self._tokens = Counter(
            "deskmesh_tokens",
            "Tokens, by tier; cached ones are a part of the prompt's.",
            ("tier", "kind"),
            registry=self._registry,
        )
        self._cost = Counter(
            "deskmesh_cost_usd",
            "What attempts cost, in US dollars.",
            ("tier",),
            registry=self._registry,
        )
        self._first_token = Histogram(
            "deskmesh_first_token_seconds",
            "From a request's arrival to its first token.",
            ("tier",),
            buckets=FIRST_TOKEN_S,
            registry=self._registry,
        )
        self._total = Histogram(
            "deskmesh_request_seconds",
            "From a request's arrival to the end of its answer.",
            ("tier",),
            buckets=TOTAL_S,
            registry=self._registry,
        )

    def request_arrived(self, request: Request) -> None:
        """It counts when it ends; until then it is in the gauges."""

    def request_started(self, started: SendStarted) -> None:
        """Likewise."""

    def request_moved(self, moved: SendMoved) -> None:
        self._handoffs.inc()

    def request_ended(self, request: Request, receipt: Receipt, failure: Failure | None) -> None:
        tier = _label(receipt.tier)
        self._requests.labels(tier, failure.code.value if failure else "answered").inc()
        for attempt in receipt.attempts:
            at = _label(attempt.tier)
            answered = "yes" if attempt.outcome == "answered" else "no"
            self._attempts.labels(at, answered).inc()
            usage = attempt.usage
            for kind, tokens in (
                ("prompt", usage.prompt_tokens),
                ("cached", usage.cached_tokens),
                ("completion", usage.completion_tokens),
            ):
                if tokens > 0:
                    self._tokens.labels(at, kind).inc(tokens)
            if attempt.cost_microusd > 0:
                self._cost.labels(at).inc(attempt.cost_microusd / 1e6)
        if failure is None:
            self._first_token.labels(tier).observe(receipt.first_token_s)
            self._total.labels(tier).observe(receipt.total_s)

    def text(self) -> bytes:
        """Return all of it in the text format."""
        return generate_latest(self._registry)


@dataclass(frozen=True, slots=True)
class FleetNow(Collector):
    """Reads the fleet as it is at the moment of a scrape."""

    fleet: Fleet
    version: str
    lag_s: Callable[[], float]
    pages: Callable[[], int]

    def collect(self) -> Iterator[Metric]:
        yield _gauge("build_info", "This coordinator's version.", {"version": self.version}, 1)
        yield from self._counts()
        requests = self.fleet.requests
        yield _gauge("requests_running", "Requests that are being answered.", {}, requests.running)
        yield _gauge("requests_waiting", "Requests that wait for a slot.", {}, requests.waiting)
        yield _gauge("loop_lag_seconds", "How late the event loop is.", {}, self.lag_s())
        yield _gauge("pages_open", "Mesh-health pages that are kept live.", {}, self.pages())
        yield from self._each_node()

    def _counts(self) -> Iterator[Metric]:
        nodes = GaugeMetricFamily("deskmesh_nodes", "Nodes, by state.", labels=("state",))
        replicas = GaugeMetricFamily(
            "deskmesh_replicas", "Models on connected nodes, by state.", labels=("state",)
        )
        of_state = dict.fromkeys(NodeState, 0)
        of_replica = dict.fromkeys(ReplicaState, 0)
        taken = slots = 0
        for node in self.fleet.directory.nodes.values():
            of_state[node.state] += 1
            if not node.connected:
                continue
            of_node = slots_of(node)
            taken, slots = taken + of_node[0], slots + of_node[1]
            for replica in node.replicas.values():
                of_replica[replica.status.state] += 1
        for state, count in of_state.items():
            nodes.add_metric((state.value,), count)
        for replica_state, count in of_replica.items():
            replicas.add_metric((replica_state.value,), count)
        yield nodes
        yield replicas
        yield _gauge("slots", "Slots of models in memory.", {}, slots)
        yield _gauge("slots_taken", "Those of them that are taken.", {}, taken)

    def _each_node(self) -> Iterator[Metric]:
        families = {
            name: GaugeMetricFamily(f"deskmesh_node_{name}", told, labels=("node_id", "node"))
            for name, told in (
                ("up", "Whether the node may get work: 1 or 0."),
                ("owner_busy", "Whether its owner is at work: 1 or 0."),
                ("cpu_ratio", "Processor in use, of 1."),
                ("memory_ratio", "Memory in use, of 1."),
                ("round_trip_seconds", "Measured by the coordinator; 0: not yet."),
                ("attempts_running", "Answers of this coordinator under way there."),
            )
        }
        nodes = self.fleet.directory.nodes.values()
        for node in nsmallest(NODES_MAX, nodes, key=lambda node: (node.name, node.node_id)):
            for name, value in _of_node(node):
                families[name].add_metric((key_of(node), node.name), value)
        yield from families.values()


def _of_node(node: Node) -> tuple[tuple[str, float], ...]:
    away = not node.connected
    return (
        ("up", float(node.state is NodeState.ALIVE)),
        ("owner_busy", float(node.load.owner_busy and not away)),
        ("cpu_ratio", 0.0 if away else node.load.cpu),
        ("memory_ratio", 0.0 if away else node.load.memory),
        ("round_trip_seconds", node.rtt_s),
        ("attempts_running", float(len(node.attempts))),
    )


def _gauge(name: str, told: str, labels: dict[str, str], value: float) -> Metric:
    family = GaugeMetricFamily(f"deskmesh_{name}", told, labels=tuple(labels))
    family.add_metric(tuple(labels.values()), value)
    return family


def _label(tier: Tier) -> str:
    return tier.name.lower()
