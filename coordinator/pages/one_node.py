"""Everything there is to know of one node, for a page of its own."""

from dataclasses import dataclass

from coordinator.pages.shown import duration, gpus_of, memory, rtt
from coordinator.pages.views import NodeView, key_of, view_node, word_of
from mesh.core.fleet import Fleet
from mesh.core.node import Node, Replica

MODELS_LISTED_MAX = 256  # a folder of everything ever downloaded
NAMES_SHOWN_MAX = 4
REASON_SHOWN_MAX = 200


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """One row."""

    name: str
    about: str  # further names, quantisation, identity
    state: str
    word: str
    why: str
    taken: int
    slots: int
    parameters: int
    size_bytes: int
    context_tokens: int
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    load_s: float


@dataclass(frozen=True, slots=True)
class NodeDetails:
    """One page."""

    name: str
    view: NodeView
    facts: tuple[tuple[str, str], ...]
    models: tuple[ModelDetails, ...]


def find_node(fleet: Fleet, key: str) -> Node | None:
    """Return the node whose page ``key`` names, if it is on the mesh."""
    return next((node for node in fleet.directory.nodes.values() if key_of(node) == key), None)


def view_details(node: Node, now_s: float) -> NodeDetails:
    replicas = sorted(node.replicas.values(), key=lambda each: each.model.name)
    return NodeDetails(
        name=node.name,
        view=view_node(node, now_s),
        facts=tuple((name, value) for name, value in _facts(node, now_s) if value),
        models=tuple(_details(replica) for replica in replicas[:MODELS_LISTED_MAX]),
    )


def _facts(node: Node, now_s: float) -> list[tuple[str, str]]:
    machine, load = node.machine, node.load
    free = f", {memory(load.memory_free_bytes)} free" if load.memory_free_bytes else ""
    return [
        ("Platform", machine.platform),
        ("Cores", str(machine.cores)),
        ("Memory", f"{memory(machine.memory_bytes)}{free}"),
        ("GPU", gpus_of(machine, whether_idle=True)),
        ("Processor in use", f"{load.cpu:.0%}"),
        ("Power", "battery" if load.on_battery else ""),
        ("Last report", f"{duration(max(0.0, now_s - node.reported_s))} ago"),
        ("In this state", f"for {duration(max(0.0, now_s - node.state_since_s))}"),
        ("Round trip", rtt(node.rtt_s)),
        ("Answers under way", str(len(node.attempts))),
        ("Dialled from", "this host" if node.on_coordinator_host else node.address),
        ("deskmesh", machine.version),
        ("Key", node.node_id),
    ]


def _details(replica: Replica) -> ModelDetails:
    model, status, identity = replica.model, replica.status, replica.model.identity
    also = ", ".join(model.names[1:NAMES_SHOWN_MAX])
    engine = f"by {replica.offer.engine}" if replica.offer.engine else ""
    about = [f"also {also}" if also else "", engine, identity.quantisation, model.model_id]
    return ModelDetails(
        name=model.name,
        about=" · ".join(each for each in (*about, "test model" if model.test else "") if each),
        state=status.state.value,
        word=word_of(status),
        why=status.reason[:REASON_SHOWN_MAX],
        taken=min(status.slots, replica.ours + replica.others),
        slots=status.slots,
        parameters=model.parameters,
        size_bytes=model.size_bytes,
        context_tokens=replica.offer.context_tokens,
        prefill_tokens_per_s=status.prefill_tokens_per_s,
        decode_tokens_per_s=status.decode_tokens_per_s,
        load_s=status.load_s,
    )
