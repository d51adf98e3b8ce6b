"""A coordinator accounts for every request, whatever becomes of it, and tells its operator."""

import asyncio
import logging
import re
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.played_mesh import free_port
from mesh.client import MeshClient, connect
from mesh.core.types import Tier
from mesh.errors import MeshError
from tests.coordinator.cloud.played_upstream import Asked, PlayedUpstream, delta, usage
from tests.whole.conftest import NewMachine
from tests.whole.machine import WITHIN_S, Machine, Running

log = logging.getLogger(__name__)

PROMPT = "the prompt that no file may hold"
ANSWER = ("the answer that ", "no file may hold")
ASKERS = 16
COST_MICROUSD = 10 * 2 + 2 * 10


@dataclass
class Load:
    """Asks and asks.

    Each fifth request may not leave the mesh, so it fails; each seventh client leaves halfway.
    """

    answered: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, client: MeshClient) -> None:
        """Ask until the coordinator is gone."""
        try:
            while True:
                await self._ask(client, number=len(self.asked) + 1)
        except ConnectionError:
            return

    async def reached(self, answered: int) -> None:
        """Wait until so many were answered."""
        async with asyncio.timeout(WITHIN_S):
            while len(self.answered) < answered:
                self._more.clear()
                await self._more.wait()

    async def _ask(self, client: MeshClient, number: int) -> None:
        request_id = f"r{number}"
        self.asked.add(request_id)
        tier = "mesh" if number % 5 == 0 else "cloud"
        try:
            async with client.generate(PROMPT, tier=tier, request_id=request_id) as answer:
                async for _ in answer:
                    if number % 7 == 0:
                        return
        except MeshError as failure:
            if failure.code != "no_capable_node":
                raise ConnectionError(str(failure)) from None
            return
        self.answered.add(request_id)
        self._more.set()


async def slowly(asked: Asked) -> None:
    """Answer so that a kill comes in the middle of some."""
    first, second = ANSWER
    await asked.begin(more="connection: close\r\n")
    await asked.text(first)
    await asyncio.sleep(0.01)
    await asked.text(second)
    await asked.event(delta({}, "stop"), {"choices": [], "usage": usage()})
    await asked.done()


@pytest.fixture
async def upstream() -> AsyncIterator[PlayedUpstream]:
    played = PlayedUpstream()
    played.behave = slowly
    await played.start()
    yield played
    await played.stop()


@pytest.fixture
def office(new_machine: NewMachine, upstream: PlayedUpstream) -> Machine:
    """Its requests are answered by the upstream; it finds the budget large enough."""
    cloud = {
        "BASE_URL": upstream.base_url,
        "MODEL": "big-model",
        "API_KEY": "sk-test",
        "MAX_USD_PER_DAY": "1000",
        "INPUT_USD_PER_MILLION_TOKENS": "2",
        "OUTPUT_USD_PER_MILLION_TOKENS": "10",
    }
    machine = new_machine("office", **{f"DESKMESH_CLOUD__{k}": v for k, v in cloud.items()})
    machine.ports["DESKMESH_PORTS__LOCAL"] = str(free_port())
    return machine


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.long)])
async def test_every_answered_request_has_exactly_one_terminal_row_after_kills(
    office: Machine, upstream: PlayedUpstream, kills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Clients wait for a restart; these would wait before each of them, for one that comes after.
    monkeypatch.setattr("mesh.sending.PATIENCE_S", 0.0)
    load = Load()
    for life in range(kills):
        async with office.running("coordinator") as coordinator:
            await _killed_under_load(office, coordinator, load, answered=30 + 17 * life % 60)
    async with office.running("coordinator") as last:
        await last.says("nodes and operators on port")
        told = await office.run("ledger", "summary", "--json")
        assert told.code == 0, told.err
    rows = _rows(office, "SELECT * FROM requests")
    seen = Counter(row["request_id"] for row in rows)
    states = Counter(row["state"] for row in rows)
    by_id = {row["request_id"]: row for row in rows}
    log.info(
        "%d kills: %d asked, %d answered; rows: %s",
        kills,
        len(load.asked),
        len(load.answered),
        states,
    )
    assert load.asked >= seen.keys()
    assert set(seen.values()) == {1}, "no request has two rows"
    assert {by_id[each]["state"] for each in load.answered} == {"answered"}
    assert set(states) <= {"answered", "failed", "cancelled", "lost"}, "none is open"
    assert states["lost"] >= kills, "some were open at each kill"
    may_leave = [row for row in rows if row["tier_allowed"] == Tier.CLOUD]
    assert len(may_leave) >= len(upstream.asked), "whatever came so far has a row"
    assert states["failed"] > 0
    assert states["cancelled"] > 0
    _accounts_agree(office, told.json, states)
    assert PROMPT.encode() not in _bytes(office)
    assert not any(part.strip().encode() in _bytes(office) for part in ANSWER)


async def test_an_operator_reads_what_was_asked_and_what_it_cost(
    office: Machine, upstream: PlayedUpstream
) -> None:
    async with office.running("coordinator") as coordinator:
        await coordinator.says("nodes and operators on port")
        empty = await office.run("ledger", "requests")
        assert (empty.code, empty.out) == (0, "no such requests\n")
        async with connect(f"127.0.0.1:{office.ports['DESKMESH_PORTS__LOCAL']}") as client:
            for _ in range(3):
                await client.ask(PROMPT, tier="cloud")
            with pytest.raises(MeshError):
                await client.ask(PROMPT, tier="mesh", model="nobody")
    async with office.running("coordinator") as coordinator:
        await coordinator.says("nodes and operators on port")
        summary = await office.run("ledger", "summary", "--since", "24h")
        listed = await office.run("ledger", "requests", "--since", "24h")
        newest = (await office.run("ledger", "requests", "--limit", "1", "--json")).json
        today = (await office.run("ledger", "summary", "--json")).json
    place = f"127.0.0.1:{upstream.port}"
    assert "4 requests (3 answered, 1 failed, 0 cancelled, 0 lost)" in summary.out
    assert "30 tokens in, 6 out, $0.000120 spent" in summary.out
    assert re.search(rf"{place} +cloud +3 +100% +30 +6 +\$0.000120", summary.out)
    assert "not answered: no capable node 1" in summary.out
    header, first, *others = listed.out.splitlines()
    assert header.split() == [
        "arrived",
        "id",
        "who",
        "asked",
        "for",
        "ended",
        "answered",
        "by",
        "tier",
        "tokens",
        "took",
        "cost",
    ]
    assert re.search(r"local +nobody +no capable node +- +- +- ", first)
    assert len(others) == 3
    assert all(re.search(rf"big-model on {place} +cloud +10\+2 ", line) for line in others)
    assert [row["failure"] for row in newest["requests"]] == ["no_capable_node"]
    assert (today["answered"], today["cost_microusd"]) == (3, 3 * COST_MICROUSD)
    assert summary.err == listed.err == ""


async def _killed_under_load(
    office: Machine, coordinator: Running, load: Load, *, answered: int
) -> None:
    await coordinator.says("nodes and operators on port")
    due = len(load.answered) + answered
    async with (
        connect(f"127.0.0.1:{office.ports['DESKMESH_PORTS__LOCAL']}") as client,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(ASKERS):
            tasks.create_task(load.run(client))
        await load.reached(due)
        coordinator.process.send_signal(signal.SIGKILL)
        await coordinator.process.wait()


def _accounts_agree(office: Machine, told: dict[str, Any], states: Counter[str]) -> None:
    """The sums beside the rows are those of the rows."""
    assert {state: told[state] for state in states} == states
    assert told["requests"] == states.total()
    [sums] = _rows(
        office, "SELECT sum(requests) AS requests, sum(cost_microusd) AS cost FROM rollups"
    )
    [rows] = _rows(office, "SELECT count(*) AS requests, sum(cost_microusd) AS cost FROM requests")
    [attempts] = _rows(office, "SELECT sum(cost_microusd) AS cost FROM attempts")
    assert sums == rows
    assert attempts["cost"] == rows["cost"] == told["cost_microusd"]
    [answered] = _rows(
        office,
        "SELECT count(*) AS attempts, count(DISTINCT request) AS requests, min(cost_microusd) AS "
        "least, max(cost_microusd) AS most FROM attempts WHERE outcome = 'answered'",
    )
    assert answered["attempts"] == answered["requests"] == states["answered"]
    assert answered["least"] == answered["most"] == COST_MICROUSD


def _rows(office: Machine, query: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(office.home.ledger / "ledger.db")
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query)]
    finally:
        connection.close()


def _bytes(office: Machine) -> bytes:
    return b"".join(path.read_bytes() for path in _files(office.home.ledger))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
