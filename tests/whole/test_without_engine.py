"""A machine without an engine, and without a compiler, uses a mesh; one that lends says so."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh.engine_build.wheels import cache_folder, find_wheel
from scripts.engine_cache import wanted_build
from tests.whole.clean import CleanEnvironment, built_wheel, hiding_the_engine
from tests.whole.conftest import NewMachine, joined_by_command, mesh_holds
from tests.whole.machine import ROOT, Machine

QUESTION = ("ask", "--json", "echo hi")


@pytest.fixture
async def answering(office: Machine) -> AsyncIterator[Machine]:
    """A mesh of one machine that has an engine, and answers."""
    async with office.running("node"):
        await mesh_holds(office, office=1)
        yield office


@pytest.fixture
def bare(new_machine: NewMachine, tmp_path: Path) -> Machine:
    """A machine without an engine."""
    return new_machine("bare", PYTHONPATH=hiding_the_engine(tmp_path / "hiding"))


async def test_a_machine_without_an_engine_asks_the_mesh(answering: Machine, bare: Machine) -> None:
    await joined_by_command(bare, answering, "--no-lend")
    asked = await bare.run(*QUESTION)
    assert asked.code == 0, asked.err
    assert asked.json["receipt"]["attempts"][-1]["node_name"] == "office"
    checked = {each["check"]: each for each in (await bare.run("doctor", "--json")).json["checks"]}
    assert checked["engine"]["verdict"] == "ok"
    assert "none needed" in checked["engine"]["what"]


async def test_a_machine_that_would_lend_without_an_engine_says_what_is_missing(
    office: Machine, bare: Machine
) -> None:
    shown = await bare.run("up")
    assert shown.code == 1
    assert "deskmesh[node]" in shown.err
    await joined_by_command(bare, office)
    checked = await bare.run("doctor", "--json")
    engine = {each["check"]: each for each in checked.json["checks"]}["engine"]
    assert checked.code == 1
    assert (engine["verdict"], engine["mend"]) == ("failed", "pip install 'deskmesh[node]'")
    async with bare.running("node") as node:
        await node.says("pip install 'deskmesh[node]'")
    engine_shown = await bare.run("engine", "show")
    assert engine_shown.code == 1
    assert "deskmesh[node]" in engine_shown.err


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(tmp_path_factory.mktemp("wheel"))


def of(environment: CleanEnvironment, new_machine: NewMachine, name: str) -> Machine:
    """A machine whose only deskmesh is the one in ``environment``; it starts outside this clone."""
    machine = new_machine(name, **environment.variables)
    machine.within = (shutil.which("env") or "env", "-C", str(environment.folder))
    return machine


@pytest.mark.long
async def test_a_clean_environment_without_a_compiler_uses_the_mesh(
    answering: Machine, new_machine: NewMachine, wheel: Path, tmp_path: Path
) -> None:
    clean = CleanEnvironment.make(tmp_path / "clean")
    clean.install(str(wheel))
    desk = of(clean, new_machine, "clean")
    version = await desk.run_program(clean.deskmesh, "version", "--json")
    assert version.json["llama_cpp_python"] is None
    code = (await answering.run("invite", "--json")).json["code"]
    done = await desk.run_program(clean.deskmesh, "join", code, "--no-lend")
    assert done.code == 0, done.err
    asked = await desk.run_program(clean.deskmesh, *QUESTION)
    assert asked.code == 0, asked.err
    assert asked.json["receipt"]["attempts"][-1]["node_name"] == "office"


@pytest.mark.long
async def test_the_extra_node_adds_the_engine(
    new_machine: NewMachine, wheel: Path, tmp_path: Path
) -> None:
    pin = (ROOT / "requirements" / "engine.txt").read_text(encoding="utf-8")
    engine = find_wheel(wanted_build(pin, {}), cache_folder(os.environ))
    if engine is None:
        pytest.skip("this machine has compiled no engine: `make demo` does")
    clean = CleanEnvironment.make(tmp_path / "node")
    clean.install("--find-links", str(engine.parent), f"{wheel}[node]")
    desk = of(clean, new_machine, "node")
    shown = await desk.run_program(clean.deskmesh, "engine", "show", "--json")
    assert shown.code == 0, shown.out + shown.err
    assert shown.json["engine"]["devices"]
    played = await desk.run_program(clean.deskmesh, "demo")
    assert played.code == 0, played.out + played.err
