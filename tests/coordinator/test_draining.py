"""An operator drains a node by name: nothing new begins there, and what runs finishes."""

import asyncio
from pathlib import Path

import pytest

from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.errors import NoCapableNode
from mesh.home import Home
from mesh.settings import Settings
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.scripted_node import model
from tests.whole.machine import Machine

QWEN = model("qwen")


@pytest.fixture
def settings() -> Settings:
    return patient_settings()


@pytest.fixture
def office(coordinator: Coordinator, tmp_path: Path) -> Machine:
    """The coordinator's own machine, where its operator sits."""
    assert coordinator.ports.mesh
    return Machine(Home(tmp_path / "home"), "office", {})


async def test_a_drained_node_finishes_and_begins_nothing(
    client: MeshClient, new_node: NewNode, office: Machine
) -> None:
    async with new_node(QWEN, slots=2) as node:
        asking = asyncio.create_task(client.ask("hi"))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        await delivery.tokens(0, "half ")
        drained = await office.run("node", "drain", node.name, "--reason", "for repair")
        assert (drained.code, drained.err) == (0, "")
        assert drained.out == f"{node.name}: draining (for repair), 1 running\n"
        assert "draining (for repair), 1 running" in (await office.run("status")).out
        with pytest.raises(NoCapableNode, match="draining: for repair"):
            await client.ask("new")
        await delivery.tokens(1, "done")
        await delivery.finish(2)
        assert (await asking).text == "half done"
        resumed = await office.run("node", "resume", node.name, "--json")
        assert resumed.json["node"]["state"] == "alive"
        again = asyncio.create_task(client.ask("new"))
        await node.deliver().answer((await node.told_to_start()).attempt_id, "yes")
        assert (await again).text == "yes"


async def test_a_name_that_is_none_or_two_is_refused(new_node: NewNode, office: Machine) -> None:
    unknown = await office.run("node", "drain", "attic")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err == "error: no node is called 'attic'; no node has attached yet\n"
    async with new_node(QWEN) as node:
        node.name = "desk"
        await node.__aenter__()
        async with new_node(QWEN) as twin:
            twin.name = "desk"
            await twin.__aenter__()
            refused = await office.run("node", "drain", "desk", "--json")
            assert refused.code == 1
            error = refused.json["error"]
            assert error["message"] == "2 nodes are called 'desk'"
            assert {node.node_id, twin.node_id} <= {*error["hint"].replace(",", "").split()}
            named = await office.run("node", "drain", twin.node_id)
            assert named.code == 0
