"""A machine's own programs, at its own door: the mesh, its page, and what is left without it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from bench.played_mesh import free_port
from mesh.client import connect
from tests.whole.conftest import NewMachine, joined, mesh_holds, serving
from tests.whole.machine import WITHIN_S, Machine, Running

AT = re.compile(r"http://localhost:\d+")
PORT = re.compile(r"gRPC: port (\d+)")
PROMPT = "Reverse the word: mesh"


@asynccontextmanager
async def at_its_door(agent: Running) -> AsyncIterator[httpx2.AsyncClient]:
    await agent.says("for tools and browsers")
    found = AT.search(agent.text)
    assert found, agent.text
    async with httpx2.AsyncClient(base_url=found[0], timeout=WITHIN_S) as client:
        yield client


async def chat(client: httpx2.AsyncClient, **headers: str) -> httpx2.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": PROMPT}]}
    asked = {f"x-deskmesh-{name}": value for name, value in headers.items()}
    return await client.post("/v1/chat/completions", json=body, headers=asked)


def said(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


async def at_a_fixed_place(machine: Machine) -> None:
    """Let a coordinator take the same port again when it comes back."""
    async with machine.running("coordinator") as once:
        await once.says("nodes and operators on port")
        mesh, join = re.findall(r"on port (\d+), joining on (\d+)", once.text)[0]
    machine.ports |= {"DESKMESH_PORTS__MESH": mesh, "DESKMESH_PORTS__JOIN": join}


@pytest.fixture
async def fixed_office(new_machine: NewMachine) -> Machine:
    machine = new_machine("office")
    await at_a_fixed_place(machine)
    return machine


async def test_a_node_is_the_mesh_to_its_own_programs_and_serves_alone_when_it_is_cut_off(
    fixed_office: Machine, new_machine: NewMachine
) -> None:
    desk = new_machine("desk")
    desk.ports["DESKMESH_PORTS__LOCAL"] = str(free_port())
    async with fixed_office.running("coordinator") as coordinator:
        await coordinator.says("nodes and operators on port")
        await joined(desk, fixed_office)
        no_agent = await desk.run("ask", "--tier", "device", PROMPT)
        assert no_agent.code == 1
        assert "this machine's own agent does not answer" in no_agent.err
        async with desk.running("node") as agent, at_its_door(agent) as client:
            await mesh_holds(fixed_office, desk=1)
            over_mesh = await chat(client)
            assert said(over_mesh) == "hsem"
            assert over_mesh.headers["x-deskmesh-tier"] == "mesh"
            here = await chat(client, tier="device")
            assert said(here) == "hsem"
            assert here.headers["x-deskmesh-tier"] == "device"
            assert "stays on this machine" in here.headers["x-deskmesh-why"]
            by_hand = await desk.run("ask", "--tier", "device", PROMPT, "--json")
            assert by_hand.json["text"] == "hsem", by_hand.err
            assert by_hand.json["receipt"]["why"] == "tier device: the prompt stays on this machine"
            local_port = PORT.search(agent.text)
            assert local_port, agent.text
            async with connect(f"127.0.0.1:{local_port[1]}") as mesh:
                assert (await mesh.ask(PROMPT)).text == "hsem"
            page = await client.get("/")
            assert page.status_code == 200
            assert "desk" in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert "deskmesh" in (await client.get("/metrics")).text
            for file in re.findall(r'(?:href|src)="(/[a-z]+[.][a-z]+)', page.text):
                assert (await client.get(file)).status_code == 200, file
            assert (await client.get("/nothing.txt")).status_code == 404
            assert (await client.get(f"/{'n' * 300}.txt")).status_code == 404
            await stops(coordinator)
            from_shell = await desk.run("ask", PROMPT, "--json")
            assert from_shell.json["text"] == "hsem", from_shell.err
            assert "no coordinator answers" in from_shell.json["receipt"]["why"]
            for how in ((), ("--explain",)):
                shown = await desk.run("ask", PROMPT, *how)
                assert shown.err.count("no coordinator answers") == 1, shown
            alone = await chat(client)
            assert said(alone) == "hsem"
            assert "no coordinator answers" in alone.headers["x-deskmesh-why"]
            assert "test-tiny" in (await client.get("/v1/models")).text
            gone = await client.get("/")
            assert (gone.status_code, gone.headers["retry-after"]) == (503, "3")
            assert "cannot be seen" in gone.text
    nobody = await desk.run("ask", PROMPT)  # neither coordinator nor agent
    assert nobody.code == 1
    [line] = nobody.err.strip().splitlines()
    assert "no coordinator" in line


async def test_a_browser_that_leaves_ends_its_events_at_the_coordinator(
    office: Machine, new_machine: NewMachine
) -> None:
    desk = await joined(new_machine("desk"), office)
    async with desk.running("node") as agent, at_its_door(agent) as client:
        await serving(agent)
        tag = re.search(r'data-tag="([^"]+)"', (await client.get("/")).text)
        assert tag
        async with client.stream("GET", f"/events?{tag[1]}") as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            lines = events.aiter_lines()
            await anext(lines)
            assert await open_pages(client) == 1
        async with asyncio.timeout(WITHIN_S):
            while await open_pages(client):  # noqa: ASYNC110 - another process knows
                await asyncio.sleep(0.05)


async def test_a_machine_that_lends_nothing_uses_the_mesh_and_is_not_in_it(
    office: Machine, new_machine: NewMachine
) -> None:
    desk = await joined(new_machine("desk"), office)
    laptop = await joined(new_machine("laptop"), office, role="client", lend=False)
    async with (
        desk.running("node"),
        laptop.running("node") as agent,
        at_its_door(agent) as client,
    ):
        await mesh_holds(office, desk=1)
        await agent.says("reached coordinator")
        assert "lends nothing" in agent.lines[0][1]
        assert said(await chat(client)) == "hsem"
        refused = await chat(client, tier="device")
        assert refused.status_code == 503
        assert "only uses the mesh" in refused.json()["error"]["message"]
        status = await office.run("status", "--json")
        assert [each["machine"]["name"] for each in status.json["nodes"]] == ["desk"]
        assert agent.engines() == []
        assert "desk" in (await client.get("/")).text


async def test_a_port_that_is_taken_is_told_and_the_machine_lends_all_the_same(
    office: Machine, new_machine: NewMachine
) -> None:
    desk = await joined(new_machine("desk"), office)
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with taken:
        port = str(taken.sockets[0].getsockname()[1])
        desk.ports |= {"DESKMESH_PORTS__HTTP": port, "DESKMESH_PORTS__LOCAL": port}
        async with desk.running("node") as node:
            await mesh_holds(office, desk=1)
            assert node.text.count(f"port {port}") == 2
            assert "DESKMESH_PORTS__HTTP" in node.text
            assert (await office.run("ask", PROMPT)).code == 0


async def open_pages(client: httpx2.AsyncClient) -> int:
    metrics = (await client.get("/metrics")).text
    found = re.search(r"^deskmesh_pages_open (\d+)", metrics, re.MULTILINE)
    assert found, metrics
    return int(float(found[1]))


async def stops(process: Running) -> None:
    process.process.terminate()
    await process.process.wait()
