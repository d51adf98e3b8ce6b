"""What the cloud answered is in the ledger with its price, and a restart does not forget it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from coordinator.cloud.upstreams import Upstreams
from coordinator.coordinator import Coordinator
from mesh.client import MeshClient, connect
from mesh.core.types import Tier
from mesh.errors import MeshError
from mesh.home import Home
from mesh.settings import Settings
from tests.coordinator.cloud.conftest import MODEL
from tests.coordinator.cloud.played_upstream import Asked, PlayedUpstream
from tests.coordinator.ledger.played_requests import bytes_of, rows, settled, until

COST_MICROUSD = 10 * 2 + 2 * 10


@asynccontextmanager
async def a_coordinator(home: Path, settings: Settings) -> AsyncIterator[Coordinator]:
    coordinator = Coordinator(Home(home), settings)
    async with coordinator.running():
        yield coordinator


@asynccontextmanager
async def its_client(coordinator: Coordinator) -> AsyncIterator[MeshClient]:
    async with connect(f"127.0.0.1:{coordinator.ports.local}") as client:
        yield client


def spent(coordinator: Coordinator) -> int:
    assert isinstance(coordinator.cloud, Upstreams)
    spending = coordinator.cloud._spending
    assert spending is not None
    return spending.cap_microusd - spending.left_microusd


async def test_a_row_of_the_cloud_shows_tier_usage_and_price(
    coordinator: Coordinator, client: MeshClient, upstream: PlayedUpstream
) -> None:
    await client.ask("the words of the prompt", tier="cloud", request_id="r")
    await settled(coordinator.ledger)
    folder = coordinator.ledger.folder
    [row] = rows(folder)
    assert (row["request_id"], row["state"], row["tier"]) == ("r", "answered", Tier.CLOUD)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (10, 2)
    assert (row["usage_source"], row["cost_microusd"]) == ("upstream", COST_MICROUSD)
    assert row["price_version"] == "operator"
    assert (row["served_model"], row["place"]) == (MODEL, f"127.0.0.1:{upstream.port}")
    [attempt] = rows(folder, "SELECT * FROM attempts")
    assert (attempt["outcome"], attempt["cost_microusd"]) == ("answered", COST_MICROUSD)
    assert (attempt["tier"], attempt["price_version"]) == (Tier.CLOUD, "operator")
    assert coordinator.ledger.spent_today_microusd == COST_MICROUSD
    assert b"the words of the prompt" not in bytes_of(folder)


async def test_an_answer_that_breaks_off_has_cost_what_was_set_aside(
    coordinator: Coordinator, client: MeshClient, upstream: PlayedUpstream
) -> None:
    async def breaking(asked: Asked) -> None:
        await asked.begin()
        await asked.text("hel")
        asked.reset()

    upstream.behave = breaking
    with pytest.raises(MeshError):
        await client.ask("hi", tier="cloud", max_tokens=50)
    await settled(coordinator.ledger)
    [row] = rows(coordinator.ledger.folder)
    assert (row["state"], row["tier"], row["usage_source"]) == ("failed", Tier.CLOUD, "coordinator")
    assert row["cost_microusd"] == spent(coordinator) > 50 * 10


async def test_a_restart_does_not_begin_a_new_budget(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("DESKMESH_HOME", str(home))
    async with a_coordinator(home, settings) as first, its_client(first) as client:
        for _ in range(3):
            await client.ask("hi", tier="cloud")
        assert spent(first) == 3 * COST_MICROUSD
    async with a_coordinator(home, settings) as second, its_client(second) as client:
        assert spent(second) == 3 * COST_MICROUSD
        await client.ask("hi", tier="cloud")
        assert spent(second) == 4 * COST_MICROUSD == second.ledger.spent_today_microusd


async def test_nothing_goes_to_the_cloud_before_it_is_known_what_today_has_cost(
    tmp_path: Path,
    settings: Settings,
    upstream: PlayedUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("DESKMESH_HOME", str(home))
    async with a_coordinator(home, settings) as first, its_client(first) as client:
        await client.ask("hi", tier="cloud")
    lock = sqlite3.connect(home / "ledger" / "ledger.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    connections = upstream.connections
    async with a_coordinator(home, settings) as second, its_client(second) as client:
        with pytest.raises(MeshError, match="cannot tell yet what the cloud has cost today"):
            await client.ask("hi", tier="cloud")
        assert upstream.connections == connections
        lock.close()
        await until(lambda: spent(second))
        await client.ask("hi", tier="cloud")
        assert spent(second) == 2 * COST_MICROUSD
