"""Operators ask which rules and rungs a request would meet."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import typer
from typer.testing import CliRunner

from coordinator.coordinator import Coordinator
from mesh.cli import route
from mesh.client import MeshClient
from mesh.dial import mesh_channel
from mesh.errors import Forbidden, InvalidRequest, MeshError
from mesh.home import Home
from mesh.identity.machine import MachineIdentity
from mesh.identity.peer import PeerRole
from mesh.rpc import from_rpc
from mesh.settings import Settings
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import operations_pb2 as operations
from mesh.v1.operations_pb2_grpc import OperationsStub
from tests.coordinator.conftest import NewNode, patient_settings
from tests.coordinator.scripted_node import model

QWEN, OTHER = model("qwen"), model("other", digest="c")
RULES = """
[[rules]]
name = "no secrets for others"
when = { words = "password", team = ["ops", "dev"] }
forbid = "other"

[[rules]]
name = "night"
when.initiator = "event"
forbid = "any"
"""


@pytest.fixture
def settings() -> Settings:
    return patient_settings()


@pytest.fixture
async def coordinator(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Coordinator]:
    home = Home(tmp_path / "home")
    monkeypatch.setenv("DESKMESH_HOME", str(home.root))
    home.root.mkdir()
    home.rules_file.write_text(RULES)
    running = Coordinator(home, settings)
    async with running.running():
        yield running


@pytest.fixture
async def operator(
    mesh_address: str, enrolled: Callable[[PeerRole], MachineIdentity]
) -> AsyncIterator[OperationsStub]:
    async with mesh_channel(mesh_address, enrolled(PeerRole.OPERATOR)) as channel:
        yield OperationsStub(channel)


async def explained(
    operator: OperationsStub, prompt: str, **more: Any
) -> operations.RouteExplanation:
    asked = inference.GenerateRequest(
        request_id="r1",
        messages=[inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text=prompt)])],
        **more,
    )
    try:
        found: operations.RouteExplanation = await operator.ExplainRoute(asked)
    except grpc.aio.AioRpcError as failure:
        raise from_rpc(failure) from None
    return found


OPS = inference.Origin(team="ops")


async def test_a_rule_is_told_with_the_rungs_that_it_took(
    operator: OperationsStub, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node, new_node(OTHER):
        found = await explained(operator, "my password", origin=OPS)
    assert [(each.rule, each.words, list(each.model_names)) for each in found.rules] == [
        ("no secrets for others", "forbids other", ["other"])
    ]
    assert [(each.model_name, each.chosen, each.removed_by) for each in found.ladder] == [
        ("qwen", True, ""),
        ("other", False, "rule 'no secrets for others' forbids other"),
    ]
    assert (found.rules_known, found.node_name, found.refused) == (2, node.name, "")
    assert found.tier == inference.TIER_MESH


async def test_what_is_foreseen_is_what_happens_and_nothing_began_before(
    client: MeshClient, operator: OperationsStub, coordinator: Coordinator, new_node: NewNode
) -> None:
    async with new_node(QWEN) as node, new_node(OTHER):
        await explained(operator, "my password", origin=OPS, model="other")
        assert coordinator.loop.fleet.requests.total == 0
        asking = asyncio.create_task(client.ask("hi", model="qwen"))
        start = await node.told_to_start()  # the first that any node hears of
        await node.deliver().answer(start.attempt_id, "yes")
        await asking


async def test_a_request_that_no_rung_is_left_for_says_why(
    operator: OperationsStub, new_node: NewNode
) -> None:
    event = inference.Origin(initiator=inference.Origin.INITIATOR_EVENT)
    async with new_node(QWEN):
        found = await explained(operator, "hello", origin=event)
    assert found.refused.startswith("no model may answer this (qwen: rule 'night' forbids any)")
    assert not found.node_name


async def test_what_could_not_be_asked_is_refused(operator: OperationsStub) -> None:
    with pytest.raises(InvalidRequest, match="policy 'no-such' is unknown"):
        await explained(operator, "hello", policy="no-such")


async def test_only_an_operator_may_ask(channel: grpc.aio.Channel) -> None:
    with pytest.raises(Forbidden):
        await explained(OperationsStub(channel), "hello")


def invoked(*words: str) -> Any:
    commands = typer.Typer()
    route.register(commands)
    return CliRunner().invoke(commands, ["route", "explain", *words])


async def test_the_command_tells_rules_rungs_and_why(
    operator: OperationsStub, new_node: NewNode
) -> None:
    asked = ("my password", "--team", "ops")
    async with new_node(QWEN) as node, new_node(OTHER):
        people = await asyncio.to_thread(invoked, *asked)
        plain = await asyncio.to_thread(invoked, *asked, "--json")
    assert (people.exit_code, plain.exit_code) == (0, 0)
    words = " ".join(people.stdout.split())
    assert words.startswith(
        "rules: 1 of 2 match no secrets for others forbids other: other rung P(ok)"
    )
    assert "> qwen" in words
    assert f"qwen on {node.name}: " in words
    printed = json.loads(plain.stdout)
    assert printed["node_name"] == node.name
    assert [each["model_name"] for each in printed["ladder"]] == ["qwen", "other"]


async def test_the_command_fails_where_nothing_could_answer(new_node: NewNode) -> None:
    async with new_node(QWEN):
        refused = await asyncio.to_thread(invoked, "hello", "--initiator", "event")
        wrong = await asyncio.to_thread(invoked, "hello", "--tier", "moon")
    assert refused.exit_code == 1
    assert "refused: no model may answer this" in refused.stdout
    assert wrong.exit_code == 2


async def test_a_real_request_is_ruled_by_the_same_list(
    client: MeshClient, new_node: NewNode
) -> None:
    async with new_node(QWEN):
        with pytest.raises(MeshError, match="no model may answer this"):
            await _ask_as_event(client)


async def _ask_as_event(client: MeshClient) -> None:
    request = inference.GenerateRequest(
        request_id="r-2",
        model="qwen",
        origin=inference.Origin(initiator=inference.Origin.INITIATOR_EVENT),
        messages=[inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text="hi")])],
    )
    async for _ in client.answer(request):
        pass


async def test_a_rule_that_looks_at_the_budget_knows_the_days(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.rules_file.write_text(
        '[[rules]]\nname = "thrift"\nwhen.budget_left_below_usd = 2\nforbid = "cloud"\n'
    )
    capped = settings.cloud.model_copy(update={"max_usd_per_day": 1.5})
    coordinator = Coordinator(home, settings.model_copy(update={"cloud": capped}))
    budget = coordinator._budget()
    assert budget is not None
    assert (budget.microusd, budget.left_microusd) == (1_500_000, 1_500_000)
    assert coordinator.rules.ask_for_budget
