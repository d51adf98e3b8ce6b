"""A node as operators see it."""

from mesh.core.node import Node, Replica
from mesh.core.types import (
    Capability,
    Epoch,
    Load,
    Machine,
    Model,
    ModelIdentity,
    NodeId,
    NodeState,
    Offer,
)
from mesh.wire.models import write_models
from mesh.wire.nodes import write_node


def test_a_nodes_model_can_here_what_the_list_of_models_says() -> None:
    machine = Machine("desk", "Linux", 4, 2**33, "0")
    alive = NodeState.ALIVE
    node = Node(NodeId("n"), machine, Epoch(1), 1, False, "", Load(), 0.0, 0.0, alive, 0.0)
    model = Model(ModelIdentity("a" * 64, "", "Q8_0"), ("m",), "llama", 10**6, 10**6, 4096)
    offer = Offer(model, 2048, frozenset({Capability.TOOLS, Capability.GBNF}))
    node.replicas[model.model_id] = Replica(node, offer)
    (shown,) = write_node(node, 0.0).models
    (listed,) = write_models([node])
    assert len(shown.capabilities) == 2
    assert shown.capabilities == listed.capabilities
