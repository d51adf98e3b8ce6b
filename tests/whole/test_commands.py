"""The command line as a newcomer, a script and a clumsy hand meet it."""

import json
import shlex
import socket
import sys
from pathlib import Path

import pytest

from mesh.version import VERSION
from tests.whole.conftest import NewMachine
from tests.whole.machine import DESKMESH, Machine

COMMANDS = (
    "up",
    "coordinator",
    "node",
    "ask",
    "status",
    "join",
    "invite",
    "models",
    "ledger",
    "version",
)


async def test_help_names_every_command(new_machine: NewMachine) -> None:
    shown = await new_machine("x").run("--help")
    assert shown.code == 0
    for command in COMMANDS:
        assert command in shown.out


async def test_version_is_told_with_what_a_bug_report_needs(new_machine: NewMachine) -> None:
    machine = new_machine("x")
    told = (await machine.run("version", "--json")).json
    assert told["deskmesh"] == VERSION
    assert told["python"] == ".".join(map(str, sys.version_info[:3]))
    assert VERSION in (await machine.run("version")).out


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("ask",),
        ("ask", "--max-tokens", "-3", "hi"),
        ("ask", "--seed", "x", "hi"),
        ("node", "drain"),
        ("node", "drain", "a", "b"),
        ("node", "attic"),
        ("ledger", "requests", "--limit", "0"),
        ("ledger", "requests", "--state", "open"),
        ("ledger", "summary", "--since", "yesterday"),
    ],
)
async def test_wrong_usage_exits_with_2(
    arguments: tuple[str, ...], new_machine: NewMachine
) -> None:
    result = await new_machine("x").run(*arguments)
    assert result.code == 2
    assert "Usage:" in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ask", "hi"), "has joined no mesh"),
        (("ask", "--address", "192.0.2.1:7481", "hi"), "nothing leaves it in plain text"),
        (("status",), "has joined no mesh"),
        (("models", "list"), "has joined no mesh"),
        (("invite",), "has joined no mesh"),
        (("ledger", "summary"), "has joined no mesh"),
        (("node",), "deskmesh join"),
        (("node", "--models", "/no/such/folder"), "is not a folder"),
        (("node", "--seed", "nonsense"), "is no address"),
        (("join", "nonsense"), "join code"),
    ],
)
async def test_what_cannot_be_done_is_one_line_with_a_way_out(
    arguments: tuple[str, ...], says: str, new_machine: NewMachine
) -> None:
    result = await new_machine("x", DESKMESH_PORTS__LOCAL="9").run(*arguments)
    assert result.code == 1
    assert says in result.err
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert ";" in result.err  # what to do
    assert "Traceback" not in result.err


async def test_words_that_would_fail_anywhere_exit_with_2(office: Machine) -> None:
    for arguments in (
        ("feedback", "r1", "--good", "--bad"),
        ("feedback", "r1", "--good", "--label", "x" * 100),
        ("outcome", "", ""),
        ("ask", "hi", "--tier", "moon"),
        ("ask", "hi", "--seed", "9" * 30),
    ):
        told = await office.run(*arguments, "--json")
        assert (told.code, told.json["error"]["code"]) == (2, "invalid_request"), arguments


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
async def test_a_disk_that_is_full_is_one_line(office: Machine) -> None:
    for words in ("status", "ask hi --json"):
        command = f"{shlex.join(DESKMESH)} {words} > /dev/full"
        full = await office.run_program("sh", "-c", command)
        assert full.code == 1, full
        assert "no space left on device" in full.err.lower()
        assert "Traceback" not in full.err


async def test_an_error_is_json_where_json_was_asked_for(new_machine: NewMachine) -> None:
    result = await new_machine("x").run("status", "--json")
    assert result.code == 1
    error = json.loads(result.out)["error"]
    assert error.keys() == {"code", "message", "hint", "retryable"}
    assert error["code"] == "not_authenticated"


async def test_a_setting_that_is_misspelt_is_named(new_machine: NewMachine) -> None:
    machine = new_machine("x")
    machine.home.ensure(machine.home.root)
    machine.home.settings_file.write_text("[ports]\nmehs = 1\n")
    result = await machine.run("coordinator")
    assert result.code == 1
    assert "ports.mehs" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("port", ["MESH", "JOIN", "LOCAL"])
async def test_a_port_in_use_is_named_with_the_setting_to_change(
    port: str, new_machine: NewMachine
) -> None:
    with socket.socket(socket.AF_INET6 if socket.has_ipv6 else socket.AF_INET) as taken:
        taken.bind(("::ffff:127.0.0.1" if socket.has_ipv6 else "127.0.0.1", 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        machine = new_machine("x", **{f"DESKMESH_PORTS__{port}": number})
        result = await machine.run("coordinator")
    assert result.code == 1
    assert f"port {number}" in result.err
    assert f"DESKMESH_PORTS__{port}" in result.err
    assert "Traceback" not in result.err


async def test_a_prompt_may_come_from_stdin(office: Machine) -> None:
    asked = await office.run("ask", "-", stdin=b"hi")
    assert "no machine is attached" in asked.err
    broken = await office.run("ask", "-", stdin=b"\xff\xfe")
    assert "not UTF-8" in broken.err


async def test_a_code_is_good_for_one_machine(office: Machine, new_machine: NewMachine) -> None:
    code = (await office.run("invite", "--json")).json["code"]
    first = await new_machine("first").run("join", code, "--json")
    assert first.json["role"] == "node"
    second = await new_machine("second").run("join", code)
    assert second.code == 1
    assert "was used" in second.err
    assert code[10:40] not in second.err


async def test_a_member_that_is_no_operator_may_look_and_not_invite(
    office: Machine, new_machine: NewMachine
) -> None:
    code = (await office.run("invite", "--json")).json["code"]
    desk = new_machine("desk")
    await desk.run("join", code)
    assert (await desk.run("status")).code == 0
    refused = await desk.run("invite")
    assert refused.code == 1
    assert "a node may not invite machines" in refused.err
