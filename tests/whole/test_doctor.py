"""``deskmesh doctor`` on machines that are well, and on some that are not."""

import socket
from collections.abc import Mapping
from typing import Any

from tests.whole.conftest import NewMachine, joined
from tests.whole.machine import Machine, Result


def checks(result: Result) -> Mapping[str, Any]:
    return {each["check"]: each for each in result.json["checks"]}


async def test_a_machine_of_a_mesh_is_well(office: Machine, new_machine: NewMachine) -> None:
    desk = await joined(new_machine("desk"), office)
    result = await desk.run("doctor", "--json")
    found = checks(result)
    assert result.code == 0, result.out
    assert found["coordinator"]["verdict"] == "ok"
    assert found["mesh"]["verdict"] == found["clock"]["verdict"] == "ok"
    assert found["models"]["what"].startswith("1 model file")  # the bundled one
    assert "off" in found["multicast"]["what"]


async def test_a_coordinator_that_is_gone_fails_with_its_reason(new_machine: NewMachine) -> None:
    office, desk = new_machine("office"), new_machine("desk")
    async with office.running("coordinator") as coordinator:
        await coordinator.says("nodes and operators on port")
        await joined(desk, office)
    result = await desk.run("doctor", "--json")
    assert result.code == 1
    assert "refused" in checks(result)["coordinator"]["what"]


async def test_a_port_that_a_stranger_holds_fails(new_machine: NewMachine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        number = stranger.getsockname()[1]
        desk = new_machine("desk", DESKMESH_PORTS__HTTP=str(number))
        desk.ports = {**desk.ports, "DESKMESH_PORTS__HTTP": str(number)}
        result = await desk.run("doctor")
    assert result.code == 1
    (line,) = [each for each in result.out.splitlines() if " ports " in each]
    assert line.startswith("failed")
    assert str(number) in line
    assert "\x1b[" not in result.out  # colour is for terminals


async def test_settings_that_cannot_be_read_are_the_finding(new_machine: NewMachine) -> None:
    desk = new_machine("desk")
    desk.home.ensure(desk.home.root)
    desk.home.settings_file.write_text("[ports]\nhttp = 'many'\n")
    desk.ports = {}
    result = await desk.run("doctor", "--json")
    assert result.code == 1
    assert "ports.http" in checks(result)["settings"]["what"]
