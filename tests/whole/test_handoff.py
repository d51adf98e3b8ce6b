"""A node is killed mid-answer: the same text comes to its end from another one."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from bench.played_mesh import free_port
from mesh.cli.waiting import has_nodes, wait_for_mesh
from mesh.client import connect
from mesh.v1 import inference_pb2 as inference
from tests.whole.conftest import NewMachine, joined
from tests.whole.machine import WITHIN_S, Machine, Running

CUT_AT = 12  # tokens


def request(request_id: str) -> inference.GenerateRequest:
    message = inference.Message(
        role=inference.ROLE_USER, parts=[inference.Part(text="Count from 1 to 60")]
    )
    sampling = inference.Sampling(temperature=1.0, seed=7)
    return inference.GenerateRequest(
        request_id=request_id, messages=[message], sampling=sampling, max_tokens=80
    )


async def test_the_text_is_that_of_an_undisturbed_answer(
    office: Machine, new_machine: NewMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKMESH_HOME", str(office.home.root))
    async with AsyncExitStack() as stack:
        nodes: dict[str, Running] = {}
        for name in ("desk", "shelf"):
            machine = await joined(new_machine(name), office)
            nodes[name] = await stack.enter_async_context(machine.running("node"))
        await wait_for_mesh(office.home, has_nodes(2), within_s=WITHIN_S, what="nodes")
        client = await stack.enter_async_context(connect())
        whole = [event async for event in client.answer(request("whole"))]
        ids = [id_ for event in whole for id_ in event.delta.ids]
        text = "".join(event.delta.text for event in whole)
        events = []
        killed = ""
        async with asyncio.timeout(WITHIN_S):
            async for event in client.answer(request("cut")):
                events.append(event)
                given = sum(len(each.delta.ids) for each in events)
                if not killed and given >= CUT_AT:
                    killed = events[0].started.node_name
                    nodes[killed].process.kill()
        assert given == len(ids)
        assert "".join(event.delta.text for event in events) == text
        offset = 0
        for event in events:
            if event.HasField("delta"):
                assert event.delta.token_offset == offset
                offset += len(event.delta.ids)
        receipt = events[-1].finished.receipt
        assert [each.outcome for each in receipt.attempts] == ["node_lost", "answered"]
        assert receipt.attempts[0].node_name == killed != receipt.attempts[1].node_name
        assert receipt.numerics_changed_at_token == 0


async def test_a_restart_of_the_coordinator_leaves_no_mark_in_the_text(
    new_machine: NewMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = new_machine("office")
    office.ports = {name: str(free_port()) for name in office.ports}
    monkeypatch.setenv("DESKMESH_HOME", str(office.home.root))
    for name, port in office.ports.items():
        monkeypatch.setenv(name, port)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(office.running("coordinator"))
        await first.says("nodes and operators on port")
        desk = await joined(new_machine("desk"), office)
        await stack.enter_async_context(desk.running("node"))
        await wait_for_mesh(office.home, has_nodes(1), within_s=WITHIN_S, what="node")
        client = await stack.enter_async_context(connect())
        whole = [event async for event in client.answer(request("whole"))]
        events = []
        async with asyncio.timeout(WITHIN_S):
            async for event in client.answer(request("cut")):
                events.append(event)
                given = sum(len(each.delta.ids) for each in events)
                if first.process.returncode is None and given >= CUT_AT:
                    first.process.kill()
                    await first.process.wait()
                    await stack.enter_async_context(office.running("coordinator"))
    for told in (whole, events):
        assert [each.WhichOneof("event") for each in told].count("started") == 1
    assert "".join(each.delta.text for each in events) == "".join(each.delta.text for each in whole)
    assert [id_ for each in events for id_ in each.delta.ids] == [
        id_ for each in whole for id_ in each.delta.ids
    ]
