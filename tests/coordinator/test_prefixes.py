"""What a node is told of a prompt's beginnings, and what it says that it holds of them."""

import asyncio

from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.core.types import Load, NodeId, PrefixHeld, ReplicaState, ReplicaStatus
from mesh.v1 import fleet_pb2 as fleet
from mesh.wire.nodes import write_report
from tests.coordinator.conftest import NewNode
from tests.coordinator.scripted_node import ScriptedNode, model

QWEN = model("qwen")
BEGINNING = "once upon a time there was a mesh of desks " * 40


async def started(client: MeshClient, node: ScriptedNode, prompt: str) -> fleet.StartAttempt:
    """Answer one request, and return how its attempt was started."""
    asking = asyncio.create_task(client.ask(prompt, model="qwen"))
    start = await node.told_to_start()
    delivery = node.deliver()
    await delivery.open(start.attempt_id)
    if start.body_follows:
        await delivery.body()
    await delivery.start()
    await delivery.tokens(0, "yes")
    await delivery.finish(1)
    await asking
    return start


async def test_prompts_that_begin_alike_come_with_hashes_that_begin_alike(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        first = await started(client, node, BEGINNING + "a" * 600)
        again = await started(client, node, BEGINNING + "a" * 600)
        other = await started(client, node, BEGINNING + "b" * 1700)
        short = await started(client, node, "hi")
    assert len(first.block_hashes) == (len(BEGINNING) + 600) // 512
    assert first.block_hashes == again.block_hashes
    alike = len(BEGINNING) // 512
    assert first.block_hashes[:alike] == other.block_hashes[:alike]
    assert not set(first.block_hashes[alike:]) & set(other.block_hashes)
    assert not short.block_hashes


async def test_a_large_prompts_hashes_come_with_the_command_not_with_its_body(
    client: MeshClient, new_node: NewNode
) -> None:
    big = model("qwen")
    async with new_node(big) as node:
        inventory = fleet.InventoryChanged(offers=node.hello().offers)
        inventory.offers[0].context_tokens = 500_000
        await node.attach.write(fleet.NodeMessage(inventory=inventory))
        await node.report()
        start = await started(client, node, "word " * 200_000)
    assert start.body_follows
    assert len(start.block_hashes) == 1024
    assert start.ByteSize() < 16_384


async def test_what_a_node_holds_is_known_until_it_says_otherwise(
    coordinator: Coordinator, client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        for sequence, held in ((1, (PrefixHeld(2**64 - 1, 100),)), (2, ())):
            status = ReplicaStatus(ReplicaState.WARM, slots=1, prefixes=held)
            report = write_report(
                epoch=node.epoch, sequence=sequence, load=Load(), statuses=[(0, status)]
            )
            await node.attach.write(fleet.NodeMessage(report=report))
            known = coordinator.loop.fleet.directory.nodes[NodeId(node.node_id)]
            async with asyncio.timeout(10):
                while known.sequence < sequence:
                    await client.models()  # a round trip: the report was before it
            assert known.replicas[QWEN.model_id].status.prefixes == held
