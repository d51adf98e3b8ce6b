"""docs/http.md is true: its blocks run as they stand there, and its tables are the code's."""

import json
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mesh.door.asked_headers import KNOWN, PREFIX
from mesh.door.failures import SHOWN
from mesh.door.parameters import IGNORED, REFUSED, ChatBody
from mesh.home import Home
from tests.whole.conftest import attached
from tests.whole.machine import ROOT, Machine, Result, Running

DOCUMENT = (ROOT / "docs" / "http.md").read_text()
URL = re.compile(r"http://localhost:7480")
needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed here")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def _section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", DOCUMENT, re.DOTALL | re.M)
    assert found, title
    return found[1]


@dataclass(frozen=True, slots=True)
class Office:
    """A machine on which ``deskmesh up`` runs."""

    machine: Machine
    url: str
    up: Running

    async def runs(self, *command: str) -> Result:
        result = await self.machine.run_program(*command)
        assert result.code == 0, result.err
        return result


@pytest.fixture(scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    port = _free_port()
    settings = {"DESKMESH_DISCOVERY__MULTICAST": "false", "DESKMESH_PORTS__HTTP": str(port)}
    machine = Machine(Home(tmp_path_factory.mktemp("office")), "office", settings)
    async with machine.running("up") as up:
        await up.says("Ctrl-C stops it")
        await attached(up)
        yield Office(machine, f"http://localhost:{port}", up)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_the_first_lines_of_a_mesh_say_where_the_door_is(office: Office) -> None:
    assert f"For tools that speak OpenAI's API: {office.url}/v1" in office.up.text
    assert f"tools and the page at {office.url}" in office.up.text


def _shell(office: Office, block: str) -> tuple[str, str, str]:
    """Return the command that runs ``block`` as people paste it, but for the port."""
    told = URL.sub(office.url, block)
    return "sh", "-euc", told.replace("python -c", f"{sys.executable} -c")


@needs_curl
async def test_the_commands_run(office: Office) -> None:
    asked, listed, streamed, configured = [
        await office.runs(*_shell(office, block)) for block in _blocks("sh")
    ]
    answer = json.loads(asked.out)
    assert answer["choices"][0]["message"]["content"] == "hsem"
    assert json.loads(listed.out)["data"][0]["id"] == "auto"
    assert "x-deskmesh-node: office" in streamed.out
    assert streamed.out.endswith("data: [DONE]\n\n")
    assert configured.out.startswith("['auto', 'test-tiny")


async def test_the_program_runs(office: Office, tmp_path: Path) -> None:
    [program] = _blocks("python")
    path = tmp_path / "openai_client.py"
    path.write_text(URL.sub(office.url, program))
    assert (await office.runs(sys.executable, str(path))).out == "hsem\nanswered by office\n"


async def test_the_editors_provider_is_there(office: Office) -> None:
    [block] = _blocks("json")
    [provider] = json.loads(block)["language_models"]["openai_compatible"].values()
    async with httpx2.AsyncClient() as http:
        url = URL.sub(office.url, provider["api_url"])
        listed = (await http.get(f"{url}/models")).json()["data"]
        for model in provider["available_models"]:
            assert model["name"] in {each["id"] for each in listed}


def _named(text: str) -> set[str]:
    return set(re.findall(r"`([a-z_-]+)`", text))


def test_every_parameter_is_told_with_what_becomes_of_it() -> None:
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|$", _section("What a request may say"), re.M)
    parameters = {name for names, _ in rows for name in _named(names)}
    headers = {name for name in parameters if name.startswith(PREFIX)}
    assert headers == {f"{PREFIX}{name}" for name in KNOWN}
    assert parameters - headers == {*ChatBody.model_fields, *IGNORED, *REFUSED}
    told: dict[str, Any] = {what: _named(names) for names, what in rows}
    [ignored] = [names for what, names in told.items() if what.startswith("taken and ignored")]
    [refused] = [names for what, names in told.items() if what.startswith("refused: the answer")]
    assert (ignored, refused) == (set(IGNORED), set(REFUSED))


def test_every_error_is_told_with_its_status() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)`.* \| (yes|no) \|$", _section("Errors"), re.M)
    assert {(int(status), code, retry == "yes") for status, code, retry in rows} == {
        (how.status, how.code, kind.retryable) for kind, how in SHOWN.items()
    }
    assert len(rows) == len(SHOWN)


def test_what_the_door_itself_refuses_is_told_with_its_status() -> None:
    rows = re.findall(r"^\| (\d+) \| (`.*`).* \|$", _section("Errors"), re.M)
    told = {(code, status) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    sources = "".join(each.read_text() for each in (ROOT / "mesh" / "door").glob("*.py"))
    refused = set(re.findall(r'code="(\w+)",\s+status=(\d+)', sources))
    assert len(refused) >= 4
    assert told >= refused | {("unknown_url", "404"), ("method_not_allowed", "405")}
