"""The parent's side of the reader child, with real children, well behaved and not."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from node_agent.library import child
from node_agent.library.child import describe_in_child
from node_agent.library.description import Description, Fault, Rejection
from node_agent.library.found import FoundFile, found_file
from tests.node_agent.library.conftest import write_gguf


def ignore(done_bytes: int) -> None:
    """Take no interest in progress."""


@pytest.fixture
def misbehaving(models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where a file's name says how the child that reads it misbehaves."""
    monkeypatch.setattr(child, "MODULE", "tests.node_agent.library.misbehaving_reader")
    return models


def a_file(folder: Path, name: str) -> FoundFile:
    path = folder / f"{name}.gguf"
    path.write_bytes(b"GGUF")
    return found_file(path)


async def test_a_model_is_described_in_a_child(models: Path) -> None:
    path = write_gguf(models / "a.gguf", name="Tiny")
    outcome = await describe_in_child(found_file(path), ignore)
    assert isinstance(outcome, Description)
    assert outcome.name == "Tiny"


async def test_a_path_of_odd_bytes_reaches_the_child(models: Path) -> None:
    path = write_gguf(models / "-ü \n'\"$(rm) .gguf")
    assert isinstance(await describe_in_child(found_file(path), ignore), Description)


async def test_a_broken_model_comes_back_as_a_reason(models: Path) -> None:
    path = write_gguf(models / "a.gguf")
    path.write_bytes(path.read_bytes()[:300])
    outcome = await describe_in_child(found_file(path), ignore)
    assert isinstance(outcome, Rejection)
    assert outcome.fault is Fault.BROKEN


async def test_a_file_that_vanished_is_gone(models: Path) -> None:
    file = a_file(models, "a")
    file.path.unlink()
    outcome = await describe_in_child(file, ignore)
    assert isinstance(outcome, Rejection)
    assert outcome.fault is Fault.GONE


async def test_a_file_replaced_since_it_was_found_is_looked_at_again(models: Path) -> None:
    file = found_file(write_gguf(models / "a.gguf"))
    earlier = replace(file, stamp=file.stamp._replace(mtime_ns=1))
    outcome = await describe_in_child(earlier, ignore)
    assert isinstance(outcome, Rejection)
    assert outcome.fault is Fault.CHANGING


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("crashes", "killed by SIGSEGV"),
        ("exits", "status 3"),
        ("babbles", "no reader says"),
        ("drones", "no reader says"),
        ("lies", "no reader says"),
        ("invents", "no reader says"),
        ("floods", "never came to an end"),
    ],
)
async def test_a_child_that_misbehaves_gives_a_reason(
    misbehaving: Path, how: str, said: str
) -> None:
    outcome = await describe_in_child(a_file(misbehaving, how), ignore)
    assert isinstance(outcome, Rejection)
    assert outcome.fault is Fault.AGAIN
    assert said in outcome.reason


async def test_a_child_that_hangs_is_ended_after_its_time(
    misbehaving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "START_S", 1.0)
    outcome = await describe_in_child(a_file(misbehaving, "hangs"), ignore)
    assert isinstance(outcome, Rejection)
    assert "longer than 1 s" in outcome.reason
    running = [process.cmdline() for process in psutil.Process().children()]
    assert not [command for command in running if child.MODULE in command]


async def test_cancelling_leaves_no_child(misbehaving: Path) -> None:
    running: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(
            describe_in_child(a_file(misbehaving, "hangs"), running.set_result)
        )
        process = await running
        reading.cancel()
    assert not psutil.pid_exists(process)


async def test_the_child_sees_no_secret_of_the_environment(
    misbehaving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_KEY", "secret")
    outcome = await describe_in_child(a_file(misbehaving, "tells"), ignore)
    assert isinstance(outcome, Rejection)
    assert "PATH" in outcome.reason
    assert "A_SECRET_KEY" not in outcome.reason
    assert "A_SECRET_KEY" in os.environ
