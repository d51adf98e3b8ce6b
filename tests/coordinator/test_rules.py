"""What a coordinator makes of its operator's rules.toml and of the words on models."""

import asyncio
from pathlib import Path

import pytest

from coordinator.coordinator import Coordinator
from mesh.client import MeshClient
from mesh.errors import InvalidRequest
from mesh.home import Home
from mesh.model_settings import ModelSettings
from mesh.settings import Settings
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.scripted_node import model


@pytest.fixture
def settings() -> Settings:
    own = {"qwen": ModelSettings(aliases=("House-Blend",))}
    return patient_settings().model_copy(update={"models": own})


def test_a_broken_file_keeps_it_from_starting_and_changes_nothing(
    tmp_path: Path, settings: Settings
) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.rules_file.write_text('[[rules]]\nname = "one"\nforbit = "cloud"\n')
    with pytest.raises(InvalidRequest, match=r"rules\.toml, line 3, rule 'one': there is no key"):
        Coordinator(home, settings)
    assert list(home.root.iterdir()) == [home.rules_file]


async def test_a_model_may_be_asked_for_by_its_operators_alias(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(model("qwen")) as node:
        asking = asyncio.create_task(client.ask("hi", model="house-BLEND"))
        start = await node.told_to_start()
        await node.deliver().answer(start.attempt_id, "yes")
        assert (await asking).receipt.asked_model == "qwen"
