"""Engines die in many ways, and leave nothing in any of them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from mesh.core.generation import Delta, GenerationEvent, Started
from mesh.errors import NodeLost
from node_agent.engine.codec import encode
from node_agent.engine.frames import encode_frame
from node_agent.engine.messages import Generate
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import ask, hear

ROOT = Path(__file__).parents[3]
ENGINE = (sys.executable, "-m", "node_agent.engine.worker")


@pytest.fixture
async def mortal(endless_model: Path) -> EngineProcess:
    """An engine that the test has to end, in the midst of a long speech."""
    return await EngineProcess.start(endless_model, context_tokens=8192, threads=1)


async def read_on(events: AsyncIterator[GenerationEvent]) -> None:
    """Read to the end."""
    async for _ in events:
        pass


@pytest.mark.parametrize(
    ("fatal", "words"),
    [
        (signal.SIGKILL, "SIGKILL (killed from outside, perhaps as the system ran out of memory)"),
        (signal.SIGSEGV, "SIGSEGV (it used memory that is not its own)"),
        (signal.SIGTERM, "ended by SIGTERM"),
    ],
)
async def test_an_engine_killed_in_an_answer_loses_that_answer_and_says_how(
    mortal: EngineProcess, fatal: signal.Signals, words: str
) -> None:
    dead = asyncio.ensure_future(mortal.wait_dead())
    async with aclosing(mortal.generate(ask("tell me more", max_tokens=8000))) as events:
        assert isinstance(await anext(events), Started)
        assert isinstance(await anext(events), Delta)
        os.kill(mortal.pid, fatal)
        with pytest.raises(NodeLost) as lost:
            await read_on(events)
    assert words in lost.value.message
    assert words in await dead
    with pytest.raises(NodeLost):
        await hear(mortal, ask("anyone there?"))
    await mortal.close()


async def test_an_idle_engine_that_dies_is_noticed(mortal: EngineProcess) -> None:
    os.kill(mortal.pid, signal.SIGKILL)
    assert "SIGKILL" in await mortal.wait_dead()
    assert mortal.pid == 0


async def test_closing_ends_an_answer_in_progress(mortal: EngineProcess) -> None:
    async with aclosing(mortal.generate(ask("tell me more", max_tokens=8000))) as events:
        await anext(events)
        await mortal.close()
        with pytest.raises(NodeLost, match="unloaded"):
            await read_on(events)
    await mortal.close()
    assert await mortal.wait_dead() == "it was unloaded"


async def test_two_may_close_at_once(mortal: EngineProcess) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(mortal.close())
        tasks.create_task(mortal.close())
    assert mortal.pid == 0


async def test_a_stopped_engine_is_closed_all_the_same(mortal: EngineProcess) -> None:
    os.kill(mortal.pid, signal.SIGSTOP)
    await mortal.close()
    assert mortal.pid == 0


async def test_a_stopped_engine_ends_even_if_the_one_who_closes_is_cancelled(
    mortal: EngineProcess,
) -> None:
    os.kill(mortal.pid, signal.SIGSTOP)
    closing = asyncio.create_task(mortal.close())
    await asyncio.sleep(0)  # let it begin to wait
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await mortal.wait_dead()
    assert mortal.pid == 0


@pytest.mark.parametrize("after_s", [0, 0.001, 0.01, 0.1])
async def test_a_load_that_is_cancelled_at_any_point_leaves_nothing(
    endless_model: Path, after_s: float
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(after_s):
            await EngineProcess.start(endless_model, context_tokens=8192)


async def test_ctrl_c_is_not_for_the_engine(mortal: EngineProcess) -> None:
    async with aclosing(mortal.generate(ask("tell me more", max_tokens=200))) as events:
        await anext(events)
        os.kill(mortal.pid, signal.SIGINT)
        assert [event async for event in events]
    assert os.getpgid(mortal.pid) != os.getpgid(0)  # so that it can't reach it while it starts
    await mortal.close()


async def test_an_engine_is_polite_and_keeps_no_secrets(
    random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ("ANTHROPIC_API_KEY", "HOMEBREW_GITHUB_API_TOKEN", "NVIDIA_API_KEY", "LLAMA_API_KEY")
    for name in keys:
        monkeypatch.setenv(name, "sk-not-for-engines")
    engine = await EngineProcess.start(random_model, context_tokens=64, threads=1)
    process = psutil.Process(engine.pid)
    environment = process.environ()
    assert process.nice() == min(19, psutil.Process().nice() + 5)
    assert environment["OMP_WAIT_POLICY"] == "active"  # for so many rounds, and no more:
    assert int(environment["GOMP_SPINCOUNT"]) < 10_000  # more, and two threads collapse
    assert environment["GGML_NO_BACKTRACE"] == "1"
    assert "sk-not-for-engines" not in environment.values()
    await engine.close()


@pytest.mark.parametrize("busy", [False, True])
def test_the_end_of_its_pipe_alone_ends_an_engine(endless_model: Path, busy: bool) -> None:
    ours, theirs = socket.socketpair()
    words = {"--model": endless_model, "--context-tokens": 8192, "--slots": 1, "--threads": 1}
    command = [*ENGINE, "--descriptor", str(theirs.fileno())]
    command += [str(word) for pair in words.items() for word in pair]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()], cwd=ROOT) as engine, ours:
        theirs.close()
        assert ours.recv(65536)  # it is loaded
        if busy:
            work = ask("on and on", max_tokens=8000)
            ours.sendall(encode_frame(encode(Generate(1, work))))
            assert ours.recv(65536)
        ours.close()
        assert engine.wait(timeout=10) == 0


AGENT = """
    import asyncio, sys
    from pathlib import Path
    from mesh.core.chat import Message, Role
    from mesh.core.generation import (Generation, Sampling)
    from node_agent.engine.supervisor import EngineProcess

    async def main():
        engine = await EngineProcess.start(Path(sys.argv[1]), context_tokens=8192, threads=1)
        print(engine.pid, flush=True)
        work = Generation((Message(Role.USER, "on and on"),), Sampling(), 8000)
        while sys.argv[2] == "busy":
            async for event in engine.generate(work):
                pass
        await asyncio.sleep(600)

    asyncio.run(main())
"""


@pytest.mark.parametrize("engine_does", ["idle", "busy", "stopped"])
def test_no_engine_outlives_its_agent(endless_model: Path, engine_does: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(AGENT), str(endless_model), engine_does]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as agent:
        assert agent.stdout is not None
        engine = psutil.Process(int(agent.stdout.readline()))
        if engine_does == "stopped":
            if sys.platform != "linux":
                agent.kill()
                engine.kill()
                pytest.skip("a stopped process can only be ended by the kernel, on Linux")
            engine.suspend()
        agent.kill()
    try:
        engine.wait(timeout=10)
    finally:
        if engine.is_running():
            engine.kill()
