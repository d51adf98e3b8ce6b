"""The clients of docs/clients.md run as they stand there, against a real mesh."""

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from mesh.identity.store import IdentityStore
from tests.whole.conftest import NewMachine, attached, new_machine
from tests.whole.machine import ROOT, WITHIN_S, Machine, Result

__all__ = ["new_machine"]  # a fixture that these tests share

DOCUMENT = ROOT / "docs" / "clients.md"
PROMPT = "Reverse the word: mesh"


def program_of(name: str) -> str:
    found = re.search(rf"```python\n# {re.escape(name)}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found, f"{name} is not in {DOCUMENT.name}"
    return found[1]


def test_the_first_client_is_as_short_as_promised() -> None:
    assert len([line for line in program_of("sdk_client.py").splitlines() if line.strip()]) <= 20


async def _run(machine: Machine, path: Path, *arguments: str, modules: Path) -> Result:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(path),
        *arguments,
        env={**machine.environment, "PYTHONPATH": str(modules)},
        cwd=path.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Result(process.returncode, out.decode(), err.decode())


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """What protoc makes of the protos, and nothing else that is called mesh."""
    folder = tmp_path / "stubs"
    (folder / "mesh").mkdir(parents=True)
    (folder / "mesh" / "__init__.py").touch()
    shutil.copytree(ROOT / "mesh" / "v1", folder / "mesh" / "v1")
    return folder


async def test_both_clients_get_an_answer(
    new_machine: NewMachine, tmp_path: Path, stubs: Path
) -> None:
    machine = new_machine("solo")
    for name in ("sdk_client.py", "grpc_client.py"):
        (tmp_path / name).write_text(program_of(name))
    async with machine.running("up") as up:
        await up.says("Ctrl-C stops it")
        await attached(up)
        assert IdentityStore(machine.home).roles()
        sdk = await _run(machine, tmp_path / "sdk_client.py", PROMPT, modules=ROOT)
        local = re.search(r"gRPC on (\d+)", up.text)
        assert local
        address = f"127.0.0.1:{local[1]}"
        plain = await _run(machine, tmp_path / "grpc_client.py", address, PROMPT, modules=stubs)
    for result in (sdk, plain):
        assert result.code == 0, result.err
        assert result.out == "hsem\n"
        assert "only machine" in result.err


async def test_the_first_client_says_what_to_do_where_no_coordinator_is(
    new_machine: NewMachine, tmp_path: Path
) -> None:
    machine = new_machine("alone", DESKMESH_PORTS__LOCAL="9")
    program = tmp_path / "sdk_client.py"
    program.write_text(program_of("sdk_client.py"))
    result = await _run(machine, program, PROMPT, modules=ROOT)
    assert result.code == 1
    assert result.err.startswith("error: this machine has joined no mesh")
    assert os.environ.get("DESKMESH_HOME") != str(machine.home.root)
