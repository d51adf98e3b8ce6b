"""The client of docs/clients.md that offers a tool runs as it stands there."""

import asyncio
import sys
from pathlib import Path

import pytest

from mesh.home import Home
from mesh.settings import Settings
from mesh.v1 import inference_pb2 as inference
from tests.coordinator.conftest import NewNode as NewScripted
from tests.coordinator.conftest import (
    coordinator,
    enrolled,
    mesh_address,
    new_node,
    patient_settings,
)
from tests.coordinator.scripted_node import model
from tests.docs.test_clients import program_of
from tests.whole.machine import Machine

__all__ = ["coordinator", "enrolled", "mesh_address", "new_node"]  # shared fixtures


@pytest.fixture
def settings() -> Settings:
    return patient_settings()


async def test_the_tool_is_called_with_what_the_model_wrote(
    new_node: NewScripted, tmp_path: Path
) -> None:
    path = tmp_path / "tool_client.py"
    path.write_text(program_of("tool_client.py"))
    office = Machine(Home(tmp_path / "home"), "office")  # as the coordinator's
    async with new_node(model("qwen")) as node:
        await node.also_offer(inference.CAPABILITY_TOOLS)
        running = asyncio.create_task(office.run_program(sys.executable, str(path)))
        start = await node.told_to_start()
        delivery = await node.deliver().open(start.attempt_id)
        await delivery.start()
        call = inference.ToolCall(id="c1", name="weather", arguments_json='{"city": "Bonn"}')
        await delivery.delta(ids=[7], tool_calls=[call])
        await delivery.finish(1)
        start = await node.told_to_start()
        assert start.request.messages[-1].parts[0].text == "rain in Bonn"
        await node.deliver().answer(start.attempt_id, "Take a coat.")
        result = await running
    assert (result.code, result.out) == (0, "Take a coat.\n"), result.err
