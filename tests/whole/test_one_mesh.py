"""A coordinator and two nodes on one machine, each with a home: joined, found, asked, killed."""

import asyncio
import math
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from mesh.cli.operations import calling
from mesh.cli.waiting import has_nodes, wait_for_mesh
from mesh.client import connect
from mesh.v1 import operations_pb2 as operations
from tests.node_agent.engine.gguf_files import RandomModel
from tests.whole.conftest import NewMachine, attached, forget_addresses, joined, mesh_holds
from tests.whole.machine import WITHIN_S, Machine

PROMPT = "Reverse the word: mesh"


async def _drain(office: Machine, node_id: str, *, resume: bool = False) -> None:
    async with calling(office.home) as stub:
        await stub.DrainNode(operations.DrainNodeRequest(node_id=node_id, resume=resume))


async def _nodes(office: Machine) -> dict[str, Any]:
    status = await office.run("status", "--json")
    assert status.code == 0, status.err
    return {node["machine"]["name"]: node for node in status.json["nodes"]}


async def test_a_node_is_found_by_multicast_alone(new_machine: NewMachine) -> None:
    """The joined node forgets every address, so that mDNS is its only way."""
    office = new_machine("office", multicast=True)
    async with office.running("coordinator") as coordinator:
        await coordinator.says("nodes and operators on port")
        desk = await joined(new_machine("desk", multicast=True), office)
        forget_addresses(desk)
        async with desk.running("node") as node:
            await attached(node)
            nearby = await office.run("status", "--nearby", "--json")
            assert {"office", "desk"} <= {seen["name"] for seen in nearby.json["machines"]}


async def test_a_node_is_found_by_a_seed_where_multicast_is_off(
    office: Machine, new_machine: NewMachine
) -> None:
    desk = await joined(new_machine("desk"), office)
    [address] = forget_addresses(desk)[:1]
    async with desk.running("node", "--seed", address) as node:
        await attached(node)
        assert (await _nodes(office))["desk"]["state"] == "alive"


async def test_the_request_goes_to_the_machine_that_has_the_model(
    office: Machine, new_machine: NewMachine, tmp_path: Path
) -> None:
    special = tmp_path / "special"
    special.mkdir()
    RandomModel().write(special / "special.gguf")
    left = await joined(new_machine("left"), office)
    right = await joined(new_machine("right"), office)
    async with left.running("node", "--models", str(special)), right.running("node"):
        await mesh_holds(office, left=2, right=1)
        models = (await office.run("models", "list", "--json")).json["models"]
        [held] = [model for model in models if not model["test"]]
        assert [replica["node_name"] for replica in held["replicas"]] == ["left"]
        for asked in (office, left, right):
            answer = await asked.run(
                "ask", "--json", "--explain", "-m", held["names"][0], "--max-tokens", "4", "hi"
            )
            assert answer.code == 0, answer.err
            assert answer.json["node"] == "left"
            [ruled_out] = answer.json["receipt"]["ruled_out"]
            assert ruled_out["node_name"] == "right"
            assert "has test-tiny only" in ruled_out["reason"]
        refused = await office.run("ask", "--policy", "cheap", "hi")
        assert refused.code == 2
        assert "policy 'cheap' is unknown" in refused.err
        assert "use frugal, balanced, best, fast, private" in refused.err
        # A real model is there, so `auto` never picks the test model.
        answer = await office.run("ask", "--json", "--max-tokens", "4", "hi")
        assert answer.json["model"] == held["names"][0]


async def test_a_model_that_was_never_loaded_tells_how_likely_its_tokens_were(
    office: Machine, new_machine: NewMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await joined(new_machine("desk"), office)
    monkeypatch.setenv("DESKMESH_HOME", str(office.home.root))
    async with desk.running("node"), connect() as mesh:
        await wait_for_mesh(office.home, has_nodes(1), within_s=WITHIN_S, what="node")
        answer = await mesh.ask(PROMPT, temperature=0, logprobs=5)
    assert answer.text.strip() == "hsem"
    assert b"".join(told.text for told in answer.logprobs).decode() == answer.text
    for told in answer.logprobs:
        assert len(told.alternatives) == 5
        assert (told.alternatives[0].id, told.alternatives[0].logprob) == (told.id, told.logprob)
        assert 0.9 < sum(math.exp(one.logprob) for one in told.alternatives) <= 1 + 1e-6


async def test_the_other_machine_answers_when_one_is_killed_before_the_first_token(
    new_machine: NewMachine,
) -> None:
    patient = {"DESKMESH_FLEET__SUSPECT_AFTER_S": "50", "DESKMESH_FLEET__LOST_AFTER_S": "60"}
    office = new_machine("office", **patient)  # the kill is to be noticed, not the silence
    async with AsyncExitStack() as stack:
        coordinator = await stack.enter_async_context(office.running("coordinator"))
        await coordinator.says("nodes and operators on port")
        left = await joined(new_machine("left"), office)
        right = await joined(new_machine("right"), office)
        one = await stack.enter_async_context(left.running("node"))
        two = await stack.enter_async_context(right.running("node"))
        await attached(one)
        await attached(two)
        await mesh_holds(office, left=1, right=1)
        nodes = await _nodes(office)
        await _drain(office, nodes["right"]["node_id"])
        one.process.send_signal(signal.SIGSTOP)  # it gets the request, and no token comes
        asking = asyncio.create_task(office.run("ask", "--json", "--temperature", "0", PROMPT))
        await _until_running(office, "left")
        await _drain(office, nodes["right"]["node_id"], resume=True)
        one.process.kill()
        answer = await asking
    assert answer.code == 0, answer.err
    assert answer.json["text"].strip() == "hsem"
    attempts = answer.json["receipt"]["attempts"]
    assert [(each["node_name"], each["outcome"]) for each in attempts] == [
        ("left", "node_lost"),
        ("right", "answered"),
    ]


async def _until_running(office: Machine, name: str) -> None:
    def answering(view: operations.MeshView) -> bool:
        return any(node.machine.name == name and node.attempts_running for node in view.nodes)

    await wait_for_mesh(office.home, answering, within_s=WITHIN_S, what=f"attempt on {name}")


async def test_the_engine_is_killed_while_it_answers(
    office: Machine, new_machine: NewMachine
) -> None:
    desk = await joined(new_machine("desk"), office)
    async with desk.running("node") as node:
        await mesh_holds(office, desk=1)
        assert (await office.run("ask", PROMPT)).code == 0  # the engine is warm
        [engine] = node.engines()
        engine.suspend()
        asking = asyncio.create_task(office.run("ask", "--json", PROMPT))
        await _until_running(office, "desk")
        engine.kill()
        failed = await asking
        assert failed.code == 1
        assert failed.json["error"]["code"] == "node_lost"
        again = await office.run("ask", "--json", "--temperature", "0", PROMPT)
        assert again.code == 0, again.err
        assert again.json["text"].strip() == "hsem"
        assert node.process.returncode is None


async def test_a_coordinator_that_dies_mid_answer_is_one_clear_line(
    new_machine: NewMachine,
) -> None:
    office = new_machine("office")
    async with office.running("coordinator") as coordinator:
        await coordinator.says("nodes and operators on port")
        desk = await joined(new_machine("desk"), office)
        async with desk.running("node") as node:
            await mesh_holds(office, desk=1)
            await office.run("ask", PROMPT)
            [engine] = node.engines()
            engine.suspend()
            asking = asyncio.create_task(office.run("ask", PROMPT))
            await _until_running(office, "desk")
            coordinator.process.kill()
            engine.resume()
            failed = await asking  # it waits for a while, as after a restart
            assert failed.code == 1
            [line] = failed.err.strip().splitlines()
            assert line.startswith("error: ")
            assert node.process.returncode is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_stopped_mesh_leaves_no_process_behind(
    number: signal.Signals, new_machine: NewMachine
) -> None:
    machine = new_machine("solo")
    async with machine.running("up") as up:
        await up.says("Ctrl-C stops it")
        assert (await machine.run("ask", PROMPT)).code == 0
        family = up.family()
        assert len(up.engines()) == 1
        assert len(family) == 4  # up, coordinator, node, engine
        up.process.send_signal(number)
        async with asyncio.timeout(WITHIN_S):
            await up.process.wait()
        assert up.process.returncode == 0
    assert not [process for process in family if process.is_running()]


async def test_a_mesh_whose_supervisor_is_killed_ends_as_well(new_machine: NewMachine) -> None:
    machine = new_machine("solo")
    async with machine.running("up") as up:
        await up.says("Ctrl-C stops it")
        await machine.run("ask", PROMPT)
        family = up.family()
        up.process.kill()
        async with asyncio.timeout(WITHIN_S):
            for process in family:
                await asyncio.to_thread(process.wait)
