"""A mesh that is full says so at once, at every door, and when to come back."""

import asyncio

import httpx2
import pytest

from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.errors import Overloaded
from mesh.settings import FleetSettings, Settings
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.scripted_node import model

QWEN = model("qwen")


@pytest.fixture
def settings() -> Settings:
    fleet = FleetSettings(suspect_after_s=50, lost_after_s=60, waiting_max=0)
    return patient_settings().model_copy(update={"fleet": fleet})


async def test_a_full_mesh_refuses_at_once_with_a_time_to_come_back(
    coordinator: Coordinator, client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node:
        asking = asyncio.create_task(client.ask("hi"))
        await node.told_to_start()
        with pytest.raises(Overloaded, match="every capable machine is busy"):
            await client.ask("hi")
        url = f"http://localhost:{coordinator.ports.http}/v1/chat/completions"
        body = {"model": "qwen", "messages": [{"role": "user", "content": "hi"}]}
        async with httpx2.AsyncClient() as tool:
            refused = await tool.post(url, json=body)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 300
        assert f"try again in {refused.headers['retry-after']} s" in refused.text
        asking.cancel()
