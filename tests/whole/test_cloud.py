"""Real processes and a played upstream: what may leave the mesh does, and nothing else ever."""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from mesh.cli.waiting import wait_for_mesh
from mesh.client import MeshClient, connect
from mesh.errors import MeshError
from mesh.v1 import operations_pb2 as operations
from mesh.wire import enums
from tests.coordinator.cloud import played_anthropic
from tests.coordinator.cloud.played_upstream import PlayedUpstream
from tests.whole.conftest import NewMachine, joined, mesh_holds
from tests.whole.machine import WITHIN_S, Machine, Running

MODEL = "big-model"
KEY = "sk-whole-0123456789"
PROMPT = "Reverse the word: mesh"
OTHER_MODEL = "other-model"  # of a second upstream, which speaks Anthropic's API
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Office:
    """A mesh whose only node is down, and its two doors."""

    machine: Machine
    coordinator: Running
    mesh: MeshClient
    http: httpx2.AsyncClient


@pytest.fixture
async def upstream() -> AsyncIterator[PlayedUpstream]:
    played = PlayedUpstream()
    await played.start()
    yield played
    await played.stop()


@pytest.fixture
async def other() -> AsyncIterator[PlayedUpstream]:
    played = PlayedUpstream()
    await played.start()
    yield played
    await played.stop()


def cloud_settings(upstream: PlayedUpstream, other: PlayedUpstream) -> dict[str, str]:
    """2 micro-USD a token in, 10 out."""
    given = {
        "BASE_URL": upstream.base_url,
        "MODEL": MODEL,
        "API_KEY": KEY,
        "MAX_USD_PER_DAY": "1.5",
        "INPUT_USD_PER_MILLION_TOKENS": "2",
        "OUTPUT_USD_PER_MILLION_TOKENS": "10",
        "UPSTREAMS__OTHER__KIND": "anthropic",
        "UPSTREAMS__OTHER__BASE_URL": other.base_url,
        "UPSTREAMS__OTHER__MODEL": OTHER_MODEL,
        "UPSTREAMS__OTHER__INPUT_USD_PER_MILLION_TOKENS": "2",
        "UPSTREAMS__OTHER__OUTPUT_USD_PER_MILLION_TOKENS": "10",
    }
    return {f"DESKMESH_CLOUD__{name}": value for name, value in given.items()}


@pytest.fixture
async def office(
    new_machine: NewMachine, upstream: PlayedUpstream, other: PlayedUpstream
) -> AsyncIterator[Office]:
    machine = new_machine("office", **cloud_settings(upstream, other))
    async with machine.running("coordinator") as coordinator:
        await coordinator.says("nodes and operators on port")
        desk = await joined(new_machine("desk"), machine)
        async with desk.running("node") as node:
            await mesh_holds(machine, desk=1)
            answer = await machine.run("ask", PROMPT)
            assert (answer.code, answer.out) == (0, "hsem\n"), answer.err
            for process in node.family():
                process.kill()
            await wait_for_mesh(machine.home, is_down, within_s=WITHIN_S, what="lost node")
        grpc_port, http_port = re.findall(
            r"gRPC on (\d+).*http://localhost:(\d+)", coordinator.text
        )[0]
        url = f"http://localhost:{http_port}/v1"
        async with (
            connect(f"127.0.0.1:{grpc_port}") as mesh,
            httpx2.AsyncClient(base_url=url, trust_env=False) as http,
        ):
            yield Office(machine, coordinator, mesh, http)


def is_down(view: operations.MeshView) -> bool:
    return [enums.NODE_STATE[node.state] for node in view.nodes] == ["lost"]


async def test_with_every_node_down_the_upstream_answers_and_the_receipt_shows_what_it_cost(
    office: Office, upstream: PlayedUpstream
) -> None:
    answer = await office.machine.run("ask", "--json", "--tier", "cloud", PROMPT)
    assert answer.code == 0, answer.err
    assert answer.json["text"] == "hello"
    assert (answer.json["model"], answer.json["node"]) == (MODEL, f"127.0.0.1:{upstream.port}")
    assert answer.json["usage"]["prompt_tokens"] == 10
    assert answer.json["usage"]["completion_tokens"] == 2
    receipt = answer.json["receipt"]
    assert receipt["tier"] == "cloud"
    assert int(receipt["cost_microusd"]) == 10 * 2 + 2 * 10
    assert receipt["price_version"] == "operator"
    assert receipt["why"].startswith("cloud: ")

    shown = await office.machine.run("ask", "--tier", "cloud", "--explain", PROMPT)
    assert shown.out == "hello\n"
    assert f"{MODEL} on 127.0.0.1:{upstream.port} (cloud, $0.000040)" in shown.err
    assert "why: cloud: " in shown.err

    whole = await office.http.post("/chat/completions", json=body(), headers=tier("cloud"))
    assert whole.json()["choices"][0]["message"]["content"] == "hello"
    assert whole.json()["usage"]["total_tokens"] == 12
    assert whole.headers["x-deskmesh-tier"] == "cloud"
    assert whole.headers["x-deskmesh-cost-microusd"] == "40"
    assert all(asked.headers["authorization"] == f"Bearer {KEY}" for asked in upstream.asked)
    rows = await the_rows_of(office.machine, 3)
    for row in rows:
        assert (row["state"], row["tier"], row["place"]) == (
            "answered",
            "cloud",
            f"127.0.0.1:{upstream.port}",
        )
        assert (row["usage"]["prompt_tokens"], row["usage"]["completion_tokens"]) == (10, 2)
        assert (row["cost_microusd"], row["price_version"]) == (40, "operator")
    assert KEY not in f"{office.coordinator.text} {shown.err} {answer.out} {whole.headers}"


async def the_rows_of(machine: Machine, count: int) -> list[dict[str, Any]]:
    """Return the newest rows of the ledger, which are written behind the answers."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            told = await machine.run("ledger", "requests", "--json")
            rows: list[dict[str, Any]] = told.json["requests"]
            if len(rows) > count:  # one more was asked while the node was there
                return rows[:count]


async def test_a_thousand_requests_that_may_not_leave_open_no_connection(
    office: Office, upstream: PlayedUpstream, other: PlayedUpstream
) -> None:
    await stays_in(office, (upstream, other), 1_000)


@pytest.mark.long
async def test_ten_thousand_requests_that_may_not_leave_open_no_connection(
    office: Office, upstream: PlayedUpstream, other: PlayedUpstream
) -> None:
    await stays_in(office, (upstream, other), 10_000)


async def stays_in(office: Office, upstreams: tuple[PlayedUpstream, ...], count: int) -> None:
    """Over both doors, streamed or not, by any name, of the tiers device and mesh or unsaid."""
    told = office.coordinator.text
    ways = itertools.cycle(
        itertools.product(
            (over_grpc, over_http),
            ("device", "mesh", ""),
            ("auto", "cloud", MODEL, OTHER_MODEL, f"cloud:{MODEL}", f"cloud:{OTHER_MODEL}"),
            (True, False),
        )
    )
    turn = asyncio.Semaphore(AT_ONCE)
    refusals: dict[str, int] = {}

    async def ask(way: Any, tier_name: str, model: str, streamed: bool) -> None:
        async with turn:
            code, message = await way(office, tier_name, model, streamed)
        assert re.fullmatch(r"[ -~]{20,300}", message), message
        refusals[code] = refusals.get(code, 0) + 1

    async with asyncio.TaskGroup() as tasks:
        for way, tier_name, model, streamed in itertools.islice(
            (each for each in ways if not says_cloud(*each[1:3])), count
        ):
            tasks.create_task(ask(way, tier_name, model, streamed))
    assert sum(refusals.values()) == count
    assert [each.connections for each in upstreams] == [0, 0]
    assert set(refusals) == {"no_capable_node", "forbidden"}, refusals
    assert PROMPT not in office.coordinator.text.removeprefix(told)
    # The same doors, and requests that may leave: the upstreams' logs do show these.
    upstreams[1].behave = played_anthropic.hello
    for way in (over_grpc, over_http):
        for model in ("auto", f"cloud:{OTHER_MODEL}"):
            with pytest.raises(Answered):
                await way(office, "cloud", model, streamed=True)
    assert [len(each.asked) for each in upstreams] == [2, 2]


def says_cloud(tier_name: str, model: str) -> bool:
    """Does the request say by the model's name alone that its prompt may leave?"""
    return not tier_name and model in {"cloud", f"cloud:{MODEL}", f"cloud:{OTHER_MODEL}"}


async def over_grpc(office: Office, tier_name: str, model: str, streamed: bool) -> tuple[str, str]:
    """Ask, and return the code and the words of the refusal."""
    try:
        if streamed:
            async with office.mesh.generate(PROMPT, model=model, tier=tier_name) as answer:
                async for _ in answer:
                    pass
        else:
            await office.mesh.ask(PROMPT, model=model, tier=tier_name)
    except MeshError as refused:
        return refused.code, str(refused)
    raise Answered


async def over_http(office: Office, tier_name: str, model: str, streamed: bool) -> tuple[str, str]:
    """Ask, and return the code and the words of the refusal."""
    answer = await office.http.post(
        "/chat/completions", json=body(model, streamed), headers=tier(tier_name)
    )
    if answer.is_success:
        raise Answered
    error = json.loads(answer.text.removeprefix("data: ").splitlines()[0])["error"]
    return error["code"], error["message"]


class Answered(Exception):
    """It was no refusal."""


def tier(name: str) -> dict[str, str]:
    return {"x-deskmesh-tier": name} if name else {}


def body(model: str = "auto", streamed: bool = False) -> dict[str, Any]:
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": model, "messages": messages, "stream": streamed}
