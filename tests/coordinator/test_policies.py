"""What an operator's own policy does to a request that names it."""

import asyncio

import pytest

from mesh.client import MeshClient
from mesh.errors import InvalidRequest
from mesh.settings import PolicySettings, Settings
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.scripted_node import model


@pytest.fixture
def settings() -> Settings:
    own = {"cheap": PolicySettings(battery=10.0)}
    return patient_settings().model_copy(update={"policies": own})


async def test_a_request_may_name_it_and_its_receipt_does(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(model("qwen")) as node:
        asking = asyncio.create_task(client.ask("hi", policy="cheap"))
        start = await node.told_to_start()
        await node.deliver().answer(start.attempt_id, "yes")
        assert (await asking).receipt.policy == "cheap"


async def test_an_unknown_one_is_refused_with_all_that_there_are(client: MeshClient) -> None:
    with pytest.raises(InvalidRequest, match="policy 'cheep' is unknown") as refused:
        await client.ask("hi", policy="cheep")
    assert refused.value.hint == (
        "did you mean cheap? use frugal, balanced, best, fast, private, cheap"
    )
